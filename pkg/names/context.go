package names

import (
	"slices"
	"strings"
	"unicode/utf8"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/names/fold"
)

// Names that are words as well, "Target" or "Zoom", are weighed: hints that the service is meant and hints that the word is meant
// add up, in the spirit of a naive Bayes classifier whose log odds are set by hand, on testdata/context-dev.txt. Only texts that hold
// such a name pay for it.

// Weights of the hints. The sum must reach enough.
const (
	enough = 2

	hintPhrase      = 4    // a phrase of Service.Context that holds the name
	hintNot         = -6   // a phrase of Service.Not that holds the name
	hintNotAnywhere = -4   // another one, anywhere
	hintContext     = 2    // a word of Service.Context anywhere
	hintContextMore = 1    // each further one, two at most
	hintFails       = 3    // "zoom is down", "zoom crashed"
	hintAgent       = 2    // "zoom wants", "zoom keeps"
	hintAsked       = 1    // "is zoom", "does zoom"
	hintPart        = 2.5  // "zoom app", "zoom servers"
	hintUses        = 2    // "using zoom", "log in to zoom"
	hintAt          = 1    // "on zoom", "at target"
	hintTech        = 1    // talk of apps and accounts anywhere
	hintTechMore    = 0.5  // each further one, two at most
	hintFailsAny    = 0.75 // something fails, not next to the name
	hintPeer        = 2    // "slack and gmail": another service, joined
	hintOther       = 1    // another service anywhere
	hintCapital     = 2    // a capital within a sentence
	hintUpper       = 2.5  // LINE, as it is written, in a text that does not shout
	hintNotUpper    = -1.5 // line, for LINE
	hintBare        = 0.5  // without an article where a thing's name would need one: "so zoom", "for zoom"
	hintPerson      = -2   // "Charlie Cox"
	hintTag         = 1.5  // #zoom
	hintSignature   = -3   // "^EA": initials of who answers for a company
	hintScript      = 1.5  // a Latin name among characters of another script
	hintIndef       = -3   // "a target"
	hintDef         = -2   // "the target"
	hintPoss        = -2   // "his target"
	hintOwn         = -0.5 // "my target"
	hintNumber      = -2   // "two teams", "next target"
	hintVerbal      = -2.5 // "to chase", "we chase"
	hintObject      = -2   // "chase the", "meet me"
)

// maxElsewhere bounds what the rest of a text may add where nothing at the name speaks for the service.
const maxElsewhere = 1.5

// contexts judges names that are words as well.
type contexts struct {
	lexicon  wordTable
	services []context // by service; empty where no name is weak
}

// context is what a service's context words and phrases have become.
type context struct {
	words   []uint64 // sorted
	phrases []phrase
	nots    []phrase
	uppers  []uint64 // names that are written in capitals
}

// A phrase is a row of words; zero stands for any word.
type phrase struct {
	words []uint64
	name  int // where the service's name stands, or -1
}

