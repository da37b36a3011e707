package post

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// AuthorHasher turns authors into keyed hashes, so that people can be counted and not be named. Not safe for concurrent use.
type AuthorHasher struct {
	mac hash.Hash
	buf []byte
	sum []byte
}

// NewAuthorHasher returns a hasher for a secret key. The same key gives the same hashes, in every stage and after every restart.
func NewAuthorHasher(key []byte) *AuthorHasher { return &AuthorHasher{mac: hmac.New(sha256.New, key)} }

// Hash returns the first 64 bits of HMAC-SHA-256 over source and author, and 1 in place of 0, which stands for an unknown author.
func (h *AuthorHasher) Hash(source, author string) uint64 {
	h.mac.Reset()
	h.buf = append(append(append(h.buf[:0], source...), 0), author...)
	h.mac.Write(h.buf)
	h.sum = h.mac.Sum(h.sum[:0])
	return max(1, binary.BigEndian.Uint64(h.sum))
}
