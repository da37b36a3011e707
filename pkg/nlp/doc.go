// Package nlp turns the text of a post into tokens, and tokens into tags, with the prose library; it is the only importer of prose.
//
// It must never know services or labels, and never keep a text.
//
// Not obvious:
//   - prose is English and was written for edited text. Normalize therefore runs first: it folds case, accents and width, removes
//     invisible characters, closes contractions ("can't" and "cant" become one word) and writes scripts without spaces as single characters
//     with spaces between them, so that prose's tokenizer meets only what it knows.
//   - Work is bounded: Normalize stops after MaxBytes of output and breaks words longer than MaxWord bytes, because prose's tokenizer takes
//     time quadratic in the length of a word.
//   - prose decodes its 17 MB model at each call that is not given one. All tokenizing here shares an empty model, which tokenizing does
//     not look at; tagging decodes the real one once, at the first post that is in doubt.
package nlp
