package names

import "outcry.dev/pkg/names/fold"

// A phrase is a row of words; zero stands for any word.
type phrase struct {
	words []uint64
	name  int // where the service's name stands, or -1
}

func newPhrase(text string, r *reader) phrase {
	p := phrase{name: -1}
	for i := 0; i < len(text); {
		switch text[i] {
		case '~', '*':
			if text[i] == '~' {
				p.name = len(p.words)
			}
			p.words = append(p.words, 0)
			i++
			continue
		}
		w := r.word(text, i)
		i = w.end
		if w.class == fold.Break {
			continue
		}
		switch hash, kind := contraction(text, w); kind {
		case notOne:
			p.words = append(p.words, w.hash)
		case negation:
			if len(p.words) > 0 {
				p.words[len(p.words)-1] = hash
			}
		}
	}
	return p
}

// at says whether the phrase stands in the surroundings from the given word on.
func (p *phrase) at(a *surroundings, from int) bool {
	if from < 0 || from+len(p.words) > a.n {
		return false
	}
	for i, want := range p.words {
		if i != p.name && want != 0 && a.words[from+i].hash != want {
			return false
		}
	}
	return true
}

// around gives the number of words of the longest of the phrases with the name that stands around it.
func around(a *surroundings, phrases []phrase) int {
	longest := 0
	for i := range phrases {
		if p := &phrases[i]; p.name >= 0 && len(p.words) > longest && p.at(a, a.name-p.name) {
			longest = len(p.words)
		}
	}
	return longest
}

// anywhere says whether one of the phrases without the name stands anywhere.
func anywhere(a *surroundings, phrases []phrase) bool {
	for i := range phrases {
		p := &phrases[i]
		for from := 0; p.name < 0 && from+len(p.words) <= a.n; from++ {
			if p.at(a, from) {
				return true
			}
		}
	}
	return false
}
