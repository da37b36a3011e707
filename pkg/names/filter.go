package names

import "math/bits"

// filter is a Bloom filter of hashes whose bits of one hash are in one 64-bit block (Putze, Sanders, Singler, "Cache-, hash- and
// space-efficient Bloom filters", 2007): a look-up reads memory once. Of hashes that are not in it, at most four in a thousand pass.
type filter struct {
	blocks []uint64 // a power of two of them
	shift  uint     // 64 - log2 of len(blocks)
}

const filterBitsPerHash = 16

func newFilter(hashes map[uint64]struct{}) filter {
	log := max(4, bits.Len(uint(max(1, len(hashes))*filterBitsPerHash/64)))
	f := filter{blocks: make([]uint64, 1<<log), shift: uint(64 - log)}
	for h := range hashes {
		f.blocks[h>>f.shift] |= filterBits(h)
	}
	return f
}

func (f *filter) has(hash uint64) bool {
	want := filterBits(hash)
	return f.blocks[hash>>(f.shift&63)&uint64(len(f.blocks)-1)]&want == want
}

func filterBits(hash uint64) uint64 {
	return 1<<(hash&63) | 1<<(hash>>6&63) | 1<<(hash>>12&63) | 1<<(hash>>18&63)
}

// pairHash is the hash of two words one after the other, or of a pair and a third.
func pairHash(first, second uint64) uint64 {
	return step(first, second)
}
