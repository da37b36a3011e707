package simulate

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// writer turns a section of the texts into a post's text.
type writer struct {
	world *world
	rng   *rand.Rand
	year  int
	limit int // characters a post may have

	raw, out  []byte     // reused
	inPassing []*service // named by templates and word lists themselves; reused
	said      draft      // what the text being written names
}

// draft is what a text is about, and which of it the text named.
type draft struct {
	lang    *lang
	author  *author
	subject *service
	alt     *service
	root    *service
	feature string
	place   string
	age     float64 // minutes since the outage began, 0 if the text is about none

	namedSubject, namedAlt, namedRoot bool
}

// line is a finished text.
type line struct {
	text     string
	mentions []Mention
}

// young is the age of an outage, in minutes, up to which people count its minutes.
const young = 90

// attempts bounds the search for a text that fits; the last one is cut.
const attempts = 5

// write writes a text of the section. prefix, such as the handle replied to, comes before it.
func (w *writer) write(d draft, s *section, prefix string) line {
	for try := range attempts {
		w.said = d
		w.inPassing = w.inPassing[:0]
		decorated := try < attempts-2
		text := w.compose(s, prefix, decorated)
		if utf8.RuneCount(text) <= w.limit {
			return line{string(text), w.mentions(s)}
		}
	}
	// Too long again and again: what is cut off may hold a name.
	w.said, w.inPassing = d, w.inPassing[:0]
	text := cut(string(w.compose(s, prefix, false)), w.limit)
	l := line{text: text}
	for _, m := range w.mentions(s) {
		if containsName(text, w.world.byID[m.Service]) {
			l.mentions = append(l.mentions, m)
		}
	}
	return l
}

func containsName(text string, s *service) bool {
	text = strings.ToLower(text)
	for _, name := range s.names {
		if strings.Contains(text, strings.ToLower(name)) || strings.Contains(text, "#"+hashtag(name)) {
			return true
		}
	}
	for _, local := range s.local {
		if slices.ContainsFunc(local, func(name string) bool { return strings.Contains(text, strings.ToLower(name)) }) {
			return true
		}
	}
	return s.handle != "" && strings.Contains(text, "@"+strings.ToLower(s.handle))
}

// cut shortens a text as the clients of the time did.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	n := 0
	for i := range text {
		if n == limit-3 {
			return strings.TrimRight(text[:i], " ") + "..."
		}
		n++
	}
	return text
}

func (w *writer) mentions(s *section) []Mention {
	var all []Mention
	if w.said.namedSubject {
		all = append(all, Mention{w.said.subject.id, s.label, s.symptom})
	}
	if w.said.namedRoot && w.said.root != w.said.subject {
		all = append(all, Mention{w.said.root.id, s.label, s.symptom})
	}
	if w.said.namedAlt && w.said.alt != w.said.subject {
		all = append(all, Mention{Service: w.said.alt.id, Label: "other"})
	}
	for _, named := range w.inPassing {
		if !slices.ContainsFunc(all, func(m Mention) bool { return m.Service == named.id }) {
			all = append(all, Mention{Service: named.id, Label: "other"})
		}
	}
	return all
}

func (w *writer) compose(s *section, prefix string, decorated bool) []byte {
	l, v := w.said.lang, &w.said.author.voice
	w.raw = w.raw[:0]
	if decorated && s.paired && w.chance(0.45) {
		w.template(s)
		w.raw = append(w.raw, [...]string{" ", " ", "... ", " - "}[w.rng.IntN(4)]...)
		w.template(s)
	} else if decorated && w.chance(v.interject) {
		if open := l.lists["open-"+s.mood]; open != nil && w.chance(0.5) {
			w.render(open.items[w.rng.IntN(len(open.items))])
			w.raw = append(w.raw, ' ')
			w.template(s)
		} else {
			w.template(s)
			if end := l.lists["close-"+s.mood]; end != nil {
				w.raw = append(w.raw, ' ')
				w.render(end.items[w.rng.IntN(len(end.items))])
			}
		}
	} else {
		w.template(s)
	}
	w.out = append(w.out[:0], prefix...)
	w.out = v.speak(w.out, bytes.TrimSpace(w.raw), l, w.rng)
	w.ending(v, s.mood)
	if decorated {
		w.decorate(v, s)
	}
	return w.tidy()
}

// ending treats the final stop: left out, as it is, or more of it.
func (w *writer) ending(v *voice, mood string) {
	switch last := w.out[len(w.out)-1]; {
	case last == '.' && w.chance(v.bareEnd):
		w.out = w.out[:len(w.out)-1]
	case last == '!' || last == '?':
		for w.chance(0.2) {
			w.out = append(w.out, last)
		}
		if last == '?' && mood == "angry" && w.chance(0.15) {
			w.out = append(w.out, '!')
		}
	case last == '.' && w.chance(0.12):
		w.out = append(w.out, ".."...)
	case last >= 'a' && last <= 'z':
		switch r := w.rng.Float64(); {
		case r < 0.05:
			w.out = append(w.out, "..."...)
		case r < 0.14 && mood != "plain":
			w.out = append(w.out, '!')
		case r < 0.3 && v.casing == proper:
			w.out = append(w.out, '.')
		}
	}
}

