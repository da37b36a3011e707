package nlp

import (
	"sync"

	"github.com/jdkato/prose/v2"
)

// bare is a model without content: prose's tokenizer needs none, but decodes its default one when given none.
var bare = &prose.Model{Name: "tokens only"}

var tokenOptions = []prose.DocOpt{
	prose.UsingModel(bare), prose.WithSegmentation(false), prose.WithTagging(false), prose.WithExtraction(false),
}

// Tokens appends the tokens of a normalized text to dst: words, numbers and punctuation marks. Text outside the bounds of Normalize
// is cut at MaxBytes.
func Tokens(normalized string, dst []string) []string {
	if len(normalized) > MaxBytes {
		normalized = normalized[:MaxBytes]
	}
	doc, err := prose.NewDocument(normalized, tokenOptions...)
	if err != nil { // prose has no path to this; the text is then seen as having no words
		return dst
	}
	for _, t := range doc.Tokens() {
		dst = append(dst, t.Text)
	}
	return dst
}

var tagger = sync.OnceValue(func() *prose.Model {
	doc, err := prose.NewDocument("a", prose.WithSegmentation(false), prose.WithExtraction(false))
	if err != nil {
		panic("prose cannot decode its own model: " + err.Error())
	}
	return doc.Model
})

// Tags appends the Penn Treebank part of speech of each token of an English text to dst. It costs about twenty times what Tokens does: tag
// only what is in doubt.
func Tags(text string, tokens, tags []string) (toks, parts []string) {
	if len(text) > MaxBytes {
		text = text[:MaxBytes]
	}
	doc, err := prose.NewDocument(text, prose.UsingModel(tagger()), prose.WithSegmentation(false), prose.WithExtraction(false))
	if err != nil {
		return tokens, tags
	}
	for _, t := range doc.Tokens() {
		tokens, tags = append(tokens, t.Text), append(tags, t.Tag)
	}
	return tokens, tags
}
