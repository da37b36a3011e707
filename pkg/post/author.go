package post

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strings"
)

// AuthorHasher turns authors into keyed hashes, so that people can be counted and not be named. Not safe for concurrent use.
type AuthorHasher struct {
	mac hash.Hash
	buf []byte
	sum []byte
}

// NewAuthorHasher returns a hasher for a secret key. The same key gives the same hashes, in every stage and after every restart.
func NewAuthorHasher(key []byte) *AuthorHasher { return &AuthorHasher{mac: hmac.New(sha256.New, key)} }

// caseless are the networks on which two spellings of a name are one account.
var caseless = map[string]bool{"twitter": true, X: true, "bluesky": true, "mastodon": true, "reddit": true}

// Hash returns the first 64 bits of HMAC-SHA-256 over source and author, and 1 in place of 0, which stands for an unknown author.
// On networks where names do not differ by case alone, neither do hashes.
func (h *AuthorHasher) Hash(source, author string) uint64 {
	if caseless[source] {
		author = strings.ToLower(author)
	}
	h.mac.Reset()
	h.buf = append(append(append(h.buf[:0], source...), 0), author...)
	h.mac.Write(h.buf)
	h.sum = h.mac.Sum(h.sum[:0])
	return max(1, binary.BigEndian.Uint64(h.sum))
}
