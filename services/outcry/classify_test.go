package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outcry.dev/services/ingest/files"
	"outcry.dev/services/ingest/source"
)

// classifiedLines decodes the output strictly: the form of a line is a promise.
func classifiedLines(t *testing.T, stdout string) []classified {
	t.Helper()
	var all []classified
	d := json.NewDecoder(strings.NewReader(stdout))
	d.DisallowUnknownFields()
	for d.More() {
		var c classified
		if err := d.Decode(&c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if lines := strings.Count(stdout, "\n"); lines != len(all) {
		t.Errorf("%d values in %d lines", len(all), lines)
	}
	return all
}

func ids(lines []classified) []string {
	var all []string
	for _, c := range lines {
		all = append(all, c.ID)
	}
	return all
}

func TestClassify(t *testing.T) {
	got := call{args: []string{"classify", "-"}, stdin: `{"id":"a","text":"skype is down, I cannot sign in"}
{"id":"b","text":"what a lovely morning","extra":{"x":[1]}}
{"text":"no id"}

{"id":5,"text":"a number"}
`}.run(t)
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	lines := classifiedLines(t, got.stdout)
	if diff := cmp.Diff([]string{"a", "b", "3", "5"}, ids(lines)); diff != "" {
		t.Fatal(diff)
	}
	if m := lines[0].Mentions; len(m) != 1 || m[0].Service != "skype" || m[0].Label != "outage" || m[0].Score <= 0.5 || m[0].Score > 1 || m[0].Symptom == "" {
		t.Errorf("%+v", m)
	}
	if !strings.Contains(got.stdout, `{"id":"b","mentions":[]}`+"\n") {
		t.Errorf("a post that names no service has an empty list:\n%s", got.stdout)
	}
}

func TestClassifyNamesWhatItCannotReadAndGoesOn(t *testing.T) {
	file := writeFile(t, "posts.jsonl", "{\"id\":\"1\",\"text\":\"a\"}\nnot json\n[1]\n{\"id\":\"4\"}\n{\"id\":{},\"text\":\"x\"}\n{\"text\":7}\n"+
		`{"id":"7","text":"`+strings.Repeat("x", 10_001)+"\"}\n{\"id\":\"8\",\"text\":\"b\"}\n")
	got := outcry(t, "classify", file)
	want := strings.ReplaceAll(`FILE:2: not a JSON object: invalid character 'o' in literal null (expecting 'u') at byte 2
FILE:3: a JSON array where an object belongs
FILE:4: field "text" is missing
FILE:5: field "id" is neither a text nor a whole number
FILE:6: field "text" holds a number where a string belongs
FILE:7: field "text" has 10001 bytes; at most 10000 are read
outcry: 6 of 8 lines could not be read
`, "FILE", file)
	if diff := cmp.Diff(want, got.stderr); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1", "8"}, ids(classifiedLines(t, got.stdout))); diff != "" || got.code != exitFailure {
		t.Errorf("exit status %d, ids %s", got.code, diff)
	}
}

func TestClassifyKeepsTheOrder(t *testing.T) {
	var posts bytes.Buffer
	compressed := gzip.NewWriter(&posts)
	var want []string
	for i := range 20 * batchLines {
		id := fmt.Sprint("post-", i)
		want = append(want, id)
		text := "nothing"
		if i%7 == 0 {
			text = strings.Repeat("is skype down for anyone else? ", 1+i%40) // some lines take much longer than others
		}
		fmt.Fprintf(compressed, `{"id":%q,"text":%q}`+"\n", id, text)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	got := call{args: []string{"classify", "-"}, stdin: posts.String()}.run(t)
	if diff := cmp.Diff(want, ids(classifiedLines(t, got.stdout))); diff != "" || got.code != exitOK {
		t.Errorf("exit status %d %s %s", got.code, got.stderr, diff)
	}
}

// TestClassifyStreams writes a post only after the answer to the one before has come.
func TestClassifyStreams(t *testing.T) {
	in, input := io.Pipe()
	output, out := io.Pipe()
	a := &app{stdin: in, stdout: out, stderr: io.Discard}
	code := make(chan int, 1)
	go func() {
		code <- a.run(t.Context(), []string{"outcry", "classify", "-"})
		_ = out.Close()
	}()
	answers := bufio.NewScanner(output)
	// The format of the file is told from its first bytes, so the first post is a long one.
	padding := strings.Repeat("x", 5000)
	for i := range 5 {
		if _, err := fmt.Fprintf(input, `{"id":"%d","text":"hello %s"}`+"\n", i, padding); err != nil {
			t.Fatal(err)
		}
		padding = ""
		if want := fmt.Sprintf(`{"id":"%d","mentions":[]}`, i); !answers.Scan() || answers.Text() != want {
			t.Fatalf("%q, want %q", answers.Text(), want)
		}
	}
	_ = input.Close()
	if answers.Scan() {
		t.Errorf("%q", answers.Text())
	}
	if c := <-code; c != exitOK {
		t.Errorf("exit status %d", c)
	}
}

func TestClassifyEndsWhenInterruptedWhileNothingComes(t *testing.T) {
	in, input := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	a := &app{stdin: in, stdout: io.Discard, stderr: &stderr}
	code := make(chan int, 1)
	go func() { code <- a.run(ctx, []string{"outcry", "classify", "-"}) }()
	if _, err := input.Write([]byte(`{"id":"1","text":"` + strings.Repeat("x", 5000) + "\"}\n")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if c := <-code; c != exitInterrupted || stderr.String() != "outcry: interrupted\n" {
		t.Errorf("%d %q", c, stderr.String())
	}
	_ = input.Close() // lets the read that was left behind end
}

func TestClassifyFormats(t *testing.T) {
	for _, tt := range []struct {
		format, input string
		want          []string
	}{
		{"twitter-v1", `{"id":1,"id_str":"1","text":"skype down","created_at":"Wed Dec 22 17:00:00 +0000 2010","user":{"id_str":"9","screen_name":"ann"}}
{"delete":{"status":{"id":1,"id_str":"1","user_id":9,"user_id_str":"9"}}}
{"id":2,"id_str":"2","text":"hello","created_at":"Wed Dec 22 17:00:01 +0000 2010","user":{"id_str":"9","screen_name":"ann"}}
`, []string{"1", "2"}},
		{"jetstream", `{"did":"did:plc:a","time_us":1700000000000000,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"app.bsky.feed.post","rkey":"k","record":{"$type":"app.bsky.feed.post","createdAt":"2023-11-14T22:13:20Z","text":"skype down"},"cid":"c"}}
{"did":"did:plc:a","time_us":1700000000000001,"kind":"commit","commit":{"rev":"s","operation":"delete","collection":"app.bsky.feed.post","rkey":"k"}}
`, []string{"at://did:plc:a/app.bsky.feed.post/k"}},
	} {
		got := outcry(t, "classify", "--format", tt.format, writeFile(t, "input", tt.input))
		lines := classifiedLines(t, got.stdout)
		if diff := cmp.Diff(tt.want, ids(lines)); diff != "" || got.code != exitOK || got.stderr != "" {
			t.Errorf("%s: %d %s%s", tt.format, got.code, got.stderr, diff)
			continue
		}
		if len(lines[0].Mentions) != 1 || lines[0].Mentions[0].Service != "skype" {
			t.Errorf("%s: %+v", tt.format, lines[0])
		}
	}
	help := outcry(t, "classify", "--help").stdout
	for _, format := range files.Formats() {
		if !strings.Contains(help, "\n  "+format+" ") {
			t.Errorf("the help does not explain the format %s", format)
		}
	}
}

func TestClassifyUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "a FILE, or - for standard input, is missing"},
		{[]string{"--format", "twiter", "x"}, exitUsage, "twitter-v1"},
		{[]string{"absent.jsonl"}, exitFailure, "absent.jsonl does not exist"},
	} {
		got := outcry(t, append([]string{"classify"}, tt.args...)...)
		if got.code != tt.code || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
			t.Errorf("%v: %+v", tt.args, got)
		}
	}
}

// FuzzDecodeText: whatever a line holds, it gives exactly one event, with a bounded text and an id, and no panic.
func FuzzDecodeText(f *testing.F) {
	f.Add([]byte(`{"id":"1","text":"x"}`))
	f.Add([]byte(`{"id":-12,"text":"\ud800","author":null}`))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		events := 0
		err := decodeText(raw, time.Unix(1_700_000_000, 0), "file", 7, func(e source.Event) error {
			events++
			switch {
			case e.Kind == source.Unreadable && e.Fault.Position == 7 && e.Fault.Reason != "" && !strings.Contains(e.Fault.Reason, "\n"):
			case e.Kind == source.Upsert && e.Post.Validate() == nil:
			default:
				t.Errorf("%+v %+v", e, e.Fault)
			}
			return nil
		})
		if err != nil || events != 1 {
			t.Errorf("%d events, %v", events, err)
		}
	})
}
