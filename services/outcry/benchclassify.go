package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/names"
)

const (
	// benchNeedles is how many names multiSearchAnyCaseInsensitive gets; it takes 255 at most.
	benchNeedles = 250
	// benchPatterns is how many multiMatchAny gets.
	benchPatterns = 1000
)

func (a *app) benchClassifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "classify",
		Usage: "measure the classifier on one core, beside ClickHouse's multi-pattern search",
		Description: `Measures over the same simulated posts (97 in 100 name no service), in one goroutine, and by turns with one thread of the embedded
ClickHouse, which holds the texts in memory:

  names                          finding the names of all services of the catalog, each in its context
  classifier, firehose           names, and what is said of them
  classifier, posts with a name  the same over only those posts that name a service
  multiSearchAnyCaseInsensitive  ClickHouse finding whether a post has one of 250 names as a part of any word
  multiMatchAny                  the same with 1,000 names as regular expressions (Vectorscan)

It prints the best of the rounds, in posts/s. What ClickHouse finds is less: no word boundaries, no services, no meaning.

Examples:
  outcry bench classify
  outcry bench classify --posts 1000000 --rounds 5 --json`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "posts", Value: 300_000, Usage: "`NUMBER` of posts in a round"},
			&cli.IntFlag{Name: "rounds", Value: 3, Usage: "`NUMBER` of times that each is measured"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`NUMBER` from which the posts follow"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: a.benchClassify,
	}
}

// classifyBenchResult is what --json prints.
type classifyBenchResult struct {
	Posts    int                `json:"posts"`    // of the firehose
	Named    int                `json:"named"`    // of them name a service
	Bytes    float64            `json:"bytes"`    // of a text, on average
	Services int                `json:"services"` // in the catalog
	Rows     []classifyBenchRow `json:"rows"`
}

type classifyBenchRow struct {
	What  string  `json:"what"`
	Posts float64 `json:"posts_per_second"` // in the best round
	Found uint64  `json:"found"`            // posts in which something was found
}

func (a *app) benchClassify(ctx context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	posts, rounds := cmd.Int("posts"), cmd.Int("rounds")
	if posts < 1000 || posts > 10_000_000 {
		return usagef(cmd, "--posts is %d; expected 1000 to 10000000", posts)
	}
	if rounds < 1 || rounds > 1000 {
		return usagef(cmd, "--rounds is %d; expected 1 to 1000", rounds)
	}
	cfg, cleanUp, err := a.scratchConfig(cmd)
	if err != nil {
		return err
	}
	defer cleanUp()
	services, err := loadCatalog(cfg)
	if err != nil {
		return err
	}
	simulated, err := newBenchTexts(cfg, cmd.Uint64("seed"))
	if err != nil {
		return err
	}
	b := newClassifyBench(services, simulated, posts, cmd.Uint64("seed"))
	e := &engines{}
	if err := e.startClickHouse(ctx, cfg, a.stderr, a.logger(cfg.Log)); err != nil {
		return orInterrupted(ctx, err)
	}
	defer a.closing(e)
	b.click = &clickHouseBench{address: e.server.HTTPAddr(), user: e.server.User(), password: e.server.Password()}
	result, err := b.run(ctx, rounds)
	if err != nil {
		return orInterrupted(ctx, err)
	}
	if cmd.Bool("json") {
		return json.NewEncoder(a.stdout).Encode(result)
	}
	return result.write(a.stdout)
}

// classifyBench holds what is measured.
type classifyBench struct {
	services   *catalog.Catalog
	matcher    *names.Matcher
	classifier *classify.Classifier
	firehose   []string
	named      []string // as many as name a service in a real firehose are too few to measure by themselves
	click      *clickHouseBench
}

func newClassifyBench(c *catalog.Catalog, texts *benchTexts, posts int, seed uint64) *classifyBench {
	b := &classifyBench{services: c, matcher: names.New(c), classifier: classify.New(c, classify.DefaultModel())}
	rng := rand.New(rand.NewPCG(seed, 0))
	for range posts {
		if rng.IntN(100) < benchNamed {
			b.firehose = append(b.firehose, texts.named[rng.IntN(len(texts.named))].Text)
		} else {
			b.firehose = append(b.firehose, texts.chatter[rng.IntN(len(texts.chatter))].Text)
		}
	}
	for range max(1, posts/10) {
		b.named = append(b.named, texts.named[rng.IntN(len(texts.named))].Text)
	}
	return b
}