// decorate adds emoticons and hashtags.
func (w *writer) decorate(v *voice, s *section) {
	m := w.world.marksOf(s.mood, w.year)
	if m == nil || s.label == "official" {
		return
	}
	if w.chance(v.emoticon) {
		w.out = append(append(w.out, ' '), m.emoticons[w.rng.IntN(len(m.emoticons))]...)
	}
	if w.chance(v.hashtag) {
		w.out = append(append(w.out, ' '), m.hashtags[w.rng.IntN(len(m.hashtags))]...)
		if w.said.namedSubject && w.chance(0.3) {
			w.out = append(append(w.out, " #"...), hashtag(w.said.subject.names[0])...)
		}
	}
}

// tidy removes the protecting bytes, doubled spaces, and what an empty choice left over: spaces and second stops before punctuation.
func (w *writer) tidy() []byte {
	kept := w.out[:0]
	last := func() byte {
		if len(kept) == 0 {
			return ' '
		}
		return kept[len(kept)-1]
	}
	for i, b := range w.out {
		switch {
		case b == protect || b == unprotect || b == ' ' && last() == ' ':
			continue
		case b == '.' && (last() == '!' || last() == '?'):
			continue
		case (b == ',' || b == '?' || b == '!' || b == '.' && (i+1 == len(w.out) || w.out[i+1] == ' ')) && last() == ' ' && len(kept) > 0:
			kept = kept[:len(kept)-1]
			if b == '.' && bytes.IndexByte([]byte(".,!?"), last()) >= 0 {
				continue
			}
		}
		kept = append(kept, b)
	}
	return bytes.TrimRight(kept, " ")
}

func (w *writer) chance(p float64) bool { return w.rng.Float64() < p }

func (w *writer) template(s *section) { w.render(s.templates[w.rng.IntN(len(s.templates))]) }

func (w *writer) render(nodes []node) {
	for i := range nodes {
		switch n := &nodes[i]; {
		case n.choice != nil:
			w.render(n.choice[w.rng.IntN(len(n.choice))])
		case n.list != nil:
			list := n.list
			if list.soon != nil && w.said.age > 0 && w.said.age < young {
				list = list.soon
			}
			w.render(list.items[w.rng.IntN(len(list.items))])
		case n.service != "":
			s := w.world.byID[n.service]
			w.inPassing = append(w.inPassing, s)
			w.raw = append(w.raw, protect)
			w.name(s)
			w.raw = append(w.raw, unprotect)
		case n.slot != noSlot:
			w.raw = append(w.raw, protect)
			w.fill(n.slot)
			w.raw = append(w.raw, unprotect)
		default:
			w.raw = append(w.raw, n.literal...)
		}
	}
}

func (w *writer) fill(s slot) {
	d := &w.said
	switch s {
	case slotSubject:
		d.namedSubject = true
		w.name(d.subject)
	case slotHandle:
		d.namedSubject = true
		if d.subject.handle == "" {
			w.name(d.subject)
			break
		}
		w.raw = append(append(w.raw, '@'), d.subject.handle...)
	case slotHashtag:
		d.namedSubject = true
		w.raw = append(append(w.raw, '#'), hashtag(d.subject.names[0])...)
	case slotAlternative:
		d.namedAlt = true
		w.name(d.alt)
	case slotRoot:
		d.namedRoot = true
		w.name(d.root)
	case slotFeature:
		w.raw = append(w.raw, d.feature...)
	case slotPlace:
		w.raw = append(w.raw, d.place...)
	case slotUser:
		w.raw = append(append(w.raw, '@'), w.stranger()...)
	case slotLink:
		w.link()
	case slotFew:
		w.number(2, 9)
	case slotMany:
		w.number(10, 59)
	case slotLots:
		w.number(100, 999)
	case slotPercent:
		w.number(5, 95)
	case slotMinutes:
		w.number(2, max(3, int(min(d.age, young))))
	case slotHours:
		if d.age == 0 {
			w.number(2, 9)
			break
		}
		w.number(max(2, int(d.age/60)), max(2, int(d.age/60+0.5)))
	case slotClock:
		w.number(1, 12)
		if w.chance(0.5) {
			w.raw = append(w.raw, [...]string{":15", ":30", ":45", ":10", ":20", ":50"}[w.rng.IntN(6)]...)
		}
	}
}

func (w *writer) number(from, to int) {
	w.raw = strconv.AppendInt(w.raw, int64(from+w.rng.IntN(to-from+1)), 10)
}

// name writes a service the way people do: mostly the usual way.
func (w *writer) name(s *service) {
	name := s.names[0]
	switch r, local := w.rng.Float64(), s.local[w.said.lang.code]; {
	case local != nil && r > 0.4:
		name = local[w.rng.IntN(len(local))]
	case r < 0.06:
		w.raw = append(w.raw, '#')
		name = hashtag(name)
	case r < 0.35:
		name = s.names[w.rng.IntN(len(s.names))]
	}
	w.raw = append(w.raw, name...)
}

// hashtag writes a name as a tag: lower case, letters and digits only.
func hashtag(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '.' || r == '-' || r == '\'' || r == '&':
			return -1
		}
		return r
	}, strings.ReplaceAll(strings.ToLower(name), "+", "plus"))
}

// stranger makes up somebody's handle.
func (w *writer) stranger() string {
	r := w.said.author.region
	return w.world.names.handle(0, r, uint64(w.rng.IntN(1_000_000)), w.rng.Uint64())
}

// link makes up a shortened address. Its host is reserved for examples, so that no link leads to anything.
func (w *writer) link() {
	hosts := [...]string{"http://bit.example/", "http://tiny.example/", "http://go.example/", "http://pic.example/"}
	w.raw = append(w.raw, hosts[w.rng.IntN(len(hosts))]...)
	const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	for range 6 {
		w.raw = append(w.raw, letters[w.rng.IntN(len(letters))])
	}
}
