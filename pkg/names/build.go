package names

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/names/fold"
)

// builder turns a catalog's names into a trie.
type builder struct {
	catalog *catalog.Catalog
	reader  reader
	trie    trie
	single  map[uint64]struct{} // what goes into the trie's filters
	several map[uint64]struct{}
	long    [][3]uint64 // the first three words of names of three or more
	whole   map[uint64]struct{}
}

func newBuilder(c *catalog.Catalog, t fold.Table) *builder {
	return &builder{catalog: c, reader: reader{fold: t}, trie: newTrie(),
		single: map[uint64]struct{}{}, several: map[uint64]struct{}{}, whole: map[uint64]struct{}{}}
}

func (b *builder) matcher() *Matcher {
	// What the catalog states goes first: a form derived from one service's name never takes another's own.
	for i := range b.catalog.Services {
		b.stated(int32(i), &b.catalog.Services[i])
	}
	for i := range b.catalog.Services {
		b.derived(int32(i), &b.catalog.Services[i])
	}
	for _, words := range b.long { // a name within another must not be taken before the longer one shows
		_, second := b.single[words[1]]
		_, rest := b.several[pairHash(words[1], words[2])]
		if second || rest {
			b.several[pairHash(words[0], words[1])] = struct{}{}
		}
	}
	b.trie.single, b.trie.several, b.trie.whole = newFilter(b.single), newFilter(b.several), newFilter(b.whole)
	m := &Matcher{reader: b.reader, trie: b.trie, tags: newTags()}
	m.contexts = newContexts(b.catalog, &m.reader)
	return m
}

func (b *builder) stated(service int32, s *catalog.Service) {
	b.words(s.Name, name{service: service, kind: Name, weak: s.Ambiguous})
	for _, alias := range s.Aliases {
		b.words(alias, name{service: service, kind: Alias})
	}
	for _, alias := range s.Weak {
		b.words(alias, name{service: service, kind: Alias, weak: true})
	}
	for _, handles := range s.Handles {
		for _, handle := range handles {
			b.address(rootHandles, handle, name{service: service, kind: Handle})
		}
	}
	for _, tag := range s.Hashtags {
		b.hashtag(tag, name{service: service, kind: Hashtag})
	}
	if domain := s.Domain(); domain != "" {
		b.address(rootDomains, domain, name{service: service, kind: Domain})
	}
}

// derived adds the forms that follow from names: hashtags, words written together, "twitters" for "twitter's", and the endings and
// prefixes that some languages write without a gap.
func (b *builder) derived(service int32, s *catalog.Service) {
	type form struct {
		text string
		name name
	}
	forms := []form{{s.Name, name{service: service, kind: Name, weak: s.Ambiguous}}}
	for _, alias := range s.Aliases {
		forms = append(forms, form{alias, name{service: service, kind: Alias}})
	}
	for _, alias := range s.Weak {
		forms = append(forms, form{alias, name{service: service, kind: Alias, weak: true}})
	}
	for _, handles := range s.Handles {
		for _, handle := range handles { // archives spell "@SpotifyCares" without its sign
			if folded := strings.ToLower(handle); isLatin(strings.ReplaceAll(folded, "_", "")) && isSupport(folded) {
				b.words(handle, name{service: service, kind: Handle})
			}
		}
	}
	for _, f := range forms {
		b.hashtag(f.text, f.name)
		if f.name.weak {
			continue
		}
		folded := fold.String(f.text)
		together := strings.ReplaceAll(folded, " ", "")
		if together != folded && len(together) >= 6 && isLatin(together) && !strings.ContainsAny(f.text, "&+") {
			b.words(together, f.name)
		}
		switch {
		case isLatin(together) && len(together) >= 4 && !unicode.IsDigit(rune(together[len(together)-1])):
			if !strings.HasSuffix(together, "s") && !strings.ContainsAny(f.text, "&+") {
				b.words(folded+"s", f.name)
			}
			if folded == together && len(together) >= 5 && speaks(s, "TR") {
				for _, ending := range turkishEndings(together) {
					b.words(together+ending, f.name)
				}
			}
		case isWritten(together, unicode.Cyrillic):
			for _, inflected := range russianForms(folded) {
				b.words(inflected, f.name)
			}
		case isWritten(together, unicode.Arabic):
			for _, prefix := range arabicPrefixes {
				b.words(prefix+folded, f.name)
			}
			if rest, ok := strings.CutPrefix(folded, "ال"); ok {
				b.words("لل"+rest, f.name)
			}
		}
	}
}

// show makes the filters show a name by its first words.
func (b *builder) show(words [3]uint64, n int) {
	switch n {
	case 1:
		b.single[words[0]] = struct{}{}
	case 2:
		b.several[pairHash(words[0], words[1])] = struct{}{}
	case 3:
		b.several[pairHash(pairHash(words[0], words[1]), words[2])] = struct{}{}
		b.long = append(b.long, words)
	}
}

