// Package fold makes spellings of one name equal: case, accents, width and stylistic letters go, and so do characters that cannot
// be seen. It also says of each character how it stands to word boundaries.
//
// What is not obvious: marks are removed where a script writes without them too (Latin, Greek, Cyrillic, Arabic, Hebrew, and the
// Devanagari nukta), never where they are letters, as the vowel signs of Devanagari or Thai. Hangul syllables stay composed.
//
// It must never depend on the catalog.
package fold
