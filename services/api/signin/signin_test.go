package signin

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

const secret = "a secret of the tests"

func TestConfig(t *testing.T) {
	good := Config{Issuer: "https://accounts.example", ClientID: "outcry", ClientSecret: secret, Readers: []string{"@example.com", "group:news"}, Actors: []string{"a@example.com"}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("nothing configured: %v", err)
	}
	for _, test := range []struct {
		change func(*Config)
		says   string
	}{
		{func(c *Config) { c.Issuer = "accounts.example" }, "oidc.issuer"},
		{func(c *Config) { c.Issuer = "http://accounts.example" }, "without https"},
		{func(c *Config) { c.ClientID = "" }, "oidc.client_id"},
		{func(c *Config) { c.ClientSecret = "short" }, "oidc.client_secret has 5 bytes"},
		{func(c *Config) { c.Admins = []string{"everybody"} }, `oidc.admins has "everybody"`},
		{func(c *Config) { c.Readers = []string{"group:"} }, "oidc.readers"},
	} {
		c := good
		test.change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v, want %s", err, test.says)
		}
	}
}

func TestWhoMayWhat(t *testing.T) {
	p := New(Config{ClientSecret: secret, Readers: []string{"@example.com", "group:news"}, Actors: []string{"ann@Example.com", "group:desk"}, Admins: []string{"root@example.org"}})
	all := New(Config{ClientSecret: secret})
	for _, test := range []struct {
		name string
		p    *Provider
		who  Person
		want string
	}{
		{"of the domain", p, Person{Email: "bob@example.com"}, "read evidence"},
		{"of a domain that ends alike", p, Person{Email: "bob@notexample.com"}, ""},
		{"of a domain below", p, Person{Email: "bob@example.com.evil.example"}, ""},
		{"of a group", p, Person{Groups: []string{"x", "news"}}, "read evidence"},
		{"an actor", p, Person{Email: "ann@example.com"}, "read evidence act"},
		{"an actor by group", p, Person{Groups: []string{"desk"}}, "read evidence act"},
		{"an administrator", p, Person{Email: "root@example.org"}, "read evidence act admin"},
		{"without a verified address", p, Person{Name: "ann@example.com"}, ""},
		{"anybody where nobody is named", all, Person{Subject: "7"}, "read evidence"},
	} {
		if got := strings.Join(test.p.Scopes(test.who), " "); got != test.want {
			t.Errorf("%s may %q, want %q", test.name, got, test.want)
		}
	}
}

func TestOnlyVerifiedAddressesCount(t *testing.T) {
	for claims, want := range map[string]string{
		`{"email": "Ann@example.com", "email_verified": true}`:   "ann@example.com",
		`{"email": "ann@example.com", "email_verified": "true"}`: "ann@example.com",
		`{"email": "ann@example.com", "email_verified": false}`:  "",
		`{"email": "ann@example.com"}`:                           "",
	} {
		var p Person
		if err := p.read(func(into any) error { return json.Unmarshal([]byte(claims), into) }); err != nil || p.Email != want {
			t.Errorf("%s: %q, %v", claims, p.Email, err)
		}
	}
}

func TestASessionCannotBeMade(t *testing.T) {
	p, now := New(Config{ClientSecret: secret}), time.Unix(1_300_000_000, 0)
	who := Person{Subject: "7", Email: "ann@example.com", Groups: []string{"a"}}
	session, err := p.seal.seal("session", who, now.Add(SessionTime))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := p.Session(session, now.Add(SessionTime-time.Second)); !ok || got.Email != who.Email || !slices.Equal(got.Groups, who.Groups) {
		t.Errorf("a session: %+v, %v", got, ok)
	}
	if _, ok := p.Session(session, now.Add(SessionTime)); ok {
		t.Error("a session that has ended holds")
	}
	if _, ok := New(Config{ClientSecret: "another secret"}).Session(session, now); ok {
		t.Error("a session holds under another secret")
	}
	for i := range session {
		changed := []byte(session)
		changed[i] ^= 1
		if who, ok := p.Session(string(changed), now); ok {
			// The last character of base64 has bits that mean nothing.
			if i != len(session)-1 {
				t.Errorf("changed at %d it holds: %+v", i, who)
			}
		}
	}
	attempt, err := p.seal.seal("attempt", attempt{State: "x"}, now.Add(AttemptTime))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Session(attempt, now); ok {
		t.Error("what is kept on the way is taken for a session")
	}
	if _, err := p.seal.seal("session", Person{Name: strings.Repeat("x", 5000)}, now); err == nil {
		t.Error("a cookie of 5000 bytes")
	}
}

func FuzzSession(f *testing.F) {
	p := New(Config{ClientSecret: secret})
	f.Add("a.b")
	f.Add("eyJraW5kIjoic2Vzc2lvbiJ9.AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := p.Session(text, time.Unix(0, 0)); ok {
			t.Errorf("%q is a session", text)
		}
	})
}
