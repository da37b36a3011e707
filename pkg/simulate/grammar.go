package simulate

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// The template grammar of texts/<language>/<file>.txt:
//
//	# a comment
//	@list: one | two words | {slot} three     a word list, used as {list}; valid in all files of the language
//	== section symptom=login mood=angry       the templates below belong to it; also: label=, paired, alone
//	a [b|c|] {slot} {=skype}                  one template a line; [b|c|] picks one, here perhaps nothing; {=id} names a service
//
// A backslash takes the next character literally. Sections may be limited to kinds of service: "== usage/video,music".

// node is a part of a template: literal text, a choice, or a slot.
type node struct {
	literal string
	choice  [][]node // picks one
	slot    slot
	list    *wordList
	service string // {=id}: a service that the template itself names
}

type slot uint8

const (
	noSlot slot = iota
	slotSubject
	slotHandle  // of the subject, with @
	slotHashtag // of the subject
	slotAlternative
	slotRoot
	slotFeature
	slotPlace
	slotUser // somebody's handle, with @
	slotLink
	slotFew     // 2–9
	slotMany    // 10–59
	slotLots    // 100–999
	slotClock   // an hour of the day, as people write it
	slotPercent // 5–95
	slotMinutes // since the outage began
	slotHours   // since the outage began, at least 2
)

var slots = map[string]slot{
	"s": slotSubject, "@s": slotHandle, "#s": slotHashtag, "alt": slotAlternative, "root": slotRoot, "feature": slotFeature,
	"place": slotPlace, "user": slotUser, "link": slotLink, "n": slotFew, "nn": slotMany, "nnn": slotLots, "clock": slotClock,
	"pct": slotPercent, "m": slotMinutes, "h": slotHours,
}

type wordList struct {
	name  string
	items [][]node
	soon  *wordList // the list "name-soon": what is said instead while an outage is young
}

// section is a set of templates that mean the same.
type section struct {
	label     string
	name      string // without the kinds
	symptom   string // "" where the label has none
	mood      string // sad, angry, happy, funny or plain: which openers, closers and emoticons suit
	kinds     []string
	paired    bool // two templates may follow one another
	alone     bool // the general templates of the section do not suit these kinds
	templates [][]node
}

// lang is the grammar of one language.
type lang struct {
	code     string
	lists    map[string]*wordList
	sections map[string]*sectionGroup // by label.name
	abbrev   map[string]string

	stretchable map[string]bool // the words of the list "stretch"
	named       []string        // services that templates name themselves
}

// sectionGroup holds a section's templates for any kind of service and for particular kinds.
type sectionGroup struct {
	any    *section
	byKind map[string]*section
}

// pick prefers the templates written for a kind, but not always. It gives nil where there are none for it.
func (g *sectionGroup) pick(kind string, rng *rand.Rand) *section {
	special := g.byKind[kind]
	if special == nil {
		return g.any
	}
	if g.any == nil || special.alone || rng.IntN(3) > 0 {
		return special
	}
	return g.any
}

func newLang(code string) *lang {
	return &lang{code: code, lists: map[string]*wordList{}, sections: map[string]*sectionGroup{}, abbrev: map[string]string{}, stretchable: map[string]bool{}}
}

// read adds one file; label is its name without extension.
func (l *lang) read(label, text string) error {
	var current *section
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		var err error
		switch {
		case line == "" || strings.HasPrefix(line, "# "):
		case strings.HasPrefix(line, "== "):
			current, err = l.open(label, strings.Fields(line)[1:])
		case strings.HasPrefix(line, "@") && listName(line) != "":
			err = l.addList(line)
		case label == "abbreviations":
			long, short, ok := strings.Cut(line, "=")
			if !ok {
				err = fmt.Errorf("abbreviation %q has no =", line)
			}
			l.abbrev[strings.TrimSpace(long)] = strings.TrimSpace(short)
		case current == nil:
			err = fmt.Errorf("template %q stands before any section", line)
		default:
			var t []node
			if t, err = l.parse(line); err == nil {
				current.templates = append(current.templates, t)
			}
		}
		if err != nil {
			return fmt.Errorf("%s/%s.txt line %d: %w", l.code, label, n, err)
		}
	}
	return lines.Err()
}

