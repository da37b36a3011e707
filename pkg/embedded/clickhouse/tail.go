package clickhouse

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
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

// longestLog bounds how much of the log is looked through.
const longestLog = 1 << 20

// size is a file's, or 0 if there is none.
func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// logSince is the end of what a file holds behind the first bytes, or nothing if it cannot be read.
func logSince(path string, first int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	now := size(path)
	if now < first { // another file, since the log goes on in a new one when it has grown too long
		first = 0
	}
	text, err := io.ReadAll(io.NewSectionReader(file, max(first, now-longestLog), longestLog))
	if err != nil {
		return ""
	}
	return string(text)
}

// withoutChatter leaves out what the engine says at every start and every end.
func withoutChatter(said string) string {
	var out strings.Builder
	for line := range strings.Lines(said) {
		if !strings.HasPrefix(line, "Logging ") && !strings.Contains(line, "query_id could be specified only") {
			out.WriteString(line)
		}
	}
	return out.String()
}

var (
	// A line of the log begins with its time and thread, by which lines that say the same differ.
	logPrefix = regexp.MustCompile(`^\d{4}\.\d\d\.\d\d [\d:.]+ \[ \d+ \] \{[^}]*\} `)
	stackLine = regexp.MustCompile(`^(<Fatal> [^:]+: )?\d+\. .* @ 0x[0-9a-f]+\s*$`)
)

// telling is the part of a log that tells most of why its writer died: the fatal lines, or else the last errors, or else the last lines. Lines
// that follow each other and say the same are one with their number; addresses of a stack, which name nothing, are left out.
func telling(log string) string {
	var lines []string
	level, before, repeated := "", "", 1
	end := func() {
		if repeated > 1 {
			lines[len(lines)-1] += fmt.Sprintf(" (%d times)", repeated)
		}
		repeated = 1
	}
	for line := range strings.Lines(strings.ToValidUTF8(log, "?")) {
		line = strings.TrimSpace(line)
		said := logPrefix.ReplaceAllString(line, "")
		switch {
		case said == "" || said == "<Fatal> ClientBase:" || stackLine.MatchString(said):
			continue
		case said == before:
			repeated++
			continue
		}
		end()
		before, lines = said, append(lines, line)
		if strings.HasPrefix(said, "<Fatal>") || level == "" && strings.HasPrefix(said, "<Error>") {
			level = said[:len("<Fatal>")]
		}
	}
	end()
	lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(logPrefix.ReplaceAllString(line, ""), level) })
	text := strings.Join(lines, "\n")
	if level == "<Fatal>" { // what begins says why
		return firstBytes(text)
	}
	return whole([]byte(text))
}

// firstBytes cuts text to its first bytes and to whole lines.
func firstBytes(text string) string {
	if len(text) <= lastBytes {
		return text
	}
	text = text[:lastBytes]
	return strings.ToValidUTF8(text[:max(strings.LastIndexByte(text, '\n'), 0)], "")
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
