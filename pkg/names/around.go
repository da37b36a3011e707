package names

import (
	"strings"
	"unicode/utf8"

	"outcry.dev/pkg/names/fold"
)

// Limits of what is looked at around a name.
const (
	maxAroundBytes = 400 // on either side
	maxAroundWords = 160
)

// surroundings are the words around a name.
type surroundings struct {
	words  [maxAroundWords]near
	n      int
	name   int  // index of the name in words; it is one word here
	shouts bool // written in capitals
	titled bool // written Like This
}

// near is a word near a name.
type near struct {
	hash   uint64
	traits traits
	begins bool // a sentence, or the text
	upper  bool // begins with a capital
	past   bool // ends in "ed"
}

// read reads the words around text[start:end].
func (a *surroundings) read(r *reader, lexicon *wordTable, text string, start, end int) {
	from, to := max(0, start-maxAroundBytes), min(len(text), end+maxAroundBytes)
	for from > 0 && !utf8.RuneStart(text[from]) {
		from--
	}
	a.n, a.name = 0, -1
	var letters letterCount
	begins := true
	for i := from; i < to && a.n < len(a.words); {
		if i >= start && a.name < 0 {
			a.name = a.n
			a.put(near{begins: begins, upper: isUpper(text[start])})
			i, begins = end, false
			continue
		}
		w := r.word(text[:to], i)
		if a.name < 0 && w.end > start {
			w.end = start
		}
		i = w.end
		if w.class == fold.Break {
			switch text[w.start] {
			case '.', '!', '?', '\n', ':', '"', '(', '-', '*', '>':
				begins = true
			case '@', '#': // as words, handles and hashtags say little; a text often begins behind them
				for i < to && (isWordByte(text[i]) || text[i] == '_') && (a.name >= 0 || i < start) {
					i++
				}
				a.put(near{begins: begins})
			default:
				begins = begins || text[w.start] >= utf8.RuneSelf && text[w.start:w.end] != "’" // emoji end sentences as well
			}
			continue
		}
		switch hash, kind := contraction(text, w); {
		case kind == negation && a.n > 0 && a.n-1 != a.name:
			a.words[a.n-1].hash, a.words[a.n-1].traits = hash, lexicon.of(hash)
			continue
		case kind != notOne:
			continue
		}
		spelled := text[w.start:w.end]
		letters.add(spelled)
		has := lexicon.of(w.hash)
		if isNumber(spelled) {
			has |= number
		}
		a.put(near{hash: w.hash, traits: has, begins: begins, upper: isUpper(spelled[0]), past: strings.HasSuffix(spelled, "ed")})
		begins = false
	}
	if a.name < 0 { // many short words stand before it
		a.n = min(a.n, len(a.words)-1)
		a.name = a.n
		a.put(near{})
	}
	a.shouts = letters.upper > letters.lower
	a.titled = letters.long >= 3 && letters.capitals*10 >= letters.long*7
}

func (a *surroundings) put(w near) {
	if a.n < len(a.words) {
		a.words[a.n] = w
		a.n++
	}
}

// at gives the traits of the word that stands the given distance from the name; 0 where there is none.
func (a *surroundings) at(distance int) traits {
	i := a.name + distance
	if i < 0 || i >= a.n {
		return 0
	}
	return a.words[i].traits
}

// is says whether the word at the given distance from the name is the one with the hash.
func (a *surroundings) is(distance int, hash uint64) bool {
	i := a.name + distance
	return i >= 0 && i < a.n && a.words[i].hash == hash
}

// letterCount counts how a text is written.
type letterCount struct{ lower, upper, long, capitals int }

func (c *letterCount) add(word string) {
	for i := range min(len(word), 32) {
		if word[i]-'a' < 26 {
			c.lower++
		} else if isUpper(word[i]) {
			c.upper++
		}
	}
	if len(word) > 3 { // titles spare the short ones
		c.long++
		if isUpper(word[0]) {
			c.capitals++
		}
	}
}

func isUpper(c byte) bool { return c-'A' < 26 }

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i]-'0' >= 10 {
			return false
		}
	}
	return true
}

// What an apostrophe joins to the word before it.
const (
	notOne   = iota
	dropped  // "zoom's", "it's": the word before stands for all
	negation // "won't": one word, as "wont" is
)

// contraction says whether w is the end of a contraction, and what the whole hashes to where that is one word.
func contraction(text string, w word) (hash uint64, kind int) {
	if w.end-w.start != 1 || w.class != fold.Letter {
		return 0, notOne
	}
	before := w.start - 1
	switch {
	case before >= 0 && text[before] == '\'':
	case before >= 2 && text[before-2:w.start] == "’":
		before -= 2
	default:
		return 0, notOne
	}
	if text[w.start]|0x20 != 't' {
		return 0, dropped
	}
	from := before
	for from > 0 && isWordByte(text[from-1]) && before-from < maxWordBytes {
		from--
	}
	h := newHasher()
	for i := from; i < before; i++ {
		h.add(lower(text[i]))
	}
	h.add('t')
	return h.sum(), negation
}
