package feature

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode/utf8"

	"outcry.dev/pkg/nlp"
)

//go:embed lexicon.txt
var lexiconText string

// LexiconText is the lexicon as embedded: part of what a model's version depends on.
func LexiconText() string { return lexiconText }

// concept numbers a group of words with one meaning; 0 is none.
type concept uint8

// Concepts that the code itself speaks of. The lexicon adds the others.
const (
	conceptNone   concept = iota
	conceptTarget         // the service looked at
	conceptOther          // another service
	conceptNeg
	conceptCant
	conceptWork
	conceptFirstFree
)

// lexicon finds the concepts of words.
type lexicon struct {
	names    []string           // of concepts
	words    map[uint64]concept // by hash of the word, or of a phrase joined by '_'
	prefixes map[uint64]concept // by hash of the first letters
	shortest int                // bytes of the shortest prefix
	longest  int
	starts   map[uint64]bool // hashes of first words of phrases
}

var words = mustLexicon(lexiconText)

const maxPhrase = 4 // words

func mustLexicon(text string) *lexicon {
	l := &lexicon{
		names: []string{"", "T", "S", "NEG", "CANT", "WORK"},
		words: map[uint64]concept{}, prefixes: map[uint64]concept{}, starts: map[uint64]bool{}, shortest: 1 << 30,
	}
	numbers := map[string]concept{"NEG": conceptNeg, "CANT": conceptCant, "WORK": conceptWork}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, entries, ok := strings.Cut(line, ":")
		if !ok {
			panic(fmt.Sprintf("lexicon line %d has no concept", n+1)) // embedded: a test loads it
		}
		c, known := numbers[name]
		if !known {
			c = concept(len(l.names))
			numbers[name] = c
			l.names = append(l.names, name)
		}
		for entry := range strings.FieldsSeq(entries) {
			l.add(entry, c)
		}
	}
	return l
}

func (l *lexicon) add(entry string, c concept) {
	entry, prefix := strings.CutSuffix(entry, "*")
	var folded []byte
	for _, r := range entry {
		folded = nlp.AppendFold(folded, r)
	}
	word := strings.ReplaceAll(string(folded), "'", "")
	if word == "" {
		return
	}
	spaceless := true
	for _, r := range word {
		spaceless = spaceless && nlp.Spaceless(r)
	}
	if spaceless { // matched over single characters
		runes := []rune(word)
		if len(runes) > 1 {
			l.starts[hashString(string(runes[0]))] = true
		}
		l.put(l.words, word, c)
		return
	}
	if first, _, phrase := strings.Cut(word, "_"); phrase {
		l.starts[hashString(first)] = true
	}
	if prefix && !strings.Contains(word, "_") {
		l.put(l.prefixes, word, c)
		l.shortest, l.longest = min(l.shortest, len(word)), max(l.longest, len(word))
		return
	}
	l.put(l.words, word, c)
}

// put keeps the first meaning of a word: English first, as listed.
func (l *lexicon) put(m map[uint64]concept, word string, c concept) {
	h := hashString(word)
	if _, taken := m[h]; !taken {
		m[h] = c
	}
}

// word finds the concept of one word.
func (l *lexicon) word(w string, hash uint64) concept {
	if c, ok := l.words[hash]; ok {
		return c
	}
	if len(w) < l.shortest {
		return conceptNone
	}
	// Longest prefix wins; the hash is built up byte by byte, so this costs one pass.
	var found concept
	h := uint64(fnvOffset)
	for i := 0; i < len(w) && i < l.longest; i++ {
		h = (h ^ uint64(w[i])) * fnvPrime
		if i+1 >= l.shortest && (i+1 == len(w) || utf8.RuneStart(w[i+1])) {
			if c, ok := l.prefixes[finish(h)]; ok {
				found = c
			}
		}
	}
	return found
}

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// hashString is FNV-1a with a finishing mix; it must give the same on every machine.
func hashString(s string) uint64 {
	h := uint64(fnvOffset)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return finish(h)
}

func finish(h uint64) uint64 {
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	return h
}

// join hashes a sequence of hashes.
func join(a, b uint64) uint64 {
	return finish((a^0x9e3779b97f4a7c15)*0xff51afd7ed558ccd + b)
}
