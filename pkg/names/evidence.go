package names

import (
	"strings"
	"unicode/utf8"
)

// hint is one kind of hint at what a name means.
type hint int

const (
	always hint = iota

	// At the name.
	phraseShort    // a phrase of Service.Context of two words, with the name
	phraseLong     // a longer one
	notShort       // a phrase of Service.Not of two words, with the name
	notLong        // a longer one
	isPart         // "zoom app", "zoom servers"
	isFailing      // "zoom is down", "zoom crashed"
	itsFailing     // "the zoom is down"
	doesThings     // "zoom wants", "zoom keeps"
	didThings      // "zoom kicked"
	isSubject      // begins a sentence before "is", "has" and the like
	isAsked        // "is zoom", "does zoom"
	isUsed         // "using zoom", "log in to zoom"
	isPlace        // "on zoom", "at target"
	isBare         // no article where a thing would need one: "so zoom", "because zoom"
	hasCapital     // a capital within a sentence
	itsCapital     // the same behind an article
	hasCapitals    // LINE, as it is written, in a text that does not shout
	lacksCapitals  // line, for LINE
	isPerson       // "Charlie Cox"
	isSignature    // "^EA": initials of who answers for a company
	isTag          // #zoom
	isForeign      // a Latin name among characters of another script
	hasOtherScript // a name that is not Latin
	hasGenitive    // "zoom's servers"
	isJoined       // "slack and gmail": beside another service
	isPaired       // "visa or mastercard": beside a name of the same category that may be a word as well
	hasIndefinite  // "a target"
	hasDefinite    // "the target"
	isAnothers     // "his target"
	isOwn          // "my target"
	isCounted      // "two teams", "next target"
	isVerb         // "to chase", "we chase"
	hasObject      // "chase the", "meet me"

	// Anywhere, where something at the name lets the service be meant.
	inContext       // a word of Service.Context, or a phrase without the name
	inContextMore   // each further one, up to three
	inCategory      // a word of the service's category
	inCategoryMore  // each further one, up to three
	inTech          // talk of programs, accounts and machines
	somethingFails  // something fails, not next to the name
	namesOthers     // other services
	againstAnywhere // a phrase of Service.Not without the name

	// Anywhere, where nothing at the name does: a post about one service may hold any word.
	elsewhereContext
	elsewhereCategory
	elsewhereTech
	elsewhereOthers

	hints
)

// evidence counts hints.
type evidence [hints]float64

// sum gives the log odds that the service is meant.
func (e *evidence) sum() float64 {
	sum := 0.0
	for h, times := range e {
		sum += times * weights[h]
	}
	return sum
}

func (e *evidence) set(h hint, holds bool) {
	if holds {
		e[h] = 1
	}
}

// gather collects the hints at what found[i] means.
func (c *contexts) gather(r *reader, a *surroundings, text string, found []Match, i int) evidence {
	var e evidence
	e[always] = 1
	of := &c.services[found[i].Service]
	peers := c.peers(r, text, found, i)
	joined := peers.joined || peers.paired
	e.set(isJoined, peers.joined)
	e.set(isPaired, peers.paired)
	determined := c.phrases(&e, a, of)
	c.grammar(&e, a, determined, joined)
	spelling(&e, a, of, r, text, found[i], determined)

	contexts, categories, techs, failures := 0, 0, 0, 0
	for i := range a.words[:a.n] {
		w := &a.words[i]
		switch {
		case i == a.name || w.hash == 0:
		case isIn(of.words, w.hash):
			contexts++
		case isIn(of.category, w.hash):
			categories++
		case w.traits&tech != 0:
			techs++
		case w.traits&fails != 0:
			failures++
		}
	}
	if anywhere(a, of.phrases) {
		contexts++
	}
	e.set(againstAnywhere, anywhere(a, of.nots))
	if e.open() {
		e.set(inContext, contexts > 0)
		e[inContextMore] = float64(min(max(contexts-1, 0), 3))
		e.set(inCategory, categories > 0)
		e[inCategoryMore] = float64(min(max(categories-1, 0), 3))
		e.set(inTech, techs > 0)
		e.set(somethingFails, failures > 0)
		e.set(namesOthers, peers.named)
	} else {
		e.set(elsewhereContext, contexts > 0)
		e.set(elsewhereCategory, categories > 0)
		e.set(elsewhereTech, techs > 0)
		e.set(elsewhereOthers, peers.named)
	}
	return e
}

// open says whether something at the name lets the service be meant.
func (e *evidence) open() bool {
	for _, h := range [...]hint{
		phraseShort, phraseLong, isPart, isFailing, doesThings, isSubject, isAsked, isUsed, isPlace, isBare, hasCapital, hasCapitals, isTag,
		isForeign, hasOtherScript, isJoined, isPaired, hasGenitive,
	} {
		if e[h] > 0 {
			return true
		}
	}
	return false
}

