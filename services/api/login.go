package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"outcry.dev/pkg/store"
	"outcry.dev/services/api/signin"
)

// A browser cannot send a key with each request. It keeps one, entered once, or what says who signed in at the OpenID provider, in a cookie
// that scripts cannot read and that other sites' requests do not carry.
const (
	keyCookie     = "outcry_key"
	sessionCookie = "outcry_session"
	attemptCookie = "outcry_signin"
	// keyCookieTime is how long a browser keeps a key; it is checked at each request all the same.
	keyCookieTime = 30 * 24 * time.Hour
)

// credentials are what a request shows of itself.
type credentials struct {
	caller
	given bool // something was shown, valid or not
	// browser: from a cookie, which a browser sends without being told to.
	browser bool
	bucket  string
}

// credentials reads key or session. A key in the header goes before cookies.
func (a *API) credentials(r *http.Request) (c credentials, err error) {
	c.address = a.addressOf(r)
	c.bucket = c.address
	secret, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !given {
		if cookie, err := r.Cookie(keyCookie); err == nil {
			secret, given, c.browser = cookie.Value, true, true
		}
	}
	if given {
		c.given = true
		c.key, err = a.keys.find(r.Context(), a.deps.Store, strings.TrimSpace(secret))
		if err == nil && c.key != nil {
			c.bucket = "key " + c.key.ID
		}
		if err != nil || c.key != nil || !c.browser {
			return c, err
		}
	}
	if a.signin == nil {
		return c, nil
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		c.given, c.browser = true, true
		if who, ok := a.signin.Session(cookie.Value, time.Now()); ok {
			if scopes := a.signin.Scopes(who); len(scopes) > 0 {
				c.key = &store.Key{Name: who.Shown(), Scopes: scopes}
				c.bucket = "person " + who.Subject
			}
		}
	}
	return c, nil
}

// crossOrigin refuses what another site has a browser do with its cookies, should a browser not heed SameSite.
var crossOrigin = http.NewCrossOriginProtection()