func newContexts(c *catalog.Catalog, r *reader) contexts {
	out := contexts{lexicon: newLexicon(r), services: make([]context, len(c.Services))}
	for i := range c.Services {
		s := &c.Services[i]
		if !s.Ambiguous && len(s.Weak) == 0 {
			continue
		}
		to := &out.services[i]
		weak := s.Weak
		if s.Ambiguous {
			weak = append(slices.Clip(weak), s.Name)
		}
		for _, name := range weak {
			if len(name) > 1 && strings.ToUpper(name) == name && strings.ToLower(name) != name {
				to.uppers = append(to.uppers, r.word(name, 0).hash)
			}
		}
		for _, text := range s.Context {
			p := newPhrase(text, r)
			if len(p.words) == 1 && p.name < 0 {
				to.words = append(to.words, p.words[0])
			} else if len(p.words) > 0 {
				to.phrases = append(to.phrases, p)
			}
		}
		for _, text := range s.Not {
			if p := newPhrase(text, r); len(p.words) > 0 {
				to.nots = append(to.nots, p)
			}
		}
		slices.Sort(to.words)
	}
	return out
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

// judge sets InContext of the weak matches.
func (c *contexts) judge(r *reader, text string, found []Match) {
	var around surroundings
	for i := range found {
		if found[i].InContext {
			continue
		}
		around.read(r, &c.lexicon, text, int(found[i].Start), int(found[i].End))
		found[i].InContext = c.score(r, &around, text, found, i) >= enough
	}
	// A post that means the service once means it wherever it names it.
	for i := range found {
		for j := range found {
			if found[j].Service == found[i].Service && found[j].InContext {
				found[i].InContext = true
				break
			}
		}
	}
}

// Limits of what is looked at around a name.
const (
	maxAroundBytes = 400 // on either side
	maxAroundWords = 160
)

// surroundings are the words around a name.
type surroundings struct {
	from, to int // the part of the text that was read
	words    [maxAroundWords]near
	n        int
	name     int // index of the name in words; the name is one word here
	shouts   bool
	titled   bool
}

// near is a word near a name.
type near struct {
	hash   uint64
	start  int
	traits traits
	begins bool // a sentence, or the text
	upper  bool // begins with a capital
}

func (a *surroundings) read(r *reader, lexicon *wordTable, text string, start, end int) {
	from := max(0, start-maxAroundBytes)
	for from > 0 && !utf8.RuneStart(text[from]) {
		from--
	}
	to := min(len(text), end+maxAroundBytes)
	a.from, a.to, a.n, a.name = from, to, 0, -1
	begins := true
	lowers, uppers, capitals, long := 0, 0, 0, 0
	for i := from; i < to && a.n < len(a.words); {
		if i >= start && a.name < 0 {
			a.name = a.n
			first, _ := utf8.DecodeRuneInString(text[start:])
			a.words[a.n] = near{start: start, begins: begins, upper: isUpper(first)}
			a.n++
			i, begins = end, false
			continue
		}
		w := r.word(text[:to], i)
		if a.name < 0 && w.end > start {
			w.end = start
		}
		i = max(w.end, i+1)
		if w.class == fold.Break {
			switch text[w.start] {
			case '.', '!', '?', '\n', ':', '"', '(', '-', '*', '>':
				begins = true
			case '@', '#': // handles and hashtags say little as words, but a text may begin behind them
				for i < to && (isWordByte(text[i]) || text[i] == '_') {
					if a.name < 0 && i >= start {
						break
					}
					i++
				}
				a.put(near{start: w.start, begins: begins})
			default:
				if text[w.start] >= utf8.RuneSelf && text[w.start:w.end] != "’" { // emoji end sentences as well
					begins = true
				}
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
		first := text[w.start]
		upper := first-'A' < 26
		for _, b := range []byte(text[w.start:min(w.end, w.start+32)]) {
			if b-'a' < 26 {
				lowers++
			} else if b-'A' < 26 {
				uppers++
			}
		}
		if w.end-w.start > 3 {
			long++
			if upper {
				capitals++
			}
		}
		has := lexicon.of(w.hash)
		if isNumber(text[w.start:w.end]) {
			has |= number
		}
		a.put(near{hash: w.hash, start: w.start, traits: has, begins: begins, upper: upper})
		begins = false
	}
	if a.name < 0 { // many short words stand before it
		a.n = min(a.n, len(a.words)-1)
		a.name = a.n
		a.words[a.n] = near{start: start}
		a.n++
	}
	a.shouts = uppers > lowers
	a.titled = long >= 3 && capitals*10 >= long*7
}

func (a *surroundings) put(w near) {
	if a.n < len(a.words) {
		a.words[a.n] = w
		a.n++
	}
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i]-'0' >= 10 {
			return false
		}
	}
	return true
}

func isUpper(r rune) bool { return r >= 'A' && r <= 'Z' }

// capital says whether the name is written as a name: with a capital where ordinary words have none, and not as a part of a longer
// name, such as a person's.
func (a *surroundings) capital(of *context) bool {
	name := &a.words[a.name]
	if !name.upper || name.begins || a.shouts || a.titled {
		return false
	}
	if a.name > 0 {
		if w := &a.words[a.name-1]; w.upper && !w.begins && w.traits == 0 && !of.isContext(w.hash) {
			return false
		}
	}
	if a.name+1 < a.n {
		if w := &a.words[a.name+1]; w.upper && !w.begins && w.traits == 0 && !of.isContext(w.hash) {
			return false
		}
	}
	return true
}

// isBare says whether the name stands alone where an ordinary noun would have an article, and is no verb.
func (a *surroundings) isBare() bool {
	if a.words[a.name].begins && a.name+1 < a.n && a.words[a.name+1].hash == youHash { // "spectrum you are ..."
		return true
	}
	if a.at(1)&object != 0 {
		return false
	}
	if a.words[a.name].begins {
		return true
	}
	before := a.at(-1)
	return before&(at|joins|subject|uses|aux|agent) != 0 && before&(verbal|indef|def|poss|own|number) == 0
}

// isPerson says whether the word before is one that only a first name, or a title, would be.
func (a *surroundings) isPerson(of *context) bool {
	if a.name == 0 || !a.words[a.name].upper || a.shouts || a.titled {
		return false
	}
	w := &a.words[a.name-1]
	return w.upper && !w.begins && w.traits == 0 && w.hash != 0 && !of.isContext(w.hash)
}

// at gives the traits of the word that stands the given distance from the name; 0 where there is none.
func (a *surroundings) at(distance int) traits {
	i := a.name + distance
	if i < 0 || i >= a.n {
		return 0
	}
	return a.words[i].traits
}

// score weighs the hints that found[i] means the service. Hints at the name itself count in full. Those from elsewhere in the text
// do not suffice: a post about one service may hold any word.
func (c *contexts) score(r *reader, a *surroundings, text string, found []Match, i int) float64 {
	of := &c.services[found[i].Service]
	here := c.here(r, of, a, text, found[i])
	elsewhere, joined := c.peers(r, text, found, i)
	if joined {
		here += hintPeer
	}
	means, against := of.anywhere(a)
	words, inContext := c.elsewhere(a, of)
	elsewhere += words
	if means {
		elsewhere += hintContext
	}
	if here <= hintBare && text[found[i].Start] < utf8.RuneSelf && !(inContext && a.isBare()) {
		elsewhere = min(elsewhere, maxElsewhere)
	}
	score := here + elsewhere
	if against {
		score += hintNotAnywhere
	}
	return score
}

// here weighs what stands at the name.
func (c *contexts) here(r *reader, of *context, a *surroundings, text string, match Match) float64 {
	before, after := a.at(-1), a.at(1)
	article := before&(indef|def|poss|own|number) != 0
	isPart := after&part != 0 || a.name+1 < a.n && of.isContext(a.words[a.name+1].hash)
	means, doesNot := of.around(a, of.phrases), of.around(a, of.nots)
	if isPart && (article || doesNot < 2) { // "the zoom app": the article is the other noun's
		means = max(means, 2)
	}
	phrase := means > 0 && means >= doesNot // the longer phrase knows more: "log in to ~" is no "to ~"
	score := 0.0
	switch {
	case phrase && isPart && means == 2:
		score += hintPart
	case phrase:
		score += hintPhrase
	case doesNot > 0:
		score += hintNot
	}
	determined := true
	switch {
	case phrase:
	case before&number != 0 && before&own == 0:
		score += hintNumber
	case before&indef != 0:
		score += hintIndef
	case before&poss != 0 && before&own == 0:
		score += hintPoss
	case before&def != 0:
		score += hintDef
	case before&own != 0:
		score += hintOwn
		determined = false
	default:
		determined = false
	}
	if failing := c.failing(a); failing && !determined {
		score += hintFails
	} else if failing {
		score += hintFails / 2
	}
	capital := a.capital(of)
	if !determined {
		score += c.neighbours(a, capital)
	}
	name := text[match.Start:match.End]
	isASCII := name[0] < utf8.RuneSelf
	switch upper := slices.Contains(of.uppers, r.word(name, 0).hash); {
	case upper && isASCII && isUpperName(name):
		if !a.shouts {
			score += hintUpper
		}
	case upper && isASCII:
		score += hintNotUpper
	case capital && !determined:
		score += hintCapital
	case capital:
		score += hintCapital / 2
	}
	if a.isBare() && !determined {
		score += hintBare
	}
	if a.isPerson(of) {
		score += hintPerson
	}
	if match.Kind == Hashtag {
		score += hintTag
	}
	if start := int(match.Start); start > 0 && (text[start-1] == '^' || text[start-1] == '*' || text[start-1] == '/') {
		score += hintSignature
	}
	if isASCII && (isForeign(text, int(match.Start)-1) || isForeign(text, int(match.End))) {
		score += hintScript
	}
	return score
}

// elsewhere weighs the other words of the text, wherever they stand, and says whether words of the service's own context are there.
func (c *contexts) elsewhere(a *surroundings, of *context) (score float64, inContext bool) {
	contexts, techs, failures := 0, 0, 0
	for i := range a.words[:a.n] {
		w := &a.words[i]
		if i == a.name {
			continue
		}
		if of.isContext(w.hash) {
			contexts++
		} else if w.traits&tech != 0 {
			techs++
		} else if w.traits&fails != 0 {
			failures++
		}
	}
	if contexts > 0 {
		score += hintContext + hintContextMore*float64(min(contexts-1, 2))
	}
	if techs > 0 {
		score += hintTech + hintTechMore*float64(min(techs-1, 2))
	}
	if failures > 0 {
		score += hintFailsAny
	}
	return score, contexts > 0
}

// failing says whether the words behind the name, or around it in a question, say that it fails.
func (c *contexts) failing(a *surroundings) bool {
	auxiliary := false
	for d := 1; d <= 5 && a.name+d < a.n && !a.words[a.name+d].begins; d++ {
		switch has := a.at(d); {
		case has&fails != 0:
			return true
		case has&works != 0 && (auxiliary || a.at(-1)&subject != 0):
			return true
		case has&aux != 0:
			auxiliary = true
		case auxiliary && has&indef != 0: // "is having an outage"
		default:
			return false
		}
	}
	return false
}

// neighbours weighs the words next to a name that no article precedes.
func (c *contexts) neighbours(a *surroundings, capital bool) float64 {
	before, after := a.at(-1), a.at(1)
	score := 0.0
	if after&agent != 0 {
		score += hintAgent
	}
	if before&subject != 0 && (a.name == 1 || a.words[a.name-1].begins) {
		score += hintAsked
	}
	if before&uses != 0 {
		score += hintUses
	} else if before&at != 0 {
		score += hintAt
		if a.at(-2)&(uses|preverb) != 0 {
			score += hintUses - hintAt
		}
	}
	if !capital {
		to := a.name > 0 && a.words[a.name-1].hash == toHash
		if before&verbal != 0 || to && a.at(-2)&preverb == 0 {
			score += hintVerbal
		}
		if after&object != 0 {
			score += hintObject
		}
	}
	return score
}

var toHash, youHash = hashString("to"), hashString("you")

// peers weighs other services that the text names, and says whether one of them is joined to the name.
func (c *contexts) peers(r *reader, text string, found []Match, i int) (score float64, isJoined bool) {
	for j, other := range found {
		if other.Service == found[i].Service || !other.InContext {
			continue
		}
		score = hintOther
		from, to := found[min(i, j)].End, found[max(i, j)].Start
		if max(i, j)-min(i, j) == 1 && to-from <= maxBetween && c.joined(r, text[from:to]) {
			isJoined = true
		}
	}
	return score, isJoined
}

// maxBetween bounds the text that may join two names.
const maxBetween = 12

// joined says whether what stands between two names is a conjunction, or signs only.
func (c *contexts) joined(r *reader, between string) bool {
	if strings.TrimSpace(between) == "" { // "verizon nationwide"
		return false
	}
	for i := 0; i < len(between); {
		w := r.word(between, i)
		if w.class != fold.Break && c.lexicon.of(w.hash)&joins == 0 {
			return false
		}
		i = w.end
	}
	return true
}

func (of *context) isContext(hash uint64) bool {
	_, ok := slices.BinarySearch(of.words, hash)
	return ok
}

// around gives the number of words of the longest of the phrases with the name that stands around it.
func (of *context) around(a *surroundings, phrases []phrase) int {
	longest := 0
	for i := range phrases {
		if p := &phrases[i]; p.name >= 0 && len(p.words) > longest && p.at(a, a.name-p.name) {
			longest = len(p.words)
		}
	}
	return longest
}

// anywhere says whether phrases without the name stand in the text.
func (of *context) anywhere(a *surroundings) (means, doesNot bool) {
	stands := func(phrases []phrase) bool {
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
	return stands(of.phrases), stands(of.nots)
}

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

func isUpperName(s string) bool {
	for i := range len(s) {
		if s[i]-'a' < 26 {
			return false
		}
	}
	return s[0] < utf8.RuneSelf
}

// isForeign says whether the byte belongs to a character beyond ASCII that is a letter, as in "LINEが".
func isForeign(text string, i int) bool {
	return i >= 0 && i < len(text) && text[i] >= 0xE3 && text[i] < 0xEE
}
