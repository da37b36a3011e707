package nlp

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/jdkato/prose/v2"
)

// bare is a model without content: prose's tokenizer needs none, but decodes its default one when given none.
var bare = &prose.Model{Name: "tokens only"}

var tokenOptions = []prose.DocOpt{
	prose.UsingModel(bare), prose.WithSegmentation(false), prose.WithTagging(false), prose.WithExtraction(false),
}

// separator stands between the parts of a text that prose is asked about. Texts cannot contain it: it is no character.
const separator = "\uFFFF"

// Tokenizer splits texts. The zero value is ready. It must not be shared between goroutines.
type Tokenizer struct {
	parts []byte
}

// Tokens appends the tokens of a text to dst: words, numbers, emoticons and punctuation marks. Only MaxBytes of it are read.
//
// The tokens are those that prose gives. It is asked only about what stands between spaces and is more than a word: a plain word is
// one token to prose as well, and finding that out takes it most of its time (a test compares both ways).
func (t *Tokenizer) Tokens(text string, dst []string) []string {
	text = cut(text)
	t.parts = t.parts[:0]
	for part := range strings.FieldsSeq(text) {
		if !plain(part) && part != separator {
			t.parts = append(append(t.parts, part...), " "+separator+" "...)
		}
	}
	var asked []string
	if len(t.parts) > 0 {
		asked = proseTokens(string(t.parts))
	}
	for part := range strings.FieldsSeq(text) {
		switch {
		case part == separator:
		case plain(part):
			dst = append(dst, part)
		default:
			for len(asked) > 0 && asked[0] != separator {
				dst = append(dst, asked[0])
				asked = asked[1:]
			}
			if len(asked) > 0 {
				asked = asked[1:]
			}
		}
	}
	return dst
}

// proseTokens asks prose for the tokens of a text.
func proseTokens(text string) []string {
	found := document(text, tokenOptions)
	tokens := make([]string, len(found))
	for i, f := range found {
		tokens[i] = f.Text
	}
	return tokens
}

// document asks prose, and stands in for it where it fails: prose finds endings in the lower-case form of a word and cuts the word itself
// there, which panics where lower case is longer ("İ's") or the text is not UTF-8.
func document(text string, options []prose.DocOpt) (tokens []prose.Token) {
	defer func() {
		if recover() != nil {
			tokens = nil
			for part := range strings.FieldsSeq(text) {
				tokens = append(tokens, prose.Token{Text: part})
			}
		}
	}()
	doc, err := prose.NewDocument(text, options...)
	if err != nil { // prose has no path to this
		return nil
	}
	return doc.Tokens()
}

// plain reports whether prose would give part as it is: letters and digits without punctuation, or a single character.
func plain(part string) bool {
	for i := 0; i < len(part); i++ {
		c := part[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= utf8.RuneSelf) {
			return i == 0 && len(part) == 1
		}
	}
	return true
}

func cut(text string) string {
	if len(text) <= MaxBytes {
		return text
	}
	end := MaxBytes
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

var tagger = sync.OnceValue(func() *prose.Model {
	doc, err := prose.NewDocument("a", prose.WithSegmentation(false), prose.WithExtraction(false))
	if err != nil {
		panic("prose cannot decode its own model: " + err.Error())
	}
	return doc.Model
})

// Tag is a token of an English text and its part of speech.
type Tag struct {
	Text string
	Part string // Penn Treebank
}

// Tags appends the tokens of an English text with their parts of speech to dst. It costs about twenty times what Tokens does: tag only
// what is in doubt. It is safe for concurrent use.
func Tags(text string, dst []Tag) []Tag {
	tagged := []prose.DocOpt{prose.UsingModel(tagger()), prose.WithSegmentation(false), prose.WithExtraction(false)}
	for _, t := range document(cut(text), tagged) {
		dst = append(dst, Tag{Text: t.Text, Part: t.Tag})
	}
	return dst
}
