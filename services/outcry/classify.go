package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/post"
	"outcry.dev/services/ingest/files"
	"outcry.dev/services/ingest/source"
)

func (a *app) classifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "classify",
		Usage:     "find the services that posts are about, and what they say of them",
		ArgsUsage: "FILE…",
		Description: `Prints one JSON line a post, in the order of the input, with a mention for every service that the post names:

  {"id":"42","mentions":[{"service":"skype","label":"outage","score":0.98,"symptom":"login"}]}

Labels are outage, bug, complaint, recovered, official and other; the score, 0 to 1, is how sure the label is. "mentions" is empty
where no service is named. Files may be compressed with gzip or bzip2, and - is standard input.

Formats:
  jsonl       posts as JSON lines; "text" is needed; "id" (else the line's number), "lang", "source", "author", "reply_to" and
              "repost_of" are used, other fields ignored
  twitter-v1  tweets of the API v1.1 as JSON lines, or its answers; deletes give no line
  jetstream   recorded Bluesky Jetstream events as JSON lines; deletes give no line

Lines that cannot be read are named on standard error with file, line and reason; the others are read all the same, and the exit
status is 1 at the end.

Examples:
  outcry classify posts.jsonl.gz > mentions.jsonl
  outcry classify --format twitter-v1 archive.json.bz2
  echo '{"id":"1","text":"skype is down, cannot sign in"}' | outcry classify -`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "jsonl", Usage: "`FORMAT` of the files: " + strings.Join(files.Formats(), ", ")},
		},
		Action: a.classify,
	}
}

func (a *app) classify(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 1, math.MaxInt, "a FILE, or - for standard input,"); err != nil {
		return err
	}
	format := cmd.String("format")
	decode, err := files.Format(format)
	if err != nil {
		return usagef(cmd, "--format: %w", err)
	}
	if format == "jsonl" {
		decode = decodeText
	}
	services, err := a.catalog(cmd)
	if err != nil {
		return err
	}
	c := &classification{
		decode:     decode,
		classifier: classify.New(services, classify.DefaultModel()),
		official:   officialAccounts(services),
		now:        time.Now(),
	}
	for _, name := range cmd.Args().Slice() {
		if err := a.classifyFile(ctx, c, name); err != nil {
			return err
		}
	}
	if c.faults > 0 {
		return fmt.Errorf("%d of %d lines could not be read", c.faults, c.lines)
	}
	return nil
}

func (a *app) classifyFile(ctx context.Context, c *classification, name string) error {
	file, err := a.open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if name == "-" {
		name = "standard input"
	}
	return c.run(ctx, name, file, a.stdout, a.stderr)
}

// classification reads, classifies and writes at the same time: one goroutine cuts the input into batches of lines, as many as there are processors decode
// and classify, and one writes in the order of the input. What is under way is bounded by the number of batches.
type classification struct {
	decode     files.Decode
	classifier *classify.Classifier
	official   map[account][]string
	now        time.Time

	lines, faults int
}

// batch is some lines of input, then the lines of output for them.
type batch struct {
	lines  []line
	raw    []byte
	out    bytes.Buffer
	errors bytes.Buffer
	faults int
	done   chan struct{}
}

// line is one line of input: raw[from:to], or a fault where it could not even be read.
type line struct {
	from, to int
	origin   string
	position int64
	fault    string
}

const (
	batchLines = 512
	batchBytes = 256 << 10
)

