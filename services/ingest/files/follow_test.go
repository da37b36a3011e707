package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/services/ingest/floodtest"
	"outcry.dev/services/ingest/source"
)

// follower runs a Follower in the background and hands out what it says.
type follower struct {
	t      *testing.T
	events chan string
	cursor chan string
	stop   func()
}

func follow(t *testing.T, path, cursor string) *follower {
	t.Helper()
	s, err := Follow(path, decodePost)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, events: make(chan string, 1000), cursor: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, &source.Session{Cursor: cursor, Emit: func(e source.Event) error {
			if e.Kind == source.Mark {
				f.cursor <- e.Cursor
				return nil
			}
			f.events <- told(e)
			return nil
		}})
	}()
	f.stop = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	}
	return f
}

// expect waits for events, and for the cursor behind them.
func (f *follower) expect(want ...string) (cursor string) {
	f.t.Helper()
	var got []string
	for range want {
		select {
		case e := <-f.events:
			got = append(got, e)
		case <-time.After(30 * time.Second):
			f.t.Fatalf("waited in vain for %q after %q", want, got)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("-want +got\n%s", diff)
	}
	select {
	case cursor = <-f.cursor:
	case <-time.After(30 * time.Second):
		f.t.Fatal("waited in vain for a cursor")
	}
	return cursor
}

func write(t *testing.T, path string, flag int, text string) {
	t.Helper()
	f, err := os.OpenFile(path, flag|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A file that grows, by whole lines and half ones, is followed; it is gone on with where it was left, also after it was replaced or cut.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "posts.jsonl")
	write(t, path, os.O_APPEND, line("1", 1)+"\n"+line("2", 2)+"\n")
	f := follow(t, path, "")
	f.expect("post bluesky 1", "post bluesky 2")
	l := line("3", 3)
	write(t, path, os.O_APPEND, l[:20])
	write(t, path, os.O_APPEND, l[20:]+"\r\nrubbish\n")
	cursor := f.expect("post bluesky 3")
	if len(f.events) == 0 { // the two writes were seen apart
		cursor = f.expect("unreadable " + path + ":4: not a JSON object: invalid character 'r' looking for beginning of value at byte 1")
	} else {
		<-f.events
	}
	f.stop()

	write(t, path, os.O_APPEND, line("5", 5)+"\n")
	f = follow(t, path, cursor)
	cursor = f.expect("post bluesky 5")
	// Replaced, as log rotation does.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path+".1", os.O_APPEND, line("6", 6)+"\n")
	f.expect("post bluesky 6")
	write(t, path, 0, line("7", 7)+"\n")
	f.expect("post bluesky 7")
	// Cut and written anew.
	write(t, path, os.O_TRUNC, "")
	time.Sleep(2 * lookEvery)
	write(t, path, os.O_APPEND, line("8", 8)+"\n")
	f.expect("post bluesky 8")
	f.stop()

	// A cursor of another file, or of none, begins at the beginning.
	for _, c := range []string{cursor, "rubbish", "-1:0:0", "99999999:0:cbf29ce484222325", fmt.Sprint(1 << 40)} {
		f = follow(t, path, c)
		f.expect("post bluesky 8")
		f.stop()
	}
}

func TestFollowLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "posts.jsonl")
	write(t, path, os.O_APPEND, strings.Repeat("x", MaxLineBytes+5)+"\n"+line("1", 1)+"\n")
	f := follow(t, path, "")
	f.expect("unreadable "+path+":1: line of more than 16777216 bytes", "post bluesky 1")
	f.stop()
}

func TestWhatCannotBeFollowed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.gz"), 0, "\x1f\x8b\x08")
	for name, want := range map[string]string{"a.gz": "is compressed", "absent": "no such file"} {
		s, err := Follow(filepath.Join(dir, name), decodePost)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), &source.Session{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that grows by a flood at once is read whole and at the pipeline's pace, and so is one that is there.
func TestFlood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "posts.jsonl")
	flood := func() {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		if err := errors.Join(floodtest.Say(f, floodtest.Numbered(line("?", 0)+"\n")), f.Close()); err != nil {
			t.Error(err)
		}
	}
	write(t, path, 0, "")
	s, err := Follow(path, decodePost)
	if err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	writing.Go(flood)
	floodtest.Run(t, s, "", 0)
	writing.Wait()
	floodtest.Run(t, &Source{Decode: decodePost, Now: time.Now(), Names: []string{path}, Open: Open}, "", 0)
}
