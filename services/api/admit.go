package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"outcry.dev/pkg/store"
)

// scope is what a key opens.
type scope string

const (
	scopeNone     scope = ""
	scopeRead     scope = "read"     // counts, incidents, charts
	scopeEvidence scope = "evidence" // posts
	scopeAct      scope = "act"      // words about incidents, frozen charts
	scopeAdmin    scope = "admin"    // keys, and all of the above
)

// Scopes are the names of what a key can open.
func Scopes() []string {
	return []string{string(scopeRead), string(scopeEvidence), string(scopeAct), string(scopeAdmin)}
}

const keyPrefix = "outcry_"

// NewKey makes a key. The secret is for its owner and is stored nowhere.
func NewKey(name string, scopes []string, now time.Time) (k store.Key, secret string, err error) {
	if name == "" || len(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return k, "", fmt.Errorf("a key needs a name of 1 to 100 bytes, so that one knows whose it is")
	}
	if len(scopes) == 0 {
		return k, "", fmt.Errorf("a key needs scopes: some of %s", strings.Join(Scopes(), ", "))
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes(), s) {
			return k, "", fmt.Errorf("scope %q is none of %s", s, strings.Join(Scopes(), ", "))
		}
	}
	secret = keyPrefix + rand.Text()
	return store.Key{ID: secret[len(keyPrefix) : len(keyPrefix)+8], Hash: keyHash(secret), Name: name, Scopes: scopes, CreatedAt: now.UTC().Truncate(time.Second)}, secret, nil
}

func keyHash(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}

// caller is whoever asks.
type caller struct {
	key     *store.Key // nil without one
	address string
}

type callerKey struct{}

func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

func (c caller) name() string {
	if c.key == nil {
		return ""
	}
	if c.key.ID == "" {
		return c.key.Name + " (signed in)"
	}
	return c.key.Name + " (key " + c.key.ID + ")"
}

func (c caller) may(s scope) bool {
	return c.key != nil && (slices.Contains(c.key.Scopes, string(s)) || slices.Contains(c.key.Scopes, string(scopeAdmin)) ||
		s == scopeRead && len(c.key.Scopes) > 0)
}

// open tells whether everybody may.
func (a *API) open(s scope) bool {
	switch s {
	case scopeNone:
		return true
	case scopeRead, scopeEvidence:
		return a.cfg.PublicRead
	default:
		return false
	}
}

// admit lets in those who may, at the rate that is theirs.
func (a *API) admit(need scope, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := a.credentials(r)
		if err != nil {
			a.deps.Log.Warn("cannot check a key", "error", err)
			w.Header().Set("Retry-After", "5")
			writeProblem(w, &problem{Status: http.StatusServiceUnavailable, Detail: "The key cannot be checked now. Try again in some seconds."})
			return
		}
		if c.key == nil && c.given && !c.browser {
			w.Header().Set("WWW-Authenticate", `Bearer realm="outcry"`)
			writeProblem(w, &problem{Status: http.StatusUnauthorized, Detail: "The key is not known, or was revoked."})
			return
		}
		if !a.limits.take(w, c.bucket, c.key != nil) {
			writeProblem(w, &problem{Status: http.StatusTooManyRequests, Detail: "Too many requests. Wait as long as Retry-After says; with a key of your own you may ask more often."})
			return
		}
		if c.browser && c.key != nil {
			if err := crossOrigin.Check(r); err != nil {
				writeProblem(w, &problem{Status: http.StatusForbidden, Detail: "Another site sent this. Do it on a page of Outcry, or with a key in the header Authorization."})
				return
			}
		}
		if !a.open(need) {
			w = &privateWriter{ResponseWriter: w}
			switch {
			case c.may(need):
			case c.key == nil && wantsLogin(r) && strings.HasPrefix(r.URL.Path, "/embed/") && strings.Contains(r.Header.Get("Sec-Fetch-Dest"), "frame"):
				a.writeClosed(w, r)
				return
			case c.key == nil && wantsLogin(r):
				redirect(w, loginAddress(r))
				return
			case c.key == nil:
				w.Header().Set("WWW-Authenticate", `Bearer realm="outcry", scope="`+string(need)+`"`)
				writeProblem(w, &problem{Status: http.StatusUnauthorized, Detail: fmt.Sprintf("This needs a key with the scope %s. Send it as Authorization: Bearer KEY.", need)})
				return
			default:
				writeProblem(w, &problem{Status: http.StatusForbidden, Detail: fmt.Sprintf("This key does not have the scope %s.", need)})
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c.caller)))
	})
}

