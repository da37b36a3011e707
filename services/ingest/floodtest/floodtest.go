// Package floodtest lets a connector be flooded. It is for tests alone: every connector that is told posts has one on it.
package floodtest

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"outcry.dev/services/ingest/source"
)

// Posts is how many posts a flood has; their ids end with the numbers from 0 on.
const Posts = 100_000

// growth is by how many bytes the heap may grow meanwhile: less than the shortest posts have together.
const growth = 8 << 20

// patience is how long a flood may take on a machine that is busy with other things.
const patience = 5 * time.Minute

// Run runs a source until it has given every post of a flood, and each once. Now and then the pipeline is behind. remembers is how many bytes the
// connector may take, by its own rules, for what it has heard.
func Run(t *testing.T, src source.Source, cursor string, remembers int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var had [Posts]bool
	n, most, before := 0, uint64(0), heap()
	err := src.Run(ctx, &source.Session{Cursor: cursor, Status: new(source.Status), Emit: func(e source.Event) error {
		switch e.Kind {
		case source.Upsert:
			digits := strings.LastIndexFunc(e.Post.ID, func(r rune) bool { return r < '0' || r > '9' }) + 1
			if number, err := strconv.Atoi(e.Post.ID[digits:]); err != nil || number >= Posts || had[number] {
				t.Errorf("post %q came twice, or was never said", e.Post.ID)
			} else {
				had[number] = true
			}
			if n++; n%(Posts/5) == 0 {
				time.Sleep(20 * time.Millisecond) // the pipeline is behind
				most = max(most, heap())
			}
			if n == Posts {
				cancel()
			}
		case source.Delete, source.RemoveAuthor, source.Unreadable:
			t.Errorf("%+v came, which was never said", e)
		case source.Clock, source.Mark:
		}
		return nil
	}})
	if n != Posts {
		t.Errorf("%d of %d posts came; the run ended with %v", n, Posts, err)
	}
	grown := int64(most) - int64(before)
	if grown > growth+remembers {
		t.Errorf("the heap grew by %d kB; %d kB fit", grown>>10, (growth+remembers)>>10)
	}
	t.Logf("the heap grew by %d kB", grown>>10)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Say writes what post(number) returns for each number of the flood, in large pieces; the bytes need not outlive the next call. It returns where nobody reads any more.
func Say(w io.Writer, post func(line []byte, number int) []byte) error {
	var piece []byte
	for number := range Posts {
		if piece = post(piece, number); len(piece) > 32<<10 || number == Posts-1 {
			if _, err := w.Write(piece); err != nil {
				return err
			}
			piece = piece[:0]
		}
	}
	return nil
}

// Numbered returns a function for [Say] that appends a text with the number in the place of each "?" of it.
func Numbered(text string) func(line []byte, number int) []byte {
	parts := bytes.Split([]byte(text), []byte("?"))
	return func(line []byte, number int) []byte {
		line = append(line, parts[0]...)
		for _, p := range parts[1:] {
			line = append(strconv.AppendInt(line, int64(number), 10), p...)
		}
		return line
	}
}