// phrases weighs the phrases around the name and the word before it. It says whether an article or the like makes the name a thing's.
func (c *contexts) phrases(e *evidence, a *surroundings, of *context) (determined bool) {
	before := a.at(-1)
	article := before&(indef|def|poss|own|number) != 0
	next := a.name + 1
	part := a.at(1)&part != 0 || next < a.n && (isIn(of.words, a.words[next].hash) || isIn(of.category, a.words[next].hash))
	means, doesNot := around(a, of.phrases), around(a, of.nots)
	if part && (article || doesNot < 2) { // "the zoom app": the article is the other noun's
		means = max(means, 2)
	}
	means3 := means > 0 && means >= doesNot // the longer phrase knows more: "log in to ~" is no "to ~"
	switch {
	case means3 && part && means == 2:
		e[isPart] = 1
	case means3 && means == 2:
		e[phraseShort] = 1
	case means3:
		e[phraseLong] = 1
	case doesNot == 2:
		e[notShort] = 1
	case doesNot > 2:
		e[notLong] = 1
	}
	switch {
	case means3:
		return false
	case before&number != 0 && before&own == 0:
		e[isCounted] = 1
	case before&indef != 0:
		e[hasIndefinite] = 1
	case before&poss != 0 && before&own == 0:
		e[isAnothers] = 1
	case before&def != 0:
		e[hasDefinite] = 1
	case before&own != 0:
		e[isOwn] = 1
		return false
	default:
		return false
	}
	return true
}

// grammar weighs the words next to the name.
func (c *contexts) grammar(e *evidence, a *surroundings, determined, joined bool) {
	before, after := a.at(-1), a.at(1)
	name := &a.words[a.name]
	failing := isFailingBehind(a)
	e.set(isFailing, failing && !determined)
	e.set(itsFailing, failing && determined)
	if determined {
		return
	}
	e.set(doesThings, after&agent != 0)
	e.set(didThings, a.name+1 < a.n && a.words[a.name+1].past)
	e.set(isSubject, name.begins && after&(aux|agent) != 0)
	e.set(isAsked, before&subject != 0 && (a.words[a.name-1].begins || a.name > 1 && a.words[a.name-2].begins))
	led := a.at(-2)&(uses|preverb) != 0 || a.at(-3)&preverb != 0 && a.at(-2)&at != 0 // "log in to zoom"
	e.set(isUsed, before&uses != 0 || before&at != 0 && led)
	e.set(isPlace, before&at != 0 && e[isUsed] == 0)
	e.set(isBare, stands(a))
	toDo := a.is(-1, toHash) && !joined && !led
	lowercase := !name.upper || name.begins
	e.set(isVerb, lowercase && (before&verbal != 0 || toDo))
	e.set(hasObject, lowercase && after&object != 0)
}

var toHash, youHash = hashString("to"), hashString("you")

// isFailingBehind says whether the words behind the name, or around it in a question, say that it fails.
func isFailingBehind(a *surroundings) bool {
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

// stands says whether the name stands alone where an ordinary noun would have an article, and is no verb.
func stands(a *surroundings) bool {
	name := &a.words[a.name]
	if a.at(1)&object != 0 {
		return name.begins && a.is(1, youHash) // "spectrum you are ..."
	}
	before := a.at(-1)
	return name.begins || before&(at|joins|subject|uses|aux|agent) != 0 && before&(verbal|indef|def|poss|own|number) == 0
}

// spelling weighs how the name is written.
func spelling(e *evidence, a *surroundings, of *context, r *reader, text string, match Match, determined bool) {
	name, start := text[match.Start:match.End], int(match.Start)
	e.set(isTag, match.Kind == Hashtag)
	e.set(hasGenitive, !determined && isGenitive(text[match.End:]))
	e.set(isSignature, start > 0 && (text[start-1] == '^' || text[start-1] == '*' || text[start-1] == '/'))
	if name[0] >= utf8.RuneSelf {
		e[hasOtherScript] = 1
		return
	}
	e.set(isForeign, isEastAsian(text, start-1) || isEastAsian(text, int(match.End)))
	capital := a.capital(of)
	e.set(isPerson, a.person(of))
	for _, upper := range of.uppers {
		if upper == r.word(name, 0).hash {
			all := isAllUpper(name)
			e.set(hasCapitals, all && !a.shouts)
			e.set(lacksCapitals, !all)
			return
		}
	}
	e.set(hasCapital, capital && !determined)
	e.set(itsCapital, capital && determined)
}

// capital says whether the name is written as a name: with a capital where ordinary words have none, and not as a part of a longer
// name.
func (a *surroundings) capital(of *context) bool {
	name := &a.words[a.name]
	return name.upper && !name.begins && !a.shouts && !a.titled && !a.person(of) && (a.name+1 == a.n || !a.words[a.name+1].isName(of))
}

// person says whether the word before is one that only a first name, or a title, would be.
func (a *surroundings) person(of *context) bool {
	return a.name > 0 && a.words[a.name].upper && !a.shouts && !a.titled && a.words[a.name-1].isName(of)
}

// isName says whether a word is a name that says nothing of the service.
func (w *near) isName(of *context) bool {
	return w.upper && !w.begins && w.traits == 0 && w.hash != 0 && !isIn(of.words, w.hash) && !isIn(of.category, w.hash)
}

func isAllUpper(s string) bool {
	for i := range len(s) {
		if s[i]-'a' < 26 {
			return false
		}
	}
	return true
}

// isGenitive says whether what follows a name is "'s".
func isGenitive(after string) bool {
	for _, s := range [...]string{"'s ", "’s "} {
		if strings.HasPrefix(after, s) {
			return true
		}
	}
	return false
}

// isEastAsian says whether the byte belongs to a character of an East Asian script, as in "LINEが".
func isEastAsian(text string, i int) bool {
	return i >= 0 && i < len(text) && text[i] >= 0xE3 && text[i] < 0xEE
}
