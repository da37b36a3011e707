package api_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const evening = "from=2010-12-22T15:00Z&to=2010-12-22T21:00Z"

func TestExplore(t *testing.T) {
	for path, want := range map[string][]string{
		"/explore": {"Begin with", `name="add"`},
		"/explore?service=skype,viber&" + evening:                   {"Skype and Viber", `chart-line-2`, `aria-label="Leave out Viber"`, `href="/explore?from=2010-12-22T15:00Z&amp;service=skype&amp;to=2010-12-22T21:00Z"`, "series.csv?service=skype,viber&amp;", "not users affected", `data-does="out"`},
		"/explore?service=skype&measure=rate&" + evening:            {"per 1,000 mentions", "Leave out Skype"},
		"/explore?service=skype&by=symptom&" + evening:              {"Skype by symptom", "login", "breakdown.csv?by=symptom&amp;from="},
		"/explore?service=skype,viber&by=language&" + evening:       {"Skype by language", "Viber by language", "English"},
		"/explore?service=skype&step=1m&from=2010-12-01":            {"step=1m"},
		"/explore?service=skype&add=skypee&" + evening:              {`No service is called &#34;skypee&#34;. The nearest is &#34;skype&#34;`},
		"/services/skype?with=viber&" + evening:                     {"Skype and Viber", `href="/services/skype?from=`, "Too many to be chance", "Austin, United States", ">Germany<", "English", "over time"},
		"/services/skype?by=source&step=1h&measure=rate&" + evening: {"Skype by source", "<option selected>1h</option>", `value="rate" selected`},
	} {
		a := get(t, path)
		if a.StatusCode != 200 {
			t.Errorf("%s: %s", path, a.Status)
		}
		for _, text := range want {
			if !strings.Contains(a.body, text) {
				t.Errorf("%s lacks %q", path, text)
			}
		}
		for _, bad := range []string{"ZgotmplZ", " style=", "<no value>", "%!"} {
			if strings.Contains(a.body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
		if len(a.body) > 150_000 {
			t.Errorf("%s has %d bytes", path, len(a.body))
		}
	}
	for path, status := range map[string]int{"/explore?service=skypee": 404, "/explore?service=skype&by=colour": 400, "/explore?measure=half": 400, "/explore?service=a,b&from=x": 400,
		"/explore?service=skype,viber,gmail,github,facebook,twitter,youtube,google,whatsapp,slack,discord": 400} {
		if a := get(t, path); a.StatusCode != status || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s, want %d", path, a.Status, status)
		}
	}
}

// What a form sends becomes the address that holds the whole view.
func TestFormsLeadToAddresses(t *testing.T) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]string{
		"/explore?add=Skype": "/explore?service=skype",
		"/explore?service=skype&add=VIBER&by=&measure=people&step=":                     "/explore?service=skype,viber",
		"/explore?service=skype&add=skype&by=symptom&from=2010-12-22T15:00&step=15m":    "/explore?by=symptom&from=2010-12-22T15:00Z&service=skype&step=15m",
		"/services/skype?add=viber&measure=rate":                                        "/services/skype?measure=rate&with=viber",
		"/services/skype?add=&from=2010-12-22T15:00&to=2010-12-22T21:00&measure=people": "/services/skype?from=2010-12-22T15:00Z&to=2010-12-22T21:00Z",
	} {
		resp, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("%s leads to %s %q, want %q", path, resp.Status, got, want)
		}
	}
	client.CloseIdleConnections()
}

// The numbers beside a chart are those of the data, step by step.
func TestNumbersOfAView(t *testing.T) {
	const query = "&from=2010-12-22T16:00:00Z&to=2010-12-22T17:00:00Z&step=15m"
	type numbers struct {
		Names  []string
		Values [][]*float64
	}
	read := func(path string) (n numbers) {
		t.Helper()
		m := regexp.MustCompile(`data-numbers="([^"]*)"`).FindStringSubmatch(get(t, path).body)
		if m == nil {
			t.Fatalf("%s has no numbers", path)
		}
		if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var many struct {
		Series []struct {
			Points []struct {
				People int
				Rate   *float64 `json:"per_1000_mentions"`
			}
		}
	}
	getJSON(t, "/v1/series?service=skype,viber"+query, &many)
	people, rates := read("/explore?service=skype,viber"+query), read("/explore?service=skype,viber&measure=rate"+query)
	if strings.Join(people.Names, " ") != "Skype Viber" || len(people.Values) != 2 {
		t.Fatalf("%+v", people)
	}
	for s, series := range many.Series {
		for i, p := range series.Points {
			if v := people.Values[s][i]; v == nil || int(*v) != p.People {
				t.Errorf("%s, step %d: %v people, the data say %d", people.Names[s], i, v, p.People)
			}
			if v := rates.Values[s][i]; (v == nil) != (p.Rate == nil) || v != nil && (*v-*p.Rate > 0.06 || *p.Rate-*v > 0.06) {
				t.Errorf("%s, step %d: rate %v, the data say %v", people.Names[s], i, v, p.Rate)
			}
		}
	}
	if parts := read("/explore?service=skype&by=symptom" + query); parts.Names[0] != "login" || *parts.Values[0][1] != *people.Values[0][1] {
		t.Errorf("by symptom: %+v", parts)
	}
}

// Where the data end or a source was silent, nothing is known: not zero.
func TestSilenceIsNotZeroInAView(t *testing.T) {
	body := get(t, "/explore?service=skype,viber&from=2010-12-22T22:00Z&to=2010-12-23T02:00Z&step=1h").body
	if !strings.Contains(body, "not known") || !strings.Contains(body, "chart-silent") {
		t.Error("hours in which nothing was read look like quiet ones")
	}
}

// Of posts of X the id alone may be handed on.
func TestPostsOfXAreIDs(t *testing.T) {
	s, err := open(t.Context(), fmt.Sprint("ids", databases.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var rows []store.Mention
	for n, source := range []string{"x", "bluesky"} {
		rows = append(rows, store.Mention{Mention: &outcryv1.Mention{Id: uint64(n + 1), Service: "github", Label: outcryv1.Label_LABEL_OUTAGE, Score: 0.9, Source: source, PostId: "4711" + source,
			Author: uint64(n + 1), TimeUs: clock(16, 20).UnixMicro(), Text: "these words are from " + source, Url: "https://" + source + ".com/i/status/4711"}, CountedAtUS: clock(16, 20).UnixMicro()})
	}
	if err := s.InsertMentions(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	addr, stop, err := serve(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	body := get(t, "http://"+addr+"/services/github?"+evening).body
	for _, want := range []string{"these words are from bluesky", "Post 4711x", `href="https://x.com/i/status/4711" rel="nofollow noopener noreferrer"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "these words are from x") {
		t.Error("the page gives the text of a post of X")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
