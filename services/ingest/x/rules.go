package x

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/services/ingest/polite"
)

const (
	// maxRule is how long a rule may be: in characters, for X. Bytes are counted here, which fits however a server counts.
	maxRule = 1024
	// maxAdd is how many rules are added in a request.
	maxAdd    = 250
	maxAnswer = 16 << 20
)

// terms are what a rule searches for a service: its names, hashtags and accounts.
func terms(s *catalog.Service) []string {
	var out []string
	for _, name := range slices.Concat([]string{s.Name}, s.Aliases) {
		if t := quoted(name); t != "" {
			out = append(out, t)
		}
	}
	for _, tag := range s.Hashtags {
		out = append(out, "#"+tag)
	}
	for _, handle := range s.Handles["twitter"] {
		out = append(out, "@"+handle)
	}
	return out
}

// quoted makes a term of a name. Names of one character would match everything.
func quoted(name string) string {
	name = strings.Join(strings.Fields(strings.NewReplacer(`"`, " ", `\`, " ").Replace(strings.ToLower(name))), " ")
	if len([]rune(name)) < 2 || len(name) > 200 {
		return ""
	}
	plain := name != "or" && name != "and"
	for _, r := range name {
		plain = plain && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 0x7f)
	}
	if plain {
		return name
	}
	return `"` + name + `"`
}

// pack puts terms into as few rules as fit: (a OR "b c" OR …) filter. Terms that another one covers are left out. The longest go first, each into the first
// rule with room (first fit, decreasing), which for terms this short is within one rule of the best.
func pack(terms []string, filter string) []string {
	room := maxRule - len("() ") - len(filter)
	type rule struct {
		terms []string
		left  int
	}
	var rules []*rule
	for _, t := range uncovered(terms) {
		need := len(t) + len(" OR ")
		if len(t) > room {
			continue
		}
		i := slices.IndexFunc(rules, func(r *rule) bool { return r.left >= need })
		if i < 0 {
			rules = append(rules, &rule{left: room + len(" OR ")})
			i = len(rules) - 1
		}
		rules[i].terms = append(rules[i].terms, t)
		rules[i].left -= need
	}
	out := make([]string, 0, len(rules))
	for _, r := range rules {
		out = append(out, strings.TrimSpace("("+strings.Join(r.terms, " OR ")+") "+filter))
	}
	return out
}

// uncovered returns each term once, the longest first, without phrases that hold another term as a word.
func uncovered(terms []string) []string {
	single := map[string]bool{}
	for _, t := range terms {
		if !strings.ContainsAny(t, `"#@:`) {
			single[t] = true
		}
	}
	out := slices.DeleteFunc(slices.Clone(terms), func(t string) bool {
		if !strings.HasPrefix(t, `"`) {
			return false
		}
		return slices.ContainsFunc(strings.Fields(strings.Trim(t, `"`)), func(word string) bool { return single[word] })
	})
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(out)
}

type rule struct {
	ID    string `json:"id,omitempty"`
	Value string `json:"value"`
	Tag   string `json:"tag,omitempty"`
}

// problem is how X tells of errors, within answers and streams.
type problem struct {
	Title      string `json:"title"`
	Detail     string `json:"detail"`
	Value      string `json:"value"`
	Issue      string `json:"connection_issue"`
	Disconnect string `json:"disconnect_type"`
}

func (p problem) String() string {
	return polite.Line(strings.Trim(strings.Join([]string{p.Title, p.Issue, p.Disconnect, p.Detail}, " "), " "))
}

type rulesAnswer struct {
	Data   []rule    `json:"data"`
	Errors []problem `json:"errors"`
}

// reconcile makes the server's rules with our tag those that are wanted. Nothing is changed before the server has said, dry, that it takes the new ones.
func (s *Source) reconcile(ctx context.Context) error {
	var have rulesAnswer
	if err := s.call(ctx, http.MethodGet, "/2/tweets/search/stream/rules", nil, &have); err != nil {
		return fmt.Errorf("ask for the rules: %w", err)
	}
	wanted := map[string]bool{}
	for _, r := range s.rules {
		wanted[r] = true
	}
	var obsolete []string
	for _, r := range have.Data {
		switch {
		case wanted[r.Value]:
			delete(wanted, r.Value)
		case r.Tag == s.cfg.Tag:
			obsolete = append(obsolete, r.ID)
		}
	}
	var missing []rule
	for _, r := range s.rules {
		if wanted[r] {
			missing = append(missing, rule{Value: r, Tag: s.cfg.Tag})
		}
	}
	if err := s.add(ctx, missing, true); err != nil {
		return fmt.Errorf("try the new rules: %w", err)
	}
	for ids := range slices.Chunk(obsolete, maxAdd) {
		change := map[string]any{"delete": map[string]any{"ids": ids}}
		if err := s.call(ctx, http.MethodPost, "/2/tweets/search/stream/rules", change, nil); err != nil {
			return fmt.Errorf("delete rules: %w", err)
		}
	}
	if err := s.add(ctx, missing, false); err != nil {
		return fmt.Errorf("add rules: %w", err)
	}
	return nil
}

func (s *Source) add(ctx context.Context, rules []rule, dry bool) error {
	path := "/2/tweets/search/stream/rules"
	if dry {
		path += "?dry_run=true"
	}
	for some := range slices.Chunk(rules, maxAdd) {
		var a rulesAnswer
		if err := s.call(ctx, http.MethodPost, path, map[string]any{"add": some}, &a); err != nil {
			return err
		}
		for _, e := range a.Errors {
			if e.Title != "DuplicateRule" {
				return fmt.Errorf("the server refuses a rule: %s", e)
			}
		}
	}
	return nil
}

// call does a request.
func (s *Source) call(ctx context.Context, method, path string, body, v any) error {
	b := []byte(nil)
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	s.authorize(req)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	_, err = polite.GetJSON(ctx, s.client, req, 30*time.Second, maxAnswer, v)
	return explain(err)
}

func (s *Source) authorize(req *http.Request) {
	req.Header.Set("Authorization", "Bearer "+s.cfg.Token.Reveal())
}

// explain adds what a person can do.
func explain(err error) error {
	var code *polite.StatusError
	if errors.As(err, &code) && (code.Code == http.StatusUnauthorized || code.Code == http.StatusForbidden) {
		return fmt.Errorf("the token (ingest.x.token) is not accepted, or its plan lacks the filtered stream: %w", err)
	}
	return err
}
