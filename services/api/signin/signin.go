package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// How long things last.
const (
	SessionTime = 12 * time.Hour
	AttemptTime = 10 * time.Minute
	askTimeout  = 10 * time.Second // for the provider
)

// ErrRefused is somebody whom the provider or the configuration does not let in, or a way back that fits no way there; it says why.
var ErrRefused = errors.New("not signed in")

// Person is who signed in.
type Person struct {
	Subject string   `json:"sub"`
	Email   string   `json:"email,omitempty"` // verified, or empty
	Name    string   `json:"name,omitempty"`
	Groups  []string `json:"groups,omitempty"`
}

// Shown is what a person is called: the address, else the name, else the provider's own id.
func (p Person) Shown() string {
	for _, s := range []string{p.Email, p.Name, p.Subject} {
		if s != "" {
			return s
		}
	}
	return "somebody"
}

// maxGroups bounds a cookie.
const maxGroups = 30

// attempt is what has to come back from the provider.
type attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Next     string `json:"next"`
}

// Provider signs people in. Safe for concurrent use.
type Provider struct {
	cfg  Config
	seal sealer
	http *http.Client

	mu    sync.Mutex
	known *oidc.Provider
}

// New remembers.
func New(cfg Config) *Provider {
	return &Provider{cfg: cfg, seal: newSealer(string(cfg.ClientSecret)), http: &http.Client{Timeout: askTimeout}}
}

// discover asks the provider for its addresses and keys, once.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil {
		return p.known, nil
	}
	// Keys are fetched with this context later on, so it must not end with the request.
	known, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.http), p.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the OpenID provider %s: %w", p.cfg.Issuer, err)
	}
	p.known = known
	return known, nil
}

func (p *Provider) client(known *oidc.Provider, callback string) *oauth2.Config {
	return &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: string(p.cfg.ClientSecret), Endpoint: known.Endpoint(), RedirectURL: callback,
		Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}
}

// Begin returns the provider's address for signing in, and what to keep in the browser until it comes back to callback. Next is where the
// person wanted to go.
func (p *Provider) Begin(ctx context.Context, callback, next string, now time.Time) (address, keep string, err error) {
	known, err := p.discover(ctx)
	if err != nil {
		return "", "", err
	}
	a := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next}
	keep, err = p.seal.seal("attempt", a, now.Add(AttemptTime))
	return p.client(known, callback).AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), keep, err
}

// Finish takes what the provider sent the browser back with. It returns the session to keep, who it is, and where that person wanted to go.
func (p *Provider) Finish(ctx context.Context, callback, keep string, answer url.Values, now time.Time) (session string, who Person, next string, err error) {
	var a attempt
	if !p.seal.open("attempt", keep, &a, now) || subtle.ConstantTimeCompare([]byte(a.State), []byte(answer.Get("state"))) != 1 {
		return "", who, "", fmt.Errorf("%w: it took too long, or was begun in another browser", ErrRefused)
	}
	if answer.Get("error") != "" {
		return "", who, "", fmt.Errorf("%w: the provider refused", ErrRefused)
	}
	known, err := p.discover(ctx)
	if err != nil {
		return "", who, "", err
	}
	token, err := p.client(known, callback).Exchange(oidc.ClientContext(ctx, p.http), answer.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) {
			return "", who, "", fmt.Errorf("%w: the provider does not know this answer", ErrRefused)
		}
		return "", who, "", fmt.Errorf("ask the OpenID provider for a token: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := known.VerifierContext(oidc.ClientContext(ctx, p.http), &oidc.Config{ClientID: p.cfg.ClientID, Now: func() time.Time { return now }}).Verify(ctx, raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return "", who, "", fmt.Errorf("%w: what the provider says of the person does not hold", ErrRefused)
	}
	who.Subject = id.Subject
	if err := who.read(id.Claims); err != nil {
		return "", who, "", err
	}
	if who.Email == "" { // some providers say such things only when asked
		info, err := known.UserInfo(oidc.ClientContext(ctx, p.http), oauth2.StaticTokenSource(token))
		if err == nil && info.Subject == id.Subject {
			err = who.read(info.Claims)
		}
		if err != nil {
			return "", who, "", fmt.Errorf("ask the OpenID provider about a person: %w", err)
		}
	}
	if len(p.Scopes(who)) == 0 {
		return "", who, "", fmt.Errorf("%w: %s is none of those who may read here", ErrRefused, who.Shown())
	}
	session, err = p.seal.seal("session", who, now.Add(SessionTime))
	return session, who, a.Next, err
}

// read takes what is said of a person.
func (p *Person) read(claims func(any) error) error {
	var said struct {
		Email    string   `json:"email"`
		Verified any      `json:"email_verified"` // some providers write "true"
		Name     string   `json:"name"`
		Groups   []string `json:"groups"`
	}
	if err := claims(&said); err != nil {
		return fmt.Errorf("read what the OpenID provider says of a person: %w", err)
	}
	if said.Verified == true || said.Verified == "true" {
		p.Email = strings.ToLower(said.Email)
	}
	if said.Name != "" {
		p.Name = said.Name
	}
	if len(said.Groups) > 0 {
		p.Groups = said.Groups[:min(len(said.Groups), maxGroups)]
	}
	return nil
}

// Session says who a session is of, and whether it still is one.
func (p *Provider) Session(session string, now time.Time) (who Person, ok bool) {
	ok = p.seal.open("session", session, &who, now)
	return who, ok
}

// Scopes are what a person may do, in the words of keys; none for whom the configuration does not let in.
func (p *Provider) Scopes(who Person) []string {
	in := func(rules []string) bool {
		return slices.ContainsFunc(rules, func(rule string) bool {
			group, isGroup := strings.CutPrefix(rule, "group:")
			switch {
			case isGroup:
				return slices.Contains(who.Groups, group)
			case strings.HasPrefix(rule, "@"):
				return who.Email != "" && strings.HasSuffix(who.Email, strings.ToLower(rule))
			default:
				return who.Email != "" && strings.EqualFold(who.Email, rule)
			}
		})
	}
	switch {
	case in(p.cfg.Admins):
		return []string{"read", "evidence", "act", "admin"}
	case in(p.cfg.Actors):
		return []string{"read", "evidence", "act"}
	case len(p.cfg.Readers) == 0 || in(p.cfg.Readers):
		return []string{"read", "evidence"}
	default:
		return nil
	}
}