// addressOf is where a request comes from: the peer, or what a trusted proxy in front says.
func (a *API) addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if a.cfg.BehindProxy {
		parts := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
		if last := strings.TrimSpace(parts[len(parts)-1]); last != "" {
			host = last
		}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	if ip = ip.Unmap(); ip.Is6() { // one subscriber has at least that many
		if p, err := ip.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// keyring holds the keys, read anew every few seconds.
type keyring struct {
	mu     sync.Mutex
	at     time.Time
	byHash map[string]*store.Key
}

const keysAge = 5 * time.Second

func (k *keyring) find(ctx context.Context, s *store.Store, secret string) (*store.Key, error) {
	if !strings.HasPrefix(secret, keyPrefix) || len(secret) > 100 {
		return nil, nil //nolint:nilnil // no such key, and nothing went wrong
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byHash == nil || time.Since(k.at) > keysAge {
		keys, err := s.Keys(ctx)
		if err != nil {
			return nil, err
		}
		k.byHash, k.at = map[string]*store.Key{}, time.Now()
		for _, key := range keys {
			if !key.Revoked {
				k.byHash[key.Hash] = &key
			}
		}
	}
	return k.byHash[keyHash(secret)], nil // a look-up by hash says nothing of a key by the time it takes
}

// forget has the keys read anew at the next request.
func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.byHash = nil
}

// limiter bounds the requests of each key and address.
type limiter struct {
	perSecond float64
	mu        sync.Mutex
	buckets   map[string]*bucket
}

type bucket struct {
	*rate.Limiter
	seen time.Time
}

const (
	maxBuckets  = 50_000
	burstFactor = 5
	keyFactor   = 10 // a key may ask so much more than an address
)

func (l *limiter) take(w http.ResponseWriter, name string, keyed bool) bool {
	if l.perSecond <= 0 {
		return true
	}
	perSecond := l.perSecond
	if keyed {
		perSecond *= keyFactor
	}
	now := time.Now()
	l.mu.Lock()
	b := l.buckets[name]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.sweep(now)
		}
		b = &bucket{Limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond*burstFactor)))}
		l.buckets[name] = b
	}
	b.seen = now
	l.mu.Unlock()
	allowed := b.AllowN(now, 1)
	left := max(0, b.TokensAt(now))
	w.Header().Set("RateLimit-Limit", strconv.Itoa(b.Burst()))
	w.Header().Set("RateLimit-Remaining", strconv.Itoa(int(left)))
	w.Header().Set("RateLimit-Reset", strconv.Itoa(int((float64(b.Burst())-left)/perSecond+0.999)))
	if !allowed {
		w.Header().Set("Retry-After", strconv.Itoa(int(1/perSecond)+1))
	}
	return allowed
}

// sweep forgets those who have not asked for a while, and everybody where that is not enough.
func (l *limiter) sweep(now time.Time) {
	for name, b := range l.buckets {
		if now.Sub(b.seen) > time.Minute {
			delete(l.buckets, name)
		}
	}
	if len(l.buckets) >= maxBuckets {
		clear(l.buckets)
	}
}

// RevokeKey ends a key.
func RevokeKey(ctx context.Context, s *store.Store, id string, now time.Time) error {
	keys, err := s.Keys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.ID == id {
			k.Revoked = true
			return s.PutKey(ctx, k, now)
		}
	}
	return fmt.Errorf("there is no key %q", id)
}
