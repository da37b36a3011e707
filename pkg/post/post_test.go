package post

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const whole = `{"id":"1","source":"bluesky","author":"ann","text":"hi","created_at":"2026-01-02T03:04:05.678Z"`

func TestParse(t *testing.T) {
	base := Post{ID: "1", Source: "bluesky", Author: "ann", Text: "hi", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)}
	with := func(change func(*Post)) Post {
		p := base
		change(&p)
		return p
	}
	for _, tt := range []struct {
		name, line string
		want       Post
	}{
		{"as short as it can be", whole + `}`, base},
		{"white space", " \t" + strings.NewReplacer(",", " ,\t", ":\"", " : \"").Replace(whole) + " }\r\n", base},
		{"every field", whole + `,"lang":"en","url":"https://example.org/1","reply_to":"0","repost_of":"9","place":"Oslo","author_verified":true}`,
			with(func(p *Post) {
				p.Lang, p.URL, p.ReplyTo, p.RepostOf, p.Place, p.AuthorVerified = "en", "https://example.org/1", "0", "9", "Oslo", true
			})},
		{"null is absent", whole + `,"lang":null,"author_verified":null,"place":null}`, base},
		{"unknown fields", whole + `,"likes":-1.5e+3,"zero":0,"e":1E2,"tags":["a",{"b":[]},null,true,false],"x":{},"":"\u0000"}`, base},
		{"deep unknown field", whole + `,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, base},
		{"the last of several wins", `{"text":"first","lang":"de",` + whole[1:] + `,"lang":null}`, with(func(p *Post) { p.Lang = "de" })},
		{"keys in another case", strings.Replace(whole, `"text":`, `"Text":`, 1) + `,"LANG":"no","PLACE":null}`, with(func(p *Post) { p.Lang = "no" })},
		{"a key that folds to a field", strings.Replace(whole, `"text":"hi"`, `"ſource":"mastodon","text":"hi"`, 1) + `}`,
			with(func(p *Post) { p.Source = "mastodon" })},
		{"escapes", strings.Replace(whole, `"hi"`, `"\"\\\/\b\f\n\r\t \u00e9\u20AC\ud83d\ude00."`, 1) + `}`, with(func(p *Post) { p.Text = "\"\\/\b\f\n\r\t é€😀." })},
		{"escaped key", strings.Replace(whole, `"text"`, `"te\u0078t"`, 1) + `}`, base},
		{"lone surrogates", strings.Replace(whole, `"hi"`, `"\ud83d \ude00 \ud83d\u0041"`, 1) + `}`, with(func(p *Post) { p.Text = "\uFFFD \uFFFD \uFFFDA" })},
		{"broken UTF-8", strings.Replace(whole, `"hi"`, "\"a\xffb\"", 1) + `}`, with(func(p *Post) { p.Text = "a\uFFFDb" })},
		{"NFC", strings.Replace(whole, `"hi"`, `"cafe\u0301 u\u0308"`, 1) + `}`, with(func(p *Post) { p.Text = "café ü" })},
		{"a time zone", strings.Replace(whole, `05.678Z`, `05.678+01:00`, 1) + `}`,
			with(func(p *Post) { p.CreatedAt = time.Date(2026, 1, 2, 2, 4, 5, 678e6, time.UTC) })},
		{"no text at all", `{"id":"1","source":"bluesky","author":"ann","created_at":"2026-01-02T03:04:05.678Z"}`, with(func(p *Post) { p.Text = "" })},
	} {
		got, err := Parse([]byte(tt.line))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"empty", ``, `not a JSON object: unexpected end of JSON input at byte 0`},
		{"cut off", whole, `not a JSON object: unexpected end of JSON input at byte 95`},
		{"more behind it", whole + `}}`, `not a JSON object: invalid character '}' after top-level value at byte 97`},
		{"control character", strings.Replace(whole, "hi", "h\x01", 1) + `}`, `invalid character '\x01' in string literal`},
		{"number with a leading zero", whole + `,"n":01}`, `invalid character '1' after object key:value pair`},
		{"number without digits", whole + `,"n":-}`, `invalid character '}' in numeric literal`},
		{"bad escape", strings.Replace(whole, "hi", `\x`, 1) + `}`, `invalid character 'x' in string escape code`},
		{"a list", `[]`, `not a JSON object: it is of type array`},
		{"a number for a text", strings.Replace(whole, `"hi"`, `7`, 1) + `}`, `field "text" holds a number where a string belongs`},
		{"no time", strings.Replace(whole, `2026-01-02T03:04:05.678Z`, `yesterday`, 1) + `}`, `field "created_at" is "yesterday"; write RFC 3339`},
		{"time as a number", strings.Replace(whole, `"2026-01-02T03:04:05.678Z"`, `1767323045`, 1) + `}`, `field "created_at" is no text; write RFC 3339`},
		{"null", `null`, `field "id" is missing or empty`},
		{"all fields missing", `{}`, "field \"id\" is missing or empty\nfield \"source\" is missing or empty\nfield \"author\" is missing or empty\nfield \"created_at\" is missing or empty"},
		{"a year before the web", strings.Replace(whole, "2026", "1970", 1) + `}`, `field "created_at" is in the year 1970`},
		{"text too long", strings.Replace(whole, "hi", strings.Repeat("x", MaxTextBytes+1), 1) + `}`, `field "text" has 10001 bytes; at most 10000 are read`},
		{"url too long", whole + `,"url":"` + strings.Repeat("u", MaxURLBytes+1) + `"}`, `field "url" has 4097 bytes; at most 4096 are read`},
		{"place too long", whole + `,"place":"` + strings.Repeat("p", MaxIDBytes+1) + `"}`, `field "place" has 513 bytes; at most 512 are read`},
		{"id too long", strings.Replace(whole, `"1"`, `"`+strings.Repeat("1", MaxIDBytes+1)+`"`, 1) + `}`, `field "id" has 513 bytes; at most 512 are read`},
	} {
		_, err := Parse([]byte(tt.line))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v\nwant %s", tt.name, err, tt.want)
		}
	}
}

// What encoding/json reads from what Outcry writes is read at the first go: the slow way is for the rare.
func TestOrdinaryPostsAreScanned(t *testing.T) {
	line, err := json.Marshal(Post{ID: "1", Source: "s", Author: "a", Text: "tab\t<b>&amp; \u2028 é 😀 \"quoted\"", CreatedAt: time.Unix(1.7e9, 5000).UTC(),
		Lang: "en", URL: "u", ReplyTo: "r", RepostOf: "q", Place: "p", AuthorVerified: true})
	if err != nil {
		t.Fatal(err)
	}
	var got, want Post
	if !scan(line, &got) {
		t.Fatalf("not scanned: %s", line)
	}
	if err := json.Unmarshal(line, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-encoding/json +scan\n%s", diff)
	}
}

// Where scan is certain, encoding/json says the same; and a post that Parse accepts is within its limits.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		whole + `}`, whole + `,"Lang":"x","n":[1e5,{"a":null}],"author_verified":true}`, `{"text":"\ud83d\ude00\ud800\"","text":null}`,
		`{"ID":"ſ","\u0069d":"2"}`, `{"created_at":"2026-01-02T03:04:05\u005a"}`, `{"a":{"b":[[],{}, -0.0]}} `, `{"text":"` + "\xc3\x28" + `"}`, `null`, `{"n":1.}`, `{"created_at":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var scanned, decoded Post
		if scan(line, &scanned) {
			if err := json.Unmarshal(line, &decoded); err != nil {
				t.Fatalf("scanned %q, which encoding/json refuses: %v", line, err)
			}
			if diff := cmp.Diff(fmt.Sprintf("%+v", decoded), fmt.Sprintf("%+v", scanned)); diff != "" {
				t.Fatalf("%q (-encoding/json +scan)\n%s", line, diff)
			}
		}
		p, err := Parse(line)
		if err != nil {
			return
		}
		if p.ID == "" || p.Source == "" || p.Author == "" || p.CreatedAt.IsZero() || len(p.Text) > MaxTextBytes || !utf8.ValidString(p.Text) {
			t.Errorf("accepted %q as %+v", line, p)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	line := []byte(whole + `,"lang":"en","reply_to":"3844773","place":"new orleans"}`)
	for _, way := range []struct {
		name string
		read func() error
	}{
		{"parse", func() error { _, err := Parse(line); return err }},
		{"encoding-json", func() error { var p Post; return json.Unmarshal(line, &p) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				if err := way.read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
