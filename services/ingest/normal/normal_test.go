package normal

import (
	"html"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"outcry.dev/pkg/post"
)

func TestText(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"as it is", "as it is"},
		{" two  spaces\tand a tab ", "two spaces and a tab"},
		{"a\r\nb\rc\n\n\n\nd \n e", "a\nb c\n\nd\ne"},
		{"e\u0301", "é"},
		{"a\x00b\x1bc\u0085d\ufeff", "abc\nd"},
		{"\xffa", "\uFFFDa"},
		{"日本\u3000語", "日本 語"},
		{strings.Repeat("x", post.MaxTextBytes+1), strings.Repeat("x", post.MaxTextBytes)},
		{strings.Repeat("x", post.MaxTextBytes-1) + "é", strings.Repeat("x", post.MaxTextBytes-1)},
		{"flag 🇳🇴 family 👨\u200d👩\u200d👧", "flag 🇳🇴 family 👨\u200d👩\u200d👧"},
	} {
		if got := Text(tt.in); got != tt.want {
			t.Errorf("Text(%.40q) is %.40q of %d bytes, want %.40q of %d", tt.in, got, len(got), tt.want, len(tt.want))
		}
	}
}

func TestHTML(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "Skype is down", "Skype is down"},
		{"entities", "a &lt;b&gt; &amp;amp; &#39;c&#x27; &nbsp;d", "a <b> &amp; 'c' d"},
		{"paragraphs", "<p>one</p><p>two<br>three<br/>four</p>", "one\n\ntwo\nthree\nfour"},
		{"Mastodon", `<p>Netflix is &lt;down&gt;<br>again <a href="https://example.org/tags/x" class="mention hashtag" rel="tag">#<span>netflixdown</span></a></p>`,
			"Netflix is <down>\nagain #netflixdown"},
		{"a link in pieces", `see <a href="https://example.org/a/very/long/path"><span class="invisible">https://</span><span class="ellipsis">example.org/a/very</span><span class="invisible">/long/path</span></a>!`,
			"see https://example.org/a/very/long/path!"},
		{"a shortened link", `<a href="https:&#x2F;&#x2F;example.org&#x2F;abc" rel="nofollow">https:&#x2F;&#x2F;example.org&#x2F;a...</a>`, "https://example.org/abc"},
		{"a link with words", `<a href="https://example.org/">the page</a>`, "the page"},
		{"a link that is none", `<a href="javascript:alert(1)">click…</a>`, "click…"},
		{"Hacker News", "First<p>Second &gt; third<p><pre><code>  a  b\n</code></pre>", "First\n\nSecond > third\n\na b"},
		{"a script", "a<script>if (a < b) { alert('x') }</script>b<style>p{}</style>c", "abc"},
		{"half a tag", "a <b", "a"},
		{"less than", "1 < 2 and 3 > 2", "1 < 2 and 3 > 2"},
		{"a comment", "a<!-- b -->c", "ac"},
	} {
		if got := HTML(tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestLinks(t *testing.T) {
	const text = "é see t.co/x and t.co/y"
	for _, tt := range []struct {
		name  string
		links []Link
		want  string
	}{
		{"none", nil, text},
		{"two, in any order", []Link{{18, 24, "https://b"}, {7, 13, "https://a"}}, "é see https://a and https://b"},
		{"out of the text", []Link{{7, 99, "x"}, {-1, 3, "x"}, {30, 31, "x"}, {5, 5, "x"}}, text},
		{"through a character", []Link{{1, 3, "x"}, {0, 1, "x"}}, text},
		{"overlapping", []Link{{7, 13, "https://a"}, {9, 12, "https://b"}}, "é see https://a and t.co/y"},
		{"without an address", []Link{{7, 13, ""}}, text},
	} {
		if got := Links(text, tt.links); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestExpand(t *testing.T) {
	for _, tt := range []struct{ text, short, whole, want string }{
		{"see https://t.co/ab, and https://t.co/ab!", "https://t.co/ab", "https://example.org/a", "see https://example.org/a, and https://example.org/a!"},
		{"see https://t.co/abc and https://t.co/ab", "https://t.co/ab", "https://example.org/a", "see https://t.co/abc and https://example.org/a"},
		{"see https://t.co/ab", "https://t.co/ab", "javascript:x", "see https://t.co/ab"},
		{"see https://t.co/ab", "", "https://example.org/a", "see https://t.co/ab"},
		{"see https://t.co/ab", "e", "https://example.org/a", "see https://t.co/ab"},
		{"", "https://t.co/ab", "https://example.org/a", ""},
	} {
		if got := Expand(tt.text, tt.short, tt.whole); got != tt.want {
			t.Errorf("%q, %q to %q: %q, want %q", tt.text, tt.short, tt.whole, got, tt.want)
		}
	}
	bomb := Expand(strings.Repeat("http://x ", 5000), "http://x", "https://example.org/"+strings.Repeat("x", 4000))
	if len(bomb) > 200_000 {
		t.Errorf("a text of 45,000 bytes became one of %d", len(bomb))
	}
}

func TestTime(t *testing.T) {
	received := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ claimed, want time.Time }{
		{time.Time{}, received},
		{received.Add(-time.Hour), received.Add(-time.Hour)},
		{time.Unix(0, 0), received.Add(-Oldest)},
		{time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), received},
		{received.Add(time.Second), received},
		{received.Add(-time.Minute).In(time.FixedZone("", 3600)), received.Add(-time.Minute)},
	} {
		if got := Time(tt.claimed, received); got != tt.want {
			t.Errorf("claimed %s: %s, want %s", tt.claimed, got, tt.want)
		}
	}
}

func TestLang(t *testing.T) {
	for in, want := range map[string]string{"": "", "en": "en", "EN": "en", "pt-br": "pt-BR", "zh_Hant_TW": "zh-Hant-TW", "und": "", "english": "", "x": "",
		"no\x00": "", "tlh": "tlh", strings.Repeat("a-", 40): ""} {
		if got := Lang(in); got != want {
			t.Errorf("Lang(%q) is %q, want %q", in, got, want)
		}
	}
}

func TestURL(t *testing.T) {
	for in, want := range map[string]string{" https://a.example/x ": "https://a.example/x", "http://a": "http://a", "javascript:x": "", "https://a b": "", "": "",
		"https://" + strings.Repeat("x", post.MaxURLBytes): ""} {
		if got := URL(in); got != want {
			t.Errorf("URL(%q) is %q, want %q", in, got, want)
		}
	}
}

// Whatever comes: the result is valid, within its limit, and its own normal form; HTML that was made of a text gives the text.
func FuzzNormal(f *testing.F) {
	for _, s := range []string{"", "a", "<p>a</p>", "&lt;b&gt; é e\u0301 \u1100\u1161\u11a8", "\xff\x00", "\U0001F1F3\U0001F1F4", strings.Repeat("\u0344", 6000),
		strings.Repeat("x", post.MaxTextBytes-1) + "e\u0301", "a \u0301", "\n\u0308", "<a href=https://x>x…</a>", "\u2028\u200b \u00a0"} {
		f.Add(s, 0, 1)
	}
	f.Fuzz(func(t *testing.T, s string, from, to int) {
		for name, got := range map[string]string{"Text": Text(s), "HTML": HTML(s)} {
			switch {
			case len(got) > post.MaxTextBytes, !utf8.ValidString(got), !norm.NFC.IsNormalString(got):
				t.Errorf("%s(%q) is %q: too long, not UTF-8 or not NFC", name, s, got)
			case normalized(got) != got:
				t.Errorf("%s(%q) is %q, whose normal form is %q", name, s, got, normalized(got))
			case strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }):
				t.Errorf("%s(%q) is %q, with control characters", name, s, got)
			}
		}
		if isNormal(s) && normalized(s) != s {
			t.Errorf("%q is taken for its normal form, which is %q", s, normalized(s))
		}
		if got := Text(Expand(s, "https://t.co/x", "https://example.org/"+strconv.Itoa(from))); normalized(got) != got {
			t.Errorf("%q expands to %q", s, got)
		}
		if text := Text(s); len(text) < post.MaxTextBytes/8 && HTML(html.EscapeString(text)) != text {
			t.Errorf("%q came back as %q", text, HTML(html.EscapeString(text)))
		}
		if lang := Lang(s); Lang(lang) != lang || len(lang) > post.MaxIDBytes {
			t.Errorf("Lang(%q) is %q, and that is %q", s, lang, Lang(lang))
		}
		if field := Field(s); Field(field) != field || len(field) > post.MaxIDBytes || strings.Contains(field, "\n") {
			t.Errorf("Field(%q) is %q, and that is %q", s, field, Field(field))
		}
		if url := URL(s); URL(url) != url {
			t.Errorf("URL(%q) is %q, and that is %q", s, url, URL(url))
		}
		if utf8.ValidString(s) && !utf8.ValidString(Links(s, []Link{{from, to, "https://x"}, {to, from, "https://y"}})) {
			t.Errorf("Links cut a character of %q at %d or %d", s, from, to)
		}
	})
}