func (c *classification) run(ctx context.Context, name string, in io.Reader, stdout, stderr io.Writer) error {
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *batch)
	ordered := make(chan *batch, 2*workers)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(work)
		defer close(ordered)
		return c.read(ctx, name, in, func(b *batch) error {
			for _, next := range []chan *batch{ordered, work} {
				select {
				case next <- b:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range workers {
		group.Go(func() error {
			var found []classify.Mention
			for b := range work {
				found = c.classify(b, found)
				close(b.done)
			}
			return nil
		})
	}
	group.Go(func() error {
		for b := range ordered {
			select {
			case <-b.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			c.lines += len(b.lines)
			c.faults += b.faults
			if _, err := stderr.Write(b.errors.Bytes()); err != nil {
				return fmt.Errorf("write to standard error: %w", err)
			}
			if _, err := stdout.Write(b.out.Bytes()); err != nil {
				return fmt.Errorf("write the results: %w", err)
			}
		}
		return nil
	})
	return group.Wait()
}

// read cuts the input into batches. A batch is sent when it is full, and before a read that may have to wait for more input, so that what comes through a
// pipe is answered at once.
func (c *classification) read(ctx context.Context, name string, in io.Reader, send func(*batch) error) error {
	current := &batch{done: make(chan struct{})}
	flush := func() error {
		if len(current.lines) == 0 {
			return nil
		}
		full := current
		current = &batch{done: make(chan struct{})}
		return send(full)
	}
	add := func(l line, raw []byte) error {
		l.from = len(current.raw)
		current.raw = append(current.raw, raw...)
		l.to = len(current.raw)
		current.lines = append(current.lines, l)
		if len(current.lines) >= batchLines || len(current.raw) >= batchBytes {
			return flush()
		}
		return nil
	}
	keep := func(raw []byte, _ time.Time, origin string, position int64, _ source.Emit) error {
		return add(line{origin: origin, position: position}, raw)
	}
	unreadable := func(e source.Event) error {
		if ctx.Err() != nil {
			return ctx.Err() // the input did not break off by itself
		}
		return add(line{origin: e.Fault.Origin, position: e.Fault.Position, fault: e.Fault.Reason}, nil)
	}
	if err := files.Read(ctx, name, &beforeRead{in, flush}, keep, c.now, unreadable); err != nil {
		return err
	}
	return flush()
}

// beforeRead calls a function before every read.
type beforeRead struct {
	r io.Reader
	f func() error
}

func (b *beforeRead) Read(p []byte) (int, error) {
	if err := b.f(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

// classified is a line of output.
type classified struct {
	ID       string    `json:"id"`
	Mentions []mention `json:"mentions"`
}

type mention struct {
	Service string  `json:"service"`
	Label   string  `json:"label"`
	Score   float64 `json:"score"`
	Symptom string  `json:"symptom,omitempty"`
}

func (c *classification) classify(b *batch, found []classify.Mention) []classify.Mention {
	encoder := json.NewEncoder(&b.out)
	encoder.SetEscapeHTML(false)
	fault := func(origin string, position int64, reason string) {
		b.faults++
		fmt.Fprintf(&b.errors, "%s:%d: %s\n", origin, position, reason)
	}
	for _, l := range b.lines {
		if l.fault != "" {
			fault(l.origin, l.position, l.fault)
			continue
		}
		emit := func(e source.Event) error {
			switch e.Kind {
			case source.Unreadable:
				fault(e.Fault.Origin, e.Fault.Position, e.Fault.Reason)
			case source.Upsert:
				p := &e.Post
				found = c.classifier.Classify(&classify.Input{
					Text: p.Text, Lang: p.Lang, ReplyTo: p.ReplyTo, Repost: p.RepostOf != "",
					OfficialOf: c.official[account{p.Source, strings.ToLower(p.Author)}],
				}, found[:0])
				return encoder.Encode(classified{ID: p.ID, Mentions: mentions(found)})
			}
			return nil
		}
		if err := c.decode(b.raw[l.from:l.to], c.now, l.origin, l.position, emit); err != nil {
			fault(l.origin, l.position, err.Error())
		}
	}
	return found
}

func mentions(found []classify.Mention) []mention {
	out := make([]mention, len(found)) // never nil: nothing named is an empty list
	for i, f := range found {
		out[i] = mention{f.Service, f.Label.Name(), math.Round(float64(f.Score)*1e4) / 1e4, f.Symptom.Name()}
	}
	return out
}

// account is somebody on a network, in lower case.
type account struct{ source, author string }

// officialAccounts maps the accounts that speak for services to those services.
func officialAccounts(c *catalog.Catalog) map[account][]string {
	accounts := map[account][]string{}
	for _, s := range c.Services {
		for network, handles := range s.Official {
			for _, handle := range handles {
				a := account{network, strings.ToLower(handle)}
				accounts[a] = append(accounts[a], s.ID)
			}
		}
	}
	return accounts
}

// decodeText reads a post of which only the text is needed, unlike the format of the same name that goes into the pipeline.
func decodeText(raw []byte, now time.Time, origin string, position int64, emit source.Emit) error {
	var p struct {
		ID       json.RawMessage `json:"id"`
		Text     *string         `json:"text"`
		Source   string          `json:"source"`
		Author   string          `json:"author"`
		Lang     string          `json:"lang"`
		ReplyTo  string          `json:"reply_to"`
		RepostOf string          `json:"repost_of"`
	}
	unreadable := func(err error) error {
		reason := strings.ReplaceAll(err.Error(), "\n", "; ")
		return emit(source.Event{Kind: source.Unreadable, Fault: &source.Fault{Origin: origin, Position: position, Reason: reason, Raw: raw}})
	}
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch err := json.Unmarshal(raw, &p); {
	case errors.As(err, &syntax):
		return unreadable(fmt.Errorf("not a JSON object: %w at byte %d", syntax, syntax.Offset))
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return unreadable(fmt.Errorf("a JSON %s where an object belongs", wrongType.Value))
	case errors.As(err, &wrongType):
		return unreadable(fmt.Errorf("field %q holds a %s where a %s belongs", wrongType.Field, wrongType.Value, wrongType.Type))
	case err != nil:
		return unreadable(fmt.Errorf("not a post: %w", err))
	case p.Text == nil:
		return unreadable(errors.New(`field "text" is missing`))
	}
	id, err := decodeID(p.ID)
	if err != nil {
		return unreadable(err)
	}
	if id == "" {
		id = strconv.FormatInt(position, 10)
	}
	whole := post.Post{
		ID: id, Source: p.Source, Author: p.Author, Text: *p.Text, Lang: p.Lang, ReplyTo: p.ReplyTo, RepostOf: p.RepostOf,
		CreatedAt: now, // not used for a label, but a post needs one
	}
	if whole.Source == "" {
		whole.Source = "file"
	}
	if whole.Author == "" {
		whole.Author = "unknown"
	}
	return emit(source.Post(whole, 0, now, origin, position, raw))
}

// decodeID accepts texts and whole numbers, which many exports have.
func decodeID(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil && strings.Trim(number.String(), "-0123456789") == "" {
		return number.String(), nil
	}
	return "", errors.New(`field "id" is neither a text nor a whole number`)
}