// isSupport says whether a handle in lower case is so clearly a support account's that it counts without "@" as well.
func isSupport(handle string) bool {
	if len(handle) < 8 {
		return false
	}
	for _, affix := range [...]string{"support", "help", "cares", "care", "assist", "hilft"} {
		if stem, ok := strings.CutSuffix(handle, affix); ok && len(stem) >= 3 {
			return true
		}
	}
	return strings.HasPrefix(handle, "ask_") || strings.HasPrefix(handle, "ask") && len(handle) >= 10
}

// words adds a name that is found as words, unless it means something already.
func (b *builder) words(text string, n name) {
	var first [3]uint64
	at, count, hangul := rootWords, 0, 0
	shown := false      // by a filter, to those who read posts
	characters := false // the name begins with one that is a word
	for i := 0; i < len(text); {
		var w word
		g := tightGap
		if count > 0 {
			i, g = b.reader.next(text, i)
		}
		if g == symbolGap {
			w = b.reader.symbol(text, i)
		} else if w = b.reader.word(text, i); w.class == fold.Break {
			i = w.end // a sign that texts may have or not
			continue
		}
		switch isCharacter := w.class == fold.Hangul || w.class == fold.Ideograph; {
		case shown:
		case count == 0 && isCharacter:
			characters = true
		case count == 1 && characters: // they show by pairs, or alone before other words
			if isCharacter {
				b.show([3]uint64{first[0], w.hash}, 2)
			} else {
				b.show(first, 1)
			}
			shown = true
		case g == symbolGap && count < 3: // the sign shows it
			shown = true
		case count > 0 && isCharacter: // no word there: the words before must do
			b.show(first, min(count, 2))
			shown = true
		}
		if count < len(first) {
			first[count] = w.hash
		}
		count++
		if g == looseGap {
			b.trie.nodes[at].loose = true
		}
		if w.class == fold.Hangul {
			hangul++
		}
		at = b.trie.grow(at, w.hash)
		i = w.end
	}
	if !shown {
		b.show(first, min(count, 3))
	}
	n.short = hangul > 0 && hangul < 3
	n.plain = count == 1 && isLatin(text) && len(text) <= maxPlain
	b.name(at, n)
}

// maxPlain is the length of names without accents that accents make other words.
const maxPlain = 5

// name says what a path means, unless it means something already.
func (b *builder) name(at int32, n name) {
	if at < roots || b.trie.nodes[at].name >= 0 {
		return
	}
	b.trie.nodes[at].name = int32(len(b.trie.names))
	b.trie.names = append(b.trie.names, n)
}

func (b *builder) address(root int32, text string, n name) {
	b.hashed(root, strings.ToLower(text), n)
}

func (b *builder) hashtag(text string, n name) {
	tag := strings.ReplaceAll(fold.String(text), " ", "")
	letters := utf8.RuneCountInString(tag)
	if letters < 2 || n.weak && letters < 3 || len(tag) > maxHashtagBytes { // "#x" and "#hp" say nothing
		return
	}
	b.hashed(rootHashtags, tag, n)
}

func (b *builder) hashed(root int32, text string, n name) {
	hash := hashString(text)
	b.whole[edgeKey(root, hash)] = struct{}{}
	b.name(b.trie.grow(root, hash), n)
}

func isLatin(folded string) bool {
	for i := range len(folded) {
		if !isWordByte(folded[i]) {
			return false
		}
	}
	return folded != ""
}

func isWritten(folded string, script *unicode.RangeTable) bool {
	for _, r := range folded {
		if !unicode.Is(script, r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return utf8.RuneCountInString(folded) >= 3
}

// speaks says whether people of the country talk of the service: it is theirs, or everybody's.
func speaks(s *catalog.Service, country string) bool {
	for _, c := range s.Countries {
		if c == country {
			return true
		}
	}
	return len(s.Countries) == 0
}

// turkishEndings are the common case endings, which people often write without the apostrophe. Both vowel harmonies are there:
// borrowed names follow their sound, not their spelling.
func turkishEndings(word string) []string {
	if strings.IndexByte("aeiou", word[len(word)-1]) >= 0 {
		return []string{"ya", "ye", "yi", "yu", "da", "de", "dan", "den", "nin", "nun"}
	}
	return []string{"a", "e", "i", "u", "da", "de", "ta", "te", "dan", "den", "tan", "ten", "in", "un"}
}

// russianForms are the singular cases of a noun as Russian declines borrowed names.
func russianForms(word string) []string {
	last, size := utf8.DecodeLastRuneInString(word)
	stem := word[:len(word)-size]
	switch last {
	case 'а':
		return []string{stem + "ы", stem + "и", stem + "е", stem + "у", stem + "ои"}
	case 'я':
		return []string{stem + "и", stem + "е", stem + "ю", stem + "еи"}
	case 'о', 'е', 'и', 'у', 'ы', 'э', 'ю', 'ь':
		return nil
	}
	return []string{word + "а", word + "у", word + "ом", word + "е"}
}

// arabicPrefixes are the article, the conjunction and the prepositions that Arabic writes together with the noun, folded.
var arabicPrefixes = [...]string{"ال", "و", "ب", "ل", "ف", "وال", "بال", "فال", "ع"}
