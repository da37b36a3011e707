package normal

import (
	"strings"

	"golang.org/x/net/html" // its tokenizer reads what browsers read, entities included
	"golang.org/x/net/html/atom"
)

// HTML returns the text of a piece of HTML, in the normal form: paragraphs and breaks become line breaks, links whose text is a shortened form of
// their address become the address, scripts and styles go.
func HTML(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return Text(s)
	}
	const most = 256 << 10 // of a piece; what is longer is no post
	if len(s) > most {
		s = s[:most]
	}
	z := html.NewTokenizer(strings.NewReader(s))
	var out []byte
	skip := 0           // depth of script, style and the like
	href, from := "", 0 // of the link that is open
	shortened := false  // it shows less than its address
	for {
		kind := z.Next()
		switch kind {
		case html.ErrorToken:
			return Text(string(out))
		case html.TextToken:
			if skip == 0 {
				out = append(out, z.Text()...)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, attributes := z.TagName()
			switch tag := atom.Lookup(name); tag {
			case atom.Br:
				out = append(out, '\n')
			case atom.P: // where nobody closes it, it stands between two paragraphs
				out = append(out, "\n\n"...)
			case atom.Div, atom.Li, atom.Blockquote, atom.Ul, atom.Ol, atom.Pre, atom.Tr, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
				out = append(out, '\n')
			case atom.Script, atom.Style, atom.Template, atom.Title, atom.Head, atom.Svg:
				if kind == html.StartTagToken {
					skip++
				}
			case atom.A, atom.Span:
				for attributes {
					var key, value []byte
					key, value, attributes = z.TagAttr()
					switch {
					case tag == atom.A && string(key) == "href":
						href, from, shortened = URL(string(value)), len(out), false
					case tag == atom.Span && string(key) == "class" && strings.Contains(" "+string(value)+" ", " ellipsis "):
						shortened = true
					}
				}
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch atom.Lookup(name) {
			case atom.P, atom.Div, atom.Li, atom.Blockquote, atom.Ul, atom.Ol, atom.Pre, atom.Tr, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
				out = append(out, '\n')
			case atom.Script, atom.Style, atom.Template, atom.Title, atom.Head, atom.Svg:
				skip = max(0, skip-1)
			case atom.A:
				if href != "" && (shortened || isShort(string(out[from:]))) {
					out = append(out[:from], href...)
				}
				href, shortened = "", false
			}
		}
	}
}

// isShort says that the text of a link is an address that was cut.
func isShort(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasSuffix(text, "…") || strings.HasSuffix(text, "...")
}
