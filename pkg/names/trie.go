package names

// trie holds all names over words. Its edges are in one hash table keyed by node and word, so that a step costs one look-up
// whatever the number of names.
type trie struct {
	single  filter // the first words of names that a single word may be
	several filter // the first two words of names of two, the first three of longer ones
	whole   filter // the edges of handles, hashtags and domains
	edges   []edge // open addressing, at most half full
	mask    uint64
	nodes   []node
	names   []name
}

type edge struct {
	key  uint64 // 0 for none
	node int32
}

// A node is what has been read of one or more names.
type node struct {
	name  int32 // that ends here; -1 for none
	more  bool  // names go on
	loose bool  // and the gap may be a looseGap
}

// name is what the end of a path means.
type name struct {
	service int32
	kind    Kind
	weak    bool // counts in context only
	short   bool // a Hangul name so short that only a particle may follow it
	plain   bool // so short a name without accents that a word with them is another: "über" is not "Uber"
}

// The trie has a root for each kind of thing that is looked up, since "@line" is not "line".
const (
	rootWords int32 = iota
	rootHandles
	rootHashtags
	rootDomains
	roots
)

func newTrie() trie {
	t := trie{edges: make([]edge, 1024), mask: 1023}
	for range roots {
		t.nodes = append(t.nodes, node{name: -1})
	}
	return t
}

func edgeKey(from int32, hash uint64) uint64 {
	key := hash ^ uint64(uint32(from))*multiplier
	if key == 0 {
		return 1
	}
	return key
}

// step goes from a node along a word; it gives -1 where no name does.
func (t *trie) step(from int32, hash uint64) int32 {
	key := edgeKey(from, hash)
	for i := key * seed >> 20; ; i++ {
		e := &t.edges[i&t.mask]
		if e.key == key {
			return e.node
		}
		if e.key == 0 {
			return -1
		}
	}
}

// lookUp gives the name that the hash has below a root, or -1.
func (t *trie) lookUp(root int32, hash uint64) int32 {
	if !t.whole.has(edgeKey(root, hash)) {
		return -1
	}
	at := t.step(root, hash)
	if at < 0 {
		return -1
	}
	return t.nodes[at].name
}

// grow makes the edge from a node along a word, if there is none.
func (t *trie) grow(from int32, hash uint64) int32 {
	if to := t.step(from, hash); to >= 0 {
		return to
	}
	if 2*(len(t.nodes)+1) > len(t.edges) {
		old := t.edges
		t.edges = make([]edge, 2*len(old))
		t.mask = uint64(len(t.edges) - 1)
		for _, e := range old {
			if e.key != 0 {
				t.put(e)
			}
		}
	}
	to := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{name: -1})
	t.put(edge{key: edgeKey(from, hash), node: to})
	t.nodes[from].more = true
	return to
}

func (t *trie) put(e edge) {
	for i := e.key * seed >> 20; ; i++ {
		if at := &t.edges[i&t.mask]; at.key == 0 {
			*at = e
			return
		}
	}
}
