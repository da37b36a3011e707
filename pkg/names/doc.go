// Package names finds the services that a text names, all of them in one pass.
//
// A text is read as a row of words. Each word is folded (package fold) and hashed while its end is looked for, eight bytes at a time
// where it is ASCII; a Bloom filter tells whether a word is a name, or two or three of them begin one. Nearly all words of nearly all
// posts end there, so the cost hardly depends on the number of services. Where a name may be, a trie over words, kept in one hash
// table, follows it: the longest name wins, and reading goes on behind it.
//
// What is a word depends on the script. Latin, Cyrillic, Arabic, Devanagari and their like have words between gaps; a Katakana run
// is a word; a Hangul name begins where a run begins, since particles follow it without a gap; Han, Hiragana and Thai characters
// are words each, so that a name is found anywhere among them.
//
// Names are not all that counts, and not everywhere:
//
//   - "@SkypeSupport" is a handle, found exactly or not at all; "@skype.bsky.social" and "@skype@mastodon.social" are whole handles.
//   - "#skypedown" and "#ripskype" are skype: a name, and what people add to it. Names inside other hashtags do not count.
//   - "skype.com is down" counts, "https://skype.com/en/about" and "me@skype.com" do not: a link or an address says where something
//     is, not what the text is about.
//   - "AT&T", "Disney+": "&" and "+" are words of a name; "&amp;" is "&".
//
// Names that are words as well (Service.Ambiguous, Service.Weak) are reported with InContext saying whether the text around fits;
// see evidence.go for how that is judged. Of testdata/context-test.txt, 600 posts with 15 such names that were written after the
// judgement was fitted to context-dev.txt, 95 in 100 are judged rightly; TestContext tells the figure by name.
//
// The package must never know what a text says of a service, do I/O, keep a text, allocate for a text that names nothing, or take
// more than time linear in the text's length.
package names
