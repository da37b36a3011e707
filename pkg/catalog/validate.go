package catalog

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"outcry.dev/pkg/names/fold"
)

// Problem is one thing wrong with one service.
type Problem struct {
	Service string
	// File and Line say where the service is stated; empty and 0 for services that come from no file.
	File string
	Line int
	// Text says what is wrong and what to do.
	Text string
}

func (p Problem) Error() string {
	if p.File == "" {
		return fmt.Sprintf("service %q: %s", p.Service, p.Text)
	}
	return fmt.Sprintf("%s:%d: service %q: %s", p.File, p.Line, p.Service, p.Text)
}

// At makes a problem of the service with the place where it is stated.
func (c *Catalog) At(id, format string, args ...any) Problem {
	o := c.origins[id]
	return Problem{Service: id, File: o.file, Line: o.line, Text: fmt.Sprintf(format, args...)}
}

// Validate reports all that is wrong with the catalog, joined; each error is a Problem.
func (c *Catalog) Validate() error {
	v := validator{c: c, owners: map[string]owner{}}
	for i := range c.Services {
		v.service(&c.Services[i])
	}
	for i := range c.Services {
		v.names(&c.Services[i])
	}
	v.cycles()
	return errors.Join(v.faults...)
}

type validator struct {
	c      *Catalog
	owners map[string]owner // of folded names, and of handles and domains with a sigil before them
	faults []error
}

type owner struct {
	id   string
	name string // as written
}

var (
	idForm      = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	hashtagForm = regexp.MustCompile(`^[\p{L}\p{M}\p{Nd}_]+$`)
	handleForms = map[string]*regexp.Regexp{
		"twitter":  regexp.MustCompile(`^[A-Za-z0-9_]{1,15}$`),
		"bluesky":  regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`),
		"mastodon": regexp.MustCompile(`^[A-Za-z0-9_.-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`),
	}
)

func (v *validator) fault(s *Service, format string, args ...any) {
	v.faults = append(v.faults, v.c.At(s.ID, format, args...))
}

func (v *validator) service(s *Service) {
	if !idForm.MatchString(s.ID) {
		v.fault(s, "id %q must be made of a-z, 0-9 and single hyphens", s.ID)
	}
	if fold.String(s.Name) == "" {
		v.fault(s, "name is missing or holds no letter")
	}
	if _, ok := categories()[s.Category]; !ok {
		v.fault(s, "category %q is none of %s", s.Category, strings.Join(Categories(), ", "))
	}
	for _, country := range s.Countries {
		if region, err := language.ParseRegion(country); err != nil || !region.IsCountry() || region.String() != country {
			v.fault(s, "country %q is not an ISO 3166-1 alpha-2 code such as DE", country)
		}
	}
	for field, address := range map[string]string{"web": s.Web, "status": s.StatusPage} {
		if address == "" {
			continue
		}
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || !strings.Contains(u.Host, ".") {
			v.fault(s, "%s %q is not an address that begins with https://", field, address)
		}
	}
	for _, provider := range s.Providers {
		if provider == s.ID {
			v.fault(s, "is its own provider")
		} else if _, ok := v.c.Find(provider); !ok {
			v.fault(s, "provider %q is not in the catalog", provider)
		}
	}
	for _, hashtag := range s.Hashtags {
		if !hashtagForm.MatchString(hashtag) {
			v.fault(s, "hashtag %q must hold letters, digits and _ only", hashtag)
		}
	}
	for network, handles := range s.Handles { // they include the official ones
		form, ok := handleForms[network]
		if !ok {
			v.fault(s, "network %q is none of %s", network, strings.Join(Networks(), ", "))
			continue
		}
		for _, handle := range handles {
			if !form.MatchString(handle) {
				v.fault(s, "handle %q is not one that %s gives out (write it without @)", handle, network)
			}
		}
	}
	if (s.Ambiguous || len(s.Weak) > 0) && len(s.Context) == 0 {
		v.fault(s, "has a name that counts in context only, but no context words")
	}
	if !s.Ambiguous && len(s.Weak) == 0 && len(s.Context)+len(s.Not) > 0 {
		v.fault(s, "has context words, but no name that needs them: set ambiguous, or remove them")
	}
	for _, phrase := range slices.Concat(s.Context, s.Not) {
		if words := len(strings.Fields(phrase)); words == 0 || words > MaxPhraseWords {
			v.fault(s, "context phrase %q must have 1 to %d words", phrase, MaxPhraseWords)
		}
		if strings.Count(phrase, "~") > 1 || strings.Trim(phrase, "~* ") == "" {
			v.fault(s, "context phrase %q must hold a word, and the name (~) at most once", phrase)
		}
	}
}

// names finds names that two services claim, and names that a service claims twice.
func (v *validator) names(s *Service) {
	if i, _ := v.c.Find(s.ID); &v.c.Services[i] != s {
		v.fault(s, "id is given twice")
		return
	}
	v.claim(s, "", s.Name)
	for _, alias := range slices.Concat(s.Aliases, s.Weak) {
		if fold.String(alias) == "" {
			v.fault(s, "alias %q holds no letter", alias)
			continue
		}
		v.claim(s, "", alias)
	}
	seen := map[string]bool{} // one account may have the same handle on several networks
	for _, network := range slices.Sorted(maps.Keys(s.Handles)) {
		for _, handle := range s.Handles[network] {
			if key := strings.ToLower(handle); !seen[key] {
				seen[key] = true
				v.claim(s, "@", handle)
			}
		}
	}
	for _, hashtag := range s.Hashtags {
		v.claim(s, "#", hashtag)
	}
	if domain := s.Domain(); domain != "" {
		v.claim(s, "//", domain)
	}
}

func (v *validator) claim(s *Service, sigil, name string) {
	key := sigil + strings.ToLower(name)
	if sigil == "" || sigil == "#" {
		key = sigil + fold.String(name)
	}
	if sigil == "" && strings.ContainsAny(name, "&+") { // those signs tell names apart: AT&T, Canal+
		key += strings.Map(func(r rune) rune {
			if r == '&' || r == '+' {
				return r
			}
			return -1
		}, name)
	}
	o, taken := v.owners[key]
	switch {
	case !taken:
		v.owners[key] = owner{s.ID, name}
	case o.id == s.ID:
		v.fault(s, "%s%s and %s%s are the same name: keep one", sigil, o.name, sigil, name)
	default:
		v.fault(s, "%s%s names service %q already: keep it at one of them", sigil, name, o.id)
	}
}

// Domain is the host of Web without "www.", or empty where Web is a page within a larger site.
func (s *Service) Domain() string {
	u, err := url.Parse(s.Web)
	if err != nil || strings.Trim(u.Path, "/") != "" {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
}

// cycles finds services that depend on themselves through others.
func (v *validator) cycles() {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(v.c.Services))
	var path []string
	var visit func(i int)
	visit = func(i int) {
		s := &v.c.Services[i]
		switch state[i] {
		case done:
			return
		case open:
			from := slices.Index(path, s.ID)
			v.fault(s, "depends on itself: %s → %s", strings.Join(path[from:], " → "), s.ID)
			return
		}
		state[i] = open
		path = append(path, s.ID)
		for _, provider := range s.Providers {
			if j, ok := v.c.Find(provider); ok && provider != s.ID {
				visit(j)
			}
		}
		path = path[:len(path)-1]
		state[i] = done
	}
	for i := range v.c.Services {
		visit(i)
	}
}