// run measures each thing once a round, by turns.
func (b *classifyBench) run(ctx context.Context, rounds int) (*classifyBenchResult, error) {
	if err := b.click.load(ctx, b.firehose); err != nil {
		return nil, err
	}
	needles, patterns := b.needles(benchNeedles), b.needles(benchPatterns)
	for i, p := range patterns {
		patterns[i] = "(?i)" + regexp.QuoteMeta(p)
	}
	turns := []struct {
		what  string
		posts int
		turn  func() (uint64, error)
	}{
		{"names", len(b.firehose), func() (uint64, error) { return b.findNames(b.firehose), nil }},
		{"classifier, firehose", len(b.firehose), func() (uint64, error) { return b.classify(b.firehose), nil }},
		{"classifier, posts with a name", len(b.named), func() (uint64, error) { return b.classify(b.named), nil }},
		{fmt.Sprintf("multiSearchAnyCaseInsensitive, %d names", len(needles)), len(b.firehose),
			func() (uint64, error) { return b.click.count(ctx, "multiSearchAnyCaseInsensitive", needles) }},
		{fmt.Sprintf("multiMatchAny, %d names", len(patterns)), len(b.firehose),
			func() (uint64, error) { return b.click.count(ctx, "multiMatchAny", patterns) }},
	}
	result := &classifyBenchResult{Posts: len(b.firehose), Services: len(b.services.Services), Rows: make([]classifyBenchRow, len(turns))}
	for _, text := range b.firehose {
		result.Bytes += float64(len(text)) / float64(len(b.firehose))
	}
	for round := range rounds + 1 {
		for i, t := range turns {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			begin := time.Now()
			found, err := t.turn()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.what, err)
			}
			if speed := float64(t.posts) / time.Since(begin).Seconds(); round > 0 { // the first one warms caches and compiles patterns
				result.Rows[i].Posts = max(result.Rows[i].Posts, speed)
			}
			result.Rows[i].What, result.Rows[i].Found = t.what, found
		}
	}
	result.Named = int(result.Rows[1].Found)
	return result, nil
}

func (b *classifyBench) findNames(texts []string) (found uint64) {
	var matches []names.Match
	for _, text := range texts {
		matches = b.matcher.Find(text, matches[:0])
		if slices.ContainsFunc(matches, func(m names.Match) bool { return m.InContext }) {
			found++
		}
	}
	return found
}

func (b *classifyBench) classify(texts []string) (found uint64) {
	var mentions []classify.Mention
	var in classify.Input
	for _, text := range texts {
		in.Text = text
		mentions = b.classifier.Classify(&in, mentions[:0])
		if len(mentions) > 0 {
			found++
		}
	}
	return found
}

// needles gives n names, those of services that many posts are about first where the catalog is in that order.
func (b *classifyBench) needles(n int) []string {
	var all []string
	seen := map[string]bool{}
	for _, s := range b.services.Services {
		name := strings.ToLower(s.Name)
		if len(all) < n && len(name) > 2 && !seen[name] {
			seen[name] = true
			all = append(all, name)
		}
	}
	return all
}

// clickHouseBench speaks HTTP to the embedded engine, so that nothing but the query is measured.
type clickHouseBench struct{ address, user, password string }

// load stores the texts in memory.
func (c *clickHouseBench) load(ctx context.Context, texts []string) error {
	if _, err := c.do(ctx, "CREATE TABLE bench_classify (text String) ENGINE = Memory", nil); err != nil {
		return err
	}
	body, w := io.Pipe()
	go func() {
		encoder := json.NewEncoder(w)
		var err error
		for _, text := range texts {
			if err = encoder.Encode(map[string]string{"text": strings.ToValidUTF8(text, "")}); err != nil {
				break
			}
		}
		w.CloseWithError(cmp.Or(err, io.EOF))
	}()
	_, err := c.do(ctx, "INSERT INTO bench_classify FORMAT JSONEachRow", body)
	return errors.Join(err, body.Close())
}

// count gives how many texts a search function finds something in, with one thread.
func (c *clickHouseBench) count(ctx context.Context, function string, needles []string) (uint64, error) {
	quoted := make([]string, len(needles))
	for i, n := range needles {
		quoted[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(n) + "'"
	}
	query := "SELECT count() FROM bench_classify WHERE " + function + "(text, [" + strings.Join(quoted, ",") + "]) SETTINGS max_threads = 1"
	answer, err := c.do(ctx, "", strings.NewReader(query))
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(answer), 10, 64)
}

// do sends a statement, in the address or as the body, and gives the answer.
func (c *clickHouseBench) do(ctx context.Context, statement string, body io.Reader) (string, error) {
	u := url.URL{Scheme: "http", Host: c.address, Path: "/"}
	if statement != "" {
		u.RawQuery = url.Values{"query": {statement}}.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(c.user, c.password)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("ClickHouse says: %s", strings.TrimSpace(string(answer)))
	}
	return string(answer), err
}

// write prints what a person reads.
func (r *classifyBenchResult) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d posts of %.0f bytes, %d of them name one of %d services; one core\n\n%-46s %12s  %10s\n",
		r.Posts, r.Bytes, r.Named, r.Services, "", "posts/s", "found in")
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%-46s %12.0f  %10d\n", row.What, row.Posts, row.Found)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
