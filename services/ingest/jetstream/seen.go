package jetstream

import "hash/maphash"

// seen remembers recent events, because a stream that is resumed begins before its cursor. What came in the last generation and in this
// one is known: at least generationEvents, at most twice as many.
type seen struct {
	seed         maphash.Seed
	older, newer map[uint64]struct{}
}

// generationEvents is some seconds of a flood; a generation takes about 4 MB.
const generationEvents = 100_000

// before says whether an event was seen before, and remembers it. An event is the same if repository, collection, key and revision are.
func (s *seen) before(e *event) bool {
	if s.newer == nil {
		s.seed, s.newer = maphash.MakeSeed(), make(map[uint64]struct{})
	}
	if e.Commit == nil || e.Commit.Rev == "" {
		return false // accounts and identities: repeating does no harm
	}
	var h maphash.Hash
	h.SetSeed(s.seed)
	for _, part := range []string{e.DID, e.Commit.Collection, e.Commit.RKey, e.Commit.Rev, e.Commit.Operation} {
		_, _ = h.WriteString(part) // it cannot fail
		_ = h.WriteByte(0)
	}
	key := h.Sum64()
	if _, ok := s.newer[key]; ok {
		return true
	}
	_, ok := s.older[key]
	if len(s.newer) >= generationEvents {
		s.older, s.newer = s.newer, make(map[uint64]struct{}, generationEvents)
	}
	s.newer[key] = struct{}{}
	return ok
}