func (l *lang) open(label string, header []string) (*section, error) {
	name, kinds, _ := strings.Cut(header[0], "/")
	s := &section{label: label, name: name, mood: "plain"}
	if !slices.Contains(labels, label) {
		s.label = "other"
	}
	if labelHasSymptom(label) {
		s.symptom = "general"
		if slices.Contains(symptomNames, name) {
			s.symptom = name
		}
	}
	for _, attribute := range header[1:] {
		key, value, _ := strings.Cut(attribute, "=")
		switch key {
		case "symptom":
			s.symptom = value
		case "mood":
			s.mood = value
		case "paired":
			s.paired = true
		case "alone":
			s.alone = true
		case "label":
			s.label = value
			if !labelHasSymptom(value) {
				s.symptom = ""
			}
		default:
			return nil, fmt.Errorf("section %q has the unknown attribute %q", header[0], attribute)
		}
	}
	key := label + "." + name
	group := l.sections[key]
	if group == nil {
		group = &sectionGroup{byKind: map[string]*section{}}
		l.sections[key] = group
	}
	if kinds == "" {
		if group.any != nil {
			return nil, fmt.Errorf("section %q is opened twice", key)
		}
		group.any = s
		return s, nil
	}
	s.kinds = strings.Split(kinds, ",")
	for _, kind := range s.kinds {
		if group.byKind[kind] != nil {
			return nil, fmt.Errorf("section %q is opened twice for kind %q", key, kind)
		}
		group.byKind[kind] = s
	}
	return s, nil
}

func labelHasSymptom(label string) bool {
	return label == "outage" || label == "bug" || label == "recovered" || label == "official"
}

// listName is the name in "@name: …", "" if the line does not have that form.
func listName(line string) string {
	name, _, ok := strings.Cut(line[1:], ":")
	if !ok || strings.ContainsAny(name, " {}[]") {
		return ""
	}
	return name
}

func (l *lang) addList(line string) error {
	name := listName(line)
	list := l.list(name)
	_, items, _ := strings.Cut(line, ":")
	for item := range strings.SplitSeq(items, " | ") {
		parsed, err := l.parse(strings.TrimSpace(item))
		if err != nil {
			return err
		}
		list.items = append(list.items, parsed)
	}
	return nil
}

// list finds a word list, which may be filled later.
func (l *lang) list(name string) *wordList {
	if l.lists[name] == nil {
		l.lists[name] = &wordList{name: name}
	}
	return l.lists[name]
}

func (l *lang) parse(s string) ([]node, error) {
	nodes, rest, err := l.sequence(s, false)
	if err == nil && rest != "" {
		err = fmt.Errorf("template %q has a ] too many", s)
	}
	return nodes, err
}

// sequence reads up to the end, or inside a choice up to its next | or ].
func (l *lang) sequence(s string, inChoice bool) (nodes []node, rest string, err error) {
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			nodes = append(nodes, node{literal: literal.String()})
			literal.Reset()
		}
	}
	for s != "" {
		switch c := s[0]; {
		case c == '\\' && len(s) > 1:
			literal.WriteByte(s[1])
			s = s[2:]
		case c == '{':
			name, after, ok := strings.Cut(s[1:], "}")
			if !ok {
				return nil, "", fmt.Errorf("a { is not closed in %q", s)
			}
			flush()
			if known, ok := slots[name]; ok {
				nodes = append(nodes, node{slot: known})
			} else if id, ok := strings.CutPrefix(name, "="); ok {
				nodes = append(nodes, node{service: id})
				l.named = append(l.named, id)
			} else {
				nodes = append(nodes, node{list: l.list(name)})
			}
			s = after
		case c == '[':
			flush()
			var n node
			s = s[1:]
			for {
				alternative, after, err := l.sequence(s, true)
				if err != nil {
					return nil, "", err
				}
				if after == "" {
					return nil, "", fmt.Errorf("a [ is not closed before %q", s)
				}
				n.choice = append(n.choice, alternative)
				s = after[1:]
				if after[0] == ']' {
					break
				}
			}
			nodes = append(nodes, n)
		case c == ']' || c == '|' && inChoice:
			flush()
			return nodes, s, nil
		default:
			literal.WriteByte(c)
			s = s[1:]
		}
	}
	flush()
	return nodes, "", nil
}

// finish reports word lists that are used but empty, and sections without templates.
func (l *lang) finish() error {
	for name, list := range l.lists {
		list.soon = l.lists[name+"-soon"]
	}
	if list := l.lists["stretch"]; list != nil {
		for _, item := range list.items {
			l.stretchable[item[0].literal] = true
		}
	}
	for name, list := range l.lists {
		if len(list.items) == 0 {
			return fmt.Errorf("language %s uses {%s}, which is neither a slot nor a word list", l.code, name)
		}
	}
	for key, group := range l.sections {
		if group.any != nil && len(group.any.templates) == 0 {
			return fmt.Errorf("language %s: section %s is empty", l.code, key)
		}
		for kind, s := range group.byKind {
			if len(s.templates) == 0 {
				return fmt.Errorf("language %s: section %s/%s is empty", l.code, key, kind)
			}
		}
	}
	return nil
}