// wantsLogin tells a browser that opens a page from a program: the one is shown where to sign in, the other told what is missing.
func wantsLogin(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && !strings.HasPrefix(r.URL.Path, "/v1/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

func loginAddress(r *http.Request) string {
	return "/login?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
}

// safeNext is an address of this server's own, or the first page.
func safeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || len(next) > 2000 || u.IsAbs() || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

// loginPage is what login.html shows.
type loginPage struct {
	Who      string // signed in as
	Next     string
	Provider string // host, empty without
	Problem  string
}

func (a *API) loginPage(r *http.Request) (loginPage, error) {
	c, err := a.credentials(r)
	p := loginPage{Next: safeNext(r.FormValue("next"))}
	if c.key != nil {
		p.Who = c.caller.name()
	}
	if a.signin != nil {
		if u, err := url.Parse(a.cfg.OIDC.Issuer); err == nil {
			p.Provider = u.Host
		}
	}
	return p, err
}

func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	p, err := a.loginPage(r)
	if err != nil {
		return err
	}
	return a.renderLogin(w, r, http.StatusOK, p)
}

func (a *API) renderLogin(w http.ResponseWriter, r *http.Request, status int, p loginPage) error {
	return a.render(w, r, status, "login.html", p)
}

// visitor is what the head of a page says of whoever reads it; nil where nobody can sign in.
type visitor struct {
	Who    string // signed in as; empty for nobody
	SignIn string // where to; empty on the page that does it
}

// visitor of a request. Somebody can sign in where a provider is configured or not everybody may read.
func (a *API) visitor(r *http.Request) *visitor {
	if r == nil || a.signin == nil && a.cfg.PublicRead {
		return nil
	}
	if strings.HasPrefix(r.URL.Path, "/login") {
		return &visitor{}
	}
	if c := callerOf(r); c.key != nil {
		return &visitor{Who: c.key.Name}
	}
	return &visitor{SignIn: loginAddress(r)}
}

// enterKey keeps a key in the browser.
func (a *API) enterKey(w http.ResponseWriter, r *http.Request) error {
	if err := crossOrigin.Check(r); err != nil {
		return &problem{Status: http.StatusForbidden, Detail: "Another site sent this form."}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	p, err := a.loginPage(r)
	if err != nil {
		return err
	}
	secret := strings.TrimSpace(r.PostFormValue("key"))
	key, err := a.keys.find(r.Context(), a.deps.Store, secret)
	if err != nil {
		return err
	}
	if key == nil {
		p.Problem = "This key is not known, or was revoked. Keys begin with outcry_; whoever runs Outcry makes them."
		return a.renderLogin(w, r, http.StatusUnauthorized, p)
	}
	if err := a.audit(r.WithContext(context.WithValue(r.Context(), callerKey{}, caller{key: key, address: a.addressOf(r)})), "sign in", "with a key"); err != nil {
		return err
	}
	a.setCookie(w, r, keyCookie, secret, "/", keyCookieTime)
	redirect(w, p.Next)
	return nil
}

// logout has the browser forget.
func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	if err := crossOrigin.Check(r); err != nil {
		return &problem{Status: http.StatusForbidden, Detail: "Another site sent this form."}
	}
	a.setCookie(w, r, keyCookie, "", "/", -1)
	a.setCookie(w, r, sessionCookie, "", "/", -1)
	redirect(w, "/login")
	return nil
}

// callbackPath is where the provider sends browsers back to.
const callbackPath = "/login/callback"

func (a *API) beginSignin(w http.ResponseWriter, r *http.Request) error {
	if a.signin == nil {
		return notFound("Nobody can sign in here: api.oidc.issuer names no provider.")
	}
	address, keep, err := a.signin.Begin(r.Context(), a.origin(r)+callbackPath, safeNext(r.FormValue("next")), time.Now())
	if err != nil {
		return errors.Join(store.ErrUnavailable, err)
	}
	a.setCookie(w, r, attemptCookie, keep, callbackPath, signin.AttemptTime)
	redirect(w, address)
	return nil
}

func (a *API) finishSignin(w http.ResponseWriter, r *http.Request) error {
	if a.signin == nil {
		return notFound("Nobody can sign in here: api.oidc.issuer names no provider.")
	}
	keep := ""
	if cookie, err := r.Cookie(attemptCookie); err == nil {
		keep = cookie.Value
	}
	a.setCookie(w, r, attemptCookie, "", callbackPath, -1)
	session, who, next, err := a.signin.Finish(r.Context(), a.origin(r)+callbackPath, keep, r.URL.Query(), time.Now())
	switch {
	case errors.Is(err, signin.ErrRefused):
		a.deps.Log.Info("somebody was not signed in", "reason", err)
		p, _ := a.loginPage(r) // without a key it cannot fail
		p.Problem = "You were n" + strings.TrimPrefix(err.Error(), "n") + "."
		return a.renderLogin(w, r, http.StatusForbidden, p)
	case err != nil:
		return errors.Join(store.ErrUnavailable, err)
	}
	as := caller{key: &store.Key{Name: who.Shown(), Scopes: a.signin.Scopes(who)}, address: a.addressOf(r)}
	if err := a.audit(r.WithContext(context.WithValue(r.Context(), callerKey{}, as)), "sign in", "at "+a.cfg.OIDC.Issuer); err != nil {
		return err
	}
	a.setCookie(w, r, sessionCookie, session, "/", signin.SessionTime)
	redirect(w, safeNext(next))
	return nil
}

// setCookie sets a cookie, or has it forgotten where its time is below zero.
func (a *API) setCookie(w http.ResponseWriter, r *http.Request, name, value, path string, last time.Duration) {
	age := int(last / time.Second)
	if last < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: path, MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(a.origin(r), "https://")})
}

func redirect(w http.ResponseWriter, address string) {
	w.Header().Set("Location", address)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// privateWriter has no cache keep for others what only some may read.
type privateWriter struct {
	http.ResponseWriter
	begun bool
}

func (p *privateWriter) WriteHeader(status int) {
	if !p.begun {
		p.begun = true
		h := p.Header()
		how := strings.TrimPrefix(h.Get("Cache-Control"), "public, ")
		if how != "no-store" {
			h.Set("Cache-Control", strings.TrimSuffix("private, "+how, ", "))
		}
		h.Add("Vary", "Authorization, Cookie")
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *privateWriter) Write(b []byte) (int, error) {
	if !p.begun {
		p.WriteHeader(http.StatusOK)
	}
	return p.ResponseWriter.Write(b)
}

func (p *privateWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }
