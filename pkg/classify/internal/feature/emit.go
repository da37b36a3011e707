package feature

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bits is the size of the feature space as a power of two.
const Bits = 18

// Target says what is known of the service looked at.
type Target struct {
	Ordinal  int    // in Document.Services, or -1 for a text that names none
	Category uint64 // hash of its kind of business
	Official bool   // one of its official accounts wrote the post
}

// Vector is a sparse vector of Euclidean length 1. Index may repeat.
type Vector struct {
	Index []uint32
	Value []float32
	Notes []string // what each feature is, when asked for
}

// Families of features, each with its own weight in the vector.
const (
	famWord = iota + 1
	famPair
	famTriple
	famSkip
	famChar
	famConcept
	famConceptPair
	famConceptTriple
	famNear
	famClause
	famFlag
	famCategory
	famNegated
	famEnds
	famWordClause
	famCross
	famCue // of symptoms; its weight is the feature's value
	families
)

var familyWeight = [families]float32{
	famWord: 1, famPair: 0.9, famTriple: 0.7, famSkip: 0.5, famChar: 0.35, famConcept: 1, famConceptPair: 1, famConceptTriple: 0.8,
	famNear: 0.7, famClause: 1, famFlag: 1, famCategory: 0.8, famNegated: 1.2, famEnds: 0.8, famWordClause: 0.7, famCross: 0.4,
	famCue: 0.6,
}

var familyNames = [families]string{
	famWord: "word", famPair: "words", famTriple: "words", famSkip: "words apart", famChar: "letters", famConcept: "concept",
	famConceptPair: "concepts", famConceptTriple: "concepts", famNear: "near", famClause: "same clause", famFlag: "form",
	famCategory: "kind of service", famNegated: "negated", famEnds: "begins or ends", famWordClause: "word by clause", famCross: "together", famCue: "symptom",
}

const (
	hashTarget = 0x1234567812345678
	hashOther  = 0x8765432187654321
	hashStart  = 0x1111
	hashEnd    = 0x2222
)

// Trace asks for readable notes in the vectors that follow.
func (d *Document) Trace(on bool) { d.trace = on }

// HashName numbers a category or another name for Target.
func HashName(s string) uint64 { return hashString(s) }

func (d *Document) emit(family int, hash uint64, note func() string) {
	h := join(hash, uint64(family)*0x9e3779b97f4a7c15)
	d.hashes = append(d.hashes, uint32(h>>(64-Bits)))
	d.weight = append(d.weight, familyWeight[family])
	if d.trace {
		d.notes = append(d.notes, familyNames[family]+" "+note())
	}
}

// Features gives the features of the post as seen from one service. The vector is valid until the next call.
func (d *Document) Features(t Target) Vector {
	d.hashes, d.weight, d.notes = d.hashes[:0], d.weight[:0], d.notes[:0]
	toks := d.tokens
	n := len(toks)

	id := func(i int) uint64 { // how a token reads from here
		switch {
		case i < 0:
			return hashStart
		case i >= n:
			return hashEnd
		case toks[i].service < 0:
			return toks[i].hash
		case int(toks[i].service) == t.Ordinal:
			return hashTarget
		}
		return hashOther
	}
	text := func(i int) string {
		switch {
		case i < 0:
			return "^"
		case i >= n:
			return "$"
		case toks[i].service < 0:
			switch r, _ := utf8.DecodeRuneInString(toks[i].text); r {
			case link:
				return "<link>"
			case handle:
				return "<handle>"
			case number:
				return "<number>"
			}
			return toks[i].text
		case int(toks[i].service) == t.Ordinal:
			return "<service>"
		}
		return "<other service>"
	}

	// Words, and words in order.
	clear(d.clauses[:])
	for i := range toks {
		if int(toks[i].service) == t.Ordinal && t.Ordinal >= 0 {
			d.clauses[toks[i].clause%maxTokens] = true
		}
	}
	for i := range toks {
		a := id(i)
		d.emit(famWord, a, func() string { return text(i) })
		b := id(i + 1)
		d.emit(famPair, join(a, b), func() string { return text(i) + " " + text(i+1) })
		if i+2 <= n {
			c := id(i + 2)
			d.emit(famTriple, join(join(a, b), c), func() string { return text(i) + " " + text(i+1) + " " + text(i+2) })
			d.emit(famSkip, join(a, c), func() string { return text(i) + " … " + text(i+2) })
		}
		if toks[i].kind == word && toks[i].service < 0 {
			d.letters(toks[i].text)
		}
	}
	d.emit(famPair, join(hashStart, id(0)), func() string { return "^ " + text(0) })

	d.conceptFeatures(t, text)

	// Words close to the service, by side.
	if t.Ordinal >= 0 {
		for i := range toks {
			if int(toks[i].service) != t.Ordinal {
				continue
			}
			for k := 1; k <= 4; k++ {
				if j := i - k; j >= 0 {
					d.emit(famNear, join(id(j), uint64(100+min(k, 3))), func() string { return fmt.Sprintf("%s %d before", text(j), min(k, 3)) })
				}
				if j := i + k; j < n {
					d.emit(famNear, join(id(j), uint64(200+min(k, 3))), func() string { return fmt.Sprintf("%s %d after", text(j), min(k, 3)) })
				}
			}
		}
		for i := range toks {
			if toks[i].kind == word {
				same := d.clauses[toks[i].clause%maxTokens]
				d.emit(famWordClause, join(id(i), boolHash(same)), func() string { return text(i) + clauseNote(same) })
			}
		}
	}

	d.formFeatures(t)

	var sum float32
	for _, w := range d.weight {
		sum += w * w
	}
	if sum > 0 {
		scale := float32(1 / math.Sqrt(float64(sum)))
		for i := range d.weight {
			d.weight[i] *= scale
		}
	}
	return Vector{Index: d.hashes, Value: d.weight, Notes: d.notes}
}

// Cues lengthens the vector that Features last gave by what tells one symptom from another: the concepts, alone, by clause and under a
// negation, with values that do not shrink in long posts. What a post says so outweighs what is usual for the kind of service.
// t must be that of Features; the vector is valid until the next call.
func (d *Document) Cues(t Target) Vector {
	negated := -10 // where the last negation stood
	for i := range d.tokens {
		c := d.conceptOf(i, t)
		if c <= conceptOther {
			continue
		}
		name := words.names[c]
		d.emit(famCue, uint64(c), func() string { return name })
		if t.Ordinal >= 0 {
			same := d.clauses[d.tokens[i].clause%maxTokens]
			d.emit(famCue, join(boolHash(same), uint64(c)), func() string { return name + clauseNote(same) })
		}
		if c == conceptNeg || c == conceptCant {
			negated = i
		} else if i-negated <= 4 {
			d.emit(famCue, join(uint64(c), 77), func() string { return "not " + name })
		}
	}
	return Vector{Index: d.hashes, Value: d.weight, Notes: d.notes}
}

func boolHash(b bool) uint64 {
	if b {
		return 31
	}
	return 57
}

func clauseNote(same bool) string {
	if same {
		return " with the service"
	}
	return " elsewhere"
}

// letters emits the character n-grams of a word: for typing errors, endings, hashtags and languages with few examples.
func (d *Document) letters(w string) {
	if len(w) < 4 {
		return
	}
	if len(w) > 24 {
		w = w[:24]
	}
	for size := 3; size <= 5; size++ {
		for i := 0; i+size <= len(w); i++ {
			if !utf8.RuneStart(w[i]) {
				continue
			}
			end := i + size
			for end < len(w) && !utf8.RuneStart(w[end]) {
				end++
			}
			h := uint64(fnvOffset)
			for _, c := range []byte(w[i:end]) {
				h = (h ^ uint64(c)) * fnvPrime
			}
			edge := uint64(0)
			if i == 0 {
				edge = 1
			}
			if end == len(w) {
				edge += 2
			}
			d.emit(famChar, h+edge*0x5851f42d4c957f2d, func() string {
				return strings.Repeat("^", int(edge&1)) + w[i:end] + strings.Repeat("$", int(edge>>1))
			})
		}
	}
}

func (d *Document) conceptOf(i int, t Target) concept {
	tok := &d.tokens[i]
	switch {
	case tok.service < 0:
		return tok.concept
	case int(tok.service) == t.Ordinal:
		return conceptTarget
	}
	return conceptOther
}

// conceptFeatures reads the text as a sequence of concepts.
func (d *Document) conceptFeatures(t Target, text func(int) string) {
	var c1, c2 concept // the two before
	var at1 int
	negated := -10 // where the last negation stood
	cat := t.Category
	for i := range d.tokens {
		c := d.conceptOf(i, t)
		if c == conceptNone {
			continue
		}
		name := func(c concept) string { return words.names[c] }
		d.emit(famConcept, uint64(c), func() string { return name(c) })
		near := uint64(0)
		if c1 != conceptNone && i-at1 <= 2 {
			near = 1
		}
		d.emit(famConceptPair, uint64(c1)<<8|uint64(c), func() string { return name(c1) + " " + name(c) })
		if near == 1 {
			d.emit(famConceptPair, uint64(c1)<<8|uint64(c)|1<<20, func() string { return name(c1) + "+" + name(c) })
		}
		d.emit(famConceptTriple, uint64(c2)<<16|uint64(c1)<<8|uint64(c), func() string { return name(c2) + " " + name(c1) + " " + name(c) })
		if c > conceptOther {
			same := d.clauses[d.tokens[i].clause%maxTokens]
			if t.Ordinal >= 0 {
				d.emit(famClause, join(boolHash(same), uint64(c)), func() string { return name(c) + clauseNote(same) })
			}
			if cat != 0 {
				d.emit(famCategory, join(cat, uint64(c)), func() string { return name(c) })
			}
			if c != conceptNeg && c != conceptCant && i-negated <= 4 {
				d.emit(famNegated, uint64(c), func() string { return name(c) })
				d.emit(famNegated, join(d.tokens[i].hash, 77), func() string { return text(i) })
			}
			if c == conceptNeg || c == conceptCant {
				negated = i
			}
		}
		c2, c1, at1 = c1, c, i
	}
	d.emit(famConceptPair, uint64(c1)<<8|0xff, func() string { return words.names[c1] + " $" })
	d.crossFeatures(t)
}

// crossFeatures pairs all that is said anywhere in the post: a linear model of pairs sees what one of single concepts cannot.
func (d *Document) crossFeatures(t Target) {
	d.seen = d.seen[:0]
	add := func(h uint64, note string) {
		for _, s := range d.seen {
			if s.hash == h {
				return
			}
		}
		if len(d.seen) < maxCross {
			d.seen = append(d.seen, sight{h, note})
		}
	}
	for i := range d.tokens {
		c := d.conceptOf(i, t)
		if c > conceptOther {
			h := uint64(c)
			if t.Ordinal >= 0 && !d.clauses[d.tokens[i].clause%maxTokens] {
				h += 1 << 10
			}
			add(h, words.names[c])
		}
	}
	for _, f := range d.flags {
		add(f, flagNames[f])
	}
	if len(d.tokens) > 0 && t.Ordinal >= 0 && int(d.tokens[0].service) == t.Ordinal {
		add(hashStart, "begins with the service")
	}
	if t.Category != 0 {
		add(t.Category, "kind of service")
	}
	for i, a := range d.seen {
		for _, b := range d.seen[i+1:] {
			x, y := a, b
			if x.hash > y.hash {
				x, y = y, x
			}
			d.emit(famCross, join(x.hash, y.hash), func() string { return x.note + " & " + y.note })
		}
	}
}

// sight is something that a post says or is.
type sight struct {
	hash uint64
	note string
}

// maxCross bounds the pairs: their number grows with its square.
const maxCross = 16

// formFeatures says what shape the post has.
func (d *Document) formFeatures(t Target) {
	flag := func(name string) {
		d.emit(famFlag, hashString(name), func() string { return name })
	}
	for _, f := range d.flags {
		d.emit(famFlag, f, func() string { return flagNames[f] })
	}
	size := 0
	for n := len(d.tokens); n > 2; n /= 2 {
		size++
	}
	flag("length " + strconv.Itoa(size))
	flag("services " + strconv.Itoa(min(len(d.services), 4)))
	if t.Ordinal < 0 {
		flag("no service named")
	} else {
		if len(d.tokens) > 0 && int(d.tokens[0].service) == t.Ordinal {
			flag("begins with the service")
			d.emit(famFlag, join(t.Category, 5), func() string { return "begins with a service of this kind" })
			if len(d.tokens) < 9 {
				d.emit(famFlag, join(t.Category, 6), func() string { return "terse, begins with a service of this kind" })
			}
		}
		d.emit(famCategory, t.Category, func() string { return "itself" })
	}
	if t.Official || d.official >= 0 {
		flag("by an official account")
	}
}

var flagNames = func() map[uint64]string {
	m := map[uint64]string{}
	for _, s := range []string{"repost", "reply", "starts with handle", "starts with unknown handle", "author in brackets", "hashtag", "stretched", "capitals", "!", "!!", "?", "??", "..."} {
		m[hashString(s)] = s
	}
	return m
}()
