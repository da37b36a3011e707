package files

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"outcry.dev/services/ingest/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func line(id string, second int) string {
	return fmt.Sprintf(`{"id":%q,"source":"bluesky","author":"ann","text":"post %s","created_at":"2026-03-01T10:00:%02dZ"}`, id, id, second)
}

// told writes an event as a line that a test can compare.
func told(e source.Event) string {
	switch e.Kind {
	case source.Upsert:
		return "post " + e.Post.Source + " " + e.Post.ID
	case source.Delete:
		return "delete " + e.Post.Source + " " + e.Post.ID
	case source.Unreadable:
		return fmt.Sprintf("unreadable %s:%d: %s", e.Fault.Origin, e.Fault.Position, e.Fault.Reason)
	}
	return fmt.Sprintf("kind %d", e.Kind)
}

func collect(into *[]string) source.Emit {
	return func(e source.Event) error {
		*into = append(*into, told(e))
		return nil
	}
}

func emitting(f source.Emit) *source.Session { return &source.Session{Emit: f} }

func read(t *testing.T, format, content string) []string {
	t.Helper()
	decode, err := Format(format)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := Read(t.Context(), "f", strings.NewReader(content), decode, now, collect(&got)); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRead(t *testing.T) {
	const tweet = `{"id_str":"7","text":"hi","created_at":"Sun Mar 01 10:00:00 +0000 2026","user":{"screen_name":"ann"}}`
	const skeet = `{"did":"did:plc:a","time_us":1772359200000000,"kind":"commit","commit":{"operation":"create","collection":"app.bsky.feed.post","rkey":"r","record":{"text":"hi"}}}`
	for _, tt := range []struct {
		name, format, content string
		want                  []string
	}{
		{"nothing", "jsonl", "", nil},
		{"blank lines", "jsonl", "\n \r\n\n", nil},
		{"lines", "jsonl", line("1", 1) + "\n" + line("2", 2) + "\n", []string{"post bluesky 1", "post bluesky 2"}},
		{"no end of line", "jsonl", line("1", 1), []string{"post bluesky 1"}},
		{"windows", "jsonl", "\xef\xbb\xbf" + line("1", 1) + "\r\n\r\n" + line("2", 2) + "\r\n", []string{"post bluesky 1", "post bluesky 2"}},
		{"rubbish between posts", "jsonl", line("1", 1) + "\nrubbish\n\n{\"id\":\"x\"}\n" + line("2", 2) + "\n", []string{
			"post bluesky 1",
			"unreadable f:2: not a JSON object: invalid character 'r' looking for beginning of value at byte 1",
			`unreadable f:4: field "source" is missing or empty; field "author" is missing or empty; field "created_at" is missing or empty`,
			"post bluesky 2",
		}},
		{"the future", "jsonl", strings.Replace(line("1", 1), "2026", "2027", 1), []string{
			`unreadable f:1: field "created_at" lies in the future: 2027-03-01T10:00:01Z`}},
		{"an array over several lines", "jsonl", "[\n" + line("1", 1) + ",\n" + line("2", 2) + "\n]\n", []string{"post bluesky 1", "post bluesky 2"}},
		{"an array on one line", "jsonl", "[" + line("1", 1) + "," + line("2", 2) + "]", []string{"post bluesky 1", "post bluesky 2"}},
		{"a byte order mark alone", "jsonl", "\xef\xbb\xbf\n" + line("1", 1) + "\n", []string{"post bluesky 1"}},
		{"a document below blank lines", "jsonl", "\n\n[\n" + line("1", 1) + ",\n7]", []string{
			"post bluesky 1", `unreadable f element 1:5: not a JSON object: it is of type number`}},
		{"an empty array", "jsonl", "\xef\xbb\xbf []", nil},
		{"an array with something else in it", "jsonl", "[" + line("1", 1) + ",\n7,\n" + line("2", 2) + "]", []string{
			"post bluesky 1", `unreadable f element 1:3: not a JSON object: it is of type number`, "post bluesky 2"}},
		{"an array that breaks off", "jsonl", "[" + line("1", 1) + ",\n", []string{"post bluesky 1", "unreadable f:2: not a JSON document: element 1: EOF"}},
		{"a search response", "twitter-v1", "{\n \"search_metadata\": {\"count\": 1},\n \"statuses\": [\n" + tweet + "\n ]\n}\n", []string{"post twitter 7"}},
		{"a document without a list", "twitter-v1", "{\n\"errors\": []\n}\n", []string{`unreadable f:4: not a JSON document: no list "statuses" in it`}},
		{"a list that is none", "twitter-v1", "{\n\"statuses\": 7\n}\n", []string{`unreadable f:4: not a JSON document: "statuses" is no list`}},
		{"tweets", "twitter-v1", tweet + "\n{\"limit\":{\"track\":1}}\n{\"delete\":{\"status\":{\"id_str\":\"7\"}}}\n", []string{"post twitter 7", "delete twitter 7"}},
		{"jetstream", "jetstream", skeet + "\n{}\n", []string{
			"post bluesky at://did:plc:a/app.bsky.feed.post/r", "unreadable f:2: not a Jetstream event: did, time_us or kind is missing"}},
	} {
		if diff := cmp.Diff(tt.want, read(t, tt.format, tt.content)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestLongLines(t *testing.T) {
	// Longer than the buffer of the reader, and as long as a line may be.
	padded := func(id string, length int) string {
		l := line(id, 1)
		return l[:len(l)-1] + `,"x":"` + strings.Repeat("x", length-len(l)-7) + `"}`
	}
	got := read(t, "jsonl", padded("1", 1<<20)+"\n"+padded("2", MaxLineBytes-1)+"\n"+padded("3", MaxLineBytes+1)+"\n"+padded("4", 2*MaxLineBytes)+"\n"+line("5", 1)+"\n"+padded("6", MaxLineBytes+1))
	want := []string{"post bluesky 1", "post bluesky 2",
		"unreadable f:3: line of more than 16777216 bytes", "unreadable f:4: line of more than 16777216 bytes", "post bluesky 5",
		"unreadable f:6: line of more than 16777216 bytes"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func zipped(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bzip2 -9 of line("1", 1) and a new line; the standard library only unpacks.
const bzipped = "QlpoOTFBWSZTWWiG8hIAAC/bgAAQUAZ5EAQQvm3eaiAAVFT1N6mUDRoANB5Qap7VGgG1B6QBoaSj9YOVGjo7Gi9EkSIKBmzskYqzVwnBQUmYEOEn6ypdiXT+RmpONZ7z7WBrXbcBCpiCMYRmT8XckU4UJBohvISA"

func TestOpenUndoesCompression(t *testing.T) {
	bz, err := base64.StdEncoding.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	whole := line("1", 1) + "\n"
	for name, content := range map[string][]byte{"plain": []byte(whole), "gzip": zipped(t, whole), "two gzip members": append(zipped(t, whole[:40]), zipped(t, whole[40:])...), "bzip2": bz, "empty": nil} {
		path := filepath.Join(t.TempDir(), "posts") // the name says nothing
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if want := whole; string(got) != want && name != "empty" {
			t.Errorf("%s: read %q", name, got)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A small file that unpacks to a gigantic line costs no more than a line may have, and what comes after it is read.
func TestCompressedBomb(t *testing.T) {
	const unpacked = 128 << 20
	r, w := io.Pipe()
	go func() {
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		x := bytes.Repeat([]byte("x"), 1<<20)
		for range unpacked / len(x) {
			_, _ = z.Write(x)
		}
		_, _ = io.WriteString(z, "\n"+line("1", 1))
		_ = w.CloseWithError(z.Close())
	}()
	packed, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	bomb, err := Decompress(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var got []string
	if err := Read(t.Context(), "f", bomb, decodePost, now, collect(&got)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if diff := cmp.Diff([]string{"unreadable f:1: line of more than 16777216 bytes", "post bluesky 1"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	// As it grows, the line is copied some times.
	if n := after.TotalAlloc - before.TotalAlloc; n > 6*MaxLineBytes {
		t.Errorf("%d bytes, of which %d were unpacked, took %d", len(packed), unpacked, n)
	}
}

// What stands before the break is read, and the break is said.
func TestBrokenGzip(t *testing.T) {
	var content strings.Builder
	for i := range 20_000 {
		content.WriteString(line(fmt.Sprint(i), i%60) + "\n")
	}
	whole := zipped(t, content.String())
	corrupt := bytes.Clone(whole)
	for i := range 64 {
		corrupt[len(corrupt)/2+i] ^= 0xa5
	}
	for name, stream := range map[string][]byte{"cut off": whole[:len(whole)/2], "corrupt": corrupt} {
		r, err := Decompress(bytes.NewReader(stream))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		posts, last := 0, ""
		err = Read(t.Context(), "f", r, decodePost, now, func(e source.Event) error {
			if e.Kind == source.Upsert {
				posts++
			}
			last = told(e)
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if posts < 1000 || posts >= 20_000 || !strings.Contains(last, "the file breaks off: ") {
			t.Errorf("%s: %d posts, then %s", name, posts, last)
		}
	}
	if _, err := Decompress(strings.NewReader("\x1f\x8b\x08")); err == nil {
		t.Error("three bytes were taken for a whole gzip header")
	}
}

func sourceOf(t *testing.T, contents ...string) *Source {
	t.Helper()
	s := &Source{Decode: decodePost, Now: now, Open: func(name string) (io.ReadCloser, error) {
		var i int
		if _, err := fmt.Sscanf(name, "f%d", &i); err != nil || i >= len(contents) {
			return nil, fmt.Errorf("no %s", name)
		}
		return io.NopCloser(strings.NewReader(contents[i])), nil
	}}
	for i := range contents {
		s.Names = append(s.Names, fmt.Sprintf("f%d", i))
	}
	return s
}

// Several files are one stream in event time; within a file its own order stands, even where that is not event time.
func TestSeveralFilesAreMergedByTime(t *testing.T) {
	s := sourceOf(t,
		line("a1", 1)+"\n"+line("a5", 5)+"\n"+line("a3", 3)+"\n"+line("a9", 9)+"\n",
		line("b2", 2)+"\nrubbish\n"+line("b6", 6)+"\n",
		"", line("d4", 4)+"\n")
	var got []string
	if err := s.Run(t.Context(), &source.Session{Emit: collect(&got)}); err != nil {
		t.Fatal(err)
	}
	want := []string{"post bluesky a1", "post bluesky b2",
		"unreadable f1:2: not a JSON object: invalid character 'r' looking for beginning of value at byte 1",
		"post bluesky d4", "post bluesky a5", "post bluesky a3", "post bluesky b6", "post bluesky a9"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A fault that waits for its turn still holds its own bytes.
func TestMergedFaultsKeepTheirBytes(t *testing.T) {
	var a, b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&a, "rubbish %d\n", i)
		b.WriteString(line(fmt.Sprint(i), i%60) + "\n")
	}
	faults := 0
	err := sourceOf(t, b.String(), a.String()).Run(t.Context(), emitting(func(e source.Event) error {
		if e.Fault != nil {
			if want := fmt.Sprintf("rubbish %d", e.Fault.Position-1); string(e.Fault.Raw) != want {
				t.Fatalf("line %d holds %q", e.Fault.Position, e.Fault.Raw)
			}
			faults++
		}
		return nil
	}))
	if err != nil || faults != 3000 {
		t.Errorf("%d faults, %v", faults, err)
	}
}

func TestSourceEndsWithItsError(t *testing.T) {
	boom := errors.New("boom")
	two := []string{strings.Repeat(line("1", 1)+"\n", 5000), strings.Repeat(line("2", 2)+"\n", 5000)}
	for n := 1; n <= 2; n++ {
		err := sourceOf(t, two[:n]...).Run(t.Context(), emitting(func(source.Event) error { return boom }))
		if !errors.Is(err, boom) {
			t.Errorf("%d files: the error of emit came back as %v", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = sourceOf(t, two[:n]...).Run(ctx, emitting(func(source.Event) error { cancel(); return nil }))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d files: interrupted, it returned %v", n, err)
		}
	}
	s := sourceOf(t, two...)
	s.Names = append(s.Names, "absent")
	if err := s.Run(t.Context(), emitting(func(source.Event) error { t.Error("read before all files were open"); return nil })); err == nil {
		t.Error("a file that cannot be opened is no error")
	}
}

func TestFormatNamesTheNearest(t *testing.T) {
	_, err := Format("twiter-v1")
	if err == nil || !strings.Contains(err.Error(), `did you mean "twitter-v1"? Known are jetstream, jsonl, twitter-v1`) {
		t.Error(err)
	}
}

// Whatever a file holds: each event is valid, no event is without a place, and reading never fails by itself.
func FuzzRead(f *testing.F) {
	for _, s := range []string{line("1", 1) + "\nrubbish\n", "[" + line("1", 1) + ",7]", "{\n\"statuses\":[{}]}", "\xef\xbb\xbf{}", "\x1f\x8b\x08\x00", "[[]]", "{\n"} {
		for format := range formats {
			f.Add(format, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, format string, content []byte) {
		decode, ok := formats[format]
		if !ok {
			return
		}
		err := Read(t.Context(), "f", bytes.NewReader(content), decode, now, func(e source.Event) error {
			switch {
			case e.Kind == source.Upsert && e.Post.Validate() != nil:
				t.Errorf("%q gave an invalid post: %v", content, e.Post.Validate())
			case e.Kind == source.Delete && e.Post.ID == "":
				t.Errorf("%q gave a delete of nothing", content)
			case e.Kind == source.Unreadable && (e.Fault.Position < 1 || e.Fault.Origin == "" || e.Fault.Reason == "" || strings.Contains(e.Fault.Reason, "\n")):
				t.Errorf("%q gave a fault without its place: %+v", content, e.Fault)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%q: %v", content, err)
		}
	})
}
