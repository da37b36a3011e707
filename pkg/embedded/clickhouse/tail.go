package clickhouse

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
)

// lastBytes bounds what an error quotes.
const lastBytes = 1500

// tail remembers the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if len(t.last) > 2*lastBytes {
		t.last = append(t.last[:0], t.last[len(t.last)-lastBytes:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return whole(t.last)
}

// lastLines are the last lines of a file, or nothing if it cannot be read.
func lastLines(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	if _, err := file.Seek(-2*lastBytes, io.SeekEnd); err != nil { // shorter than that
		_, _ = file.Seek(0, io.SeekStart)
	}
	text, err := io.ReadAll(io.LimitReader(file, 2*lastBytes))
	if err != nil {
		return ""
	}
	return whole(text)
}

// whole cuts text to its last bytes and to whole lines.
func whole(text []byte) string {
	if len(text) > lastBytes {
		text = text[len(text)-lastBytes:]
		if _, rest, cut := bytes.Cut(text, []byte("\n")); cut {
			text = rest
		}
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(text), "?"))
}
