package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"outcry.dev/pkg/classify"
	"outcry.dev/pkg/post"
	"outcry.dev/pkg/simulate"
)

const (
	// benchNamed is how many posts of a hundred name a service that is listened for.
	benchNamed = 3
	// benchRate is posts a second of event time: a firehose at a busy hour.
	benchRate = 5000
	// benchAuthors is how many people could write.
	benchAuthors = 2_000_000
)

// benchTexts are simulated posts, divided by whether the classifier finds a service in them.
type benchTexts struct{ named, chatter []post.Post }

func newBenchTexts(cfg Config, seed uint64) (*benchTexts, error) {
	c, err := loadCatalog(cfg)
	if err != nil {
		return nil, err
	}
	classifier := classify.New(c, classify.DefaultModel())
	scenario, err := simulate.Lookup(demoScenario)
	if err != nil {
		return nil, err
	}
	texts := &benchTexts{}
	var found []classify.Mention
	_, err = scenario.Generate(seed, func(p simulate.Labelled) error {
		found = classifier.Classify(&classify.Input{Text: p.Text, Lang: p.Lang}, found[:0])
		if len(found) == 0 {
			texts.chatter = append(texts.chatter, p.Post)
		} else {
			texts.named = append(texts.named, p.Post)
		}
		return nil
	})
	if err == nil && (len(texts.named) == 0 || len(texts.chatter) == 0) {
		err = errors.New("the catalog finds a service in every simulated post, or in none; take another seed or catalog")
	}
	return texts, err
}

// writePosts writes the posts to be measured, and some before them with which the stages get going.
func (b *benchmark) writePosts(ctx context.Context, texts *benchTexts, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	// Few write much, many write little.
	authors := rand.NewZipf(rng, 1.07, 50, benchAuthors-1)
	start := time.Date(2025, time.March, 4, 18, 0, 0, 0, time.UTC)
	n := 0
	write := func(name string, count int) (err error) {
		f, err := os.Create(name)
		if err != nil {
			return fmt.Errorf("write posts: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w := bufio.NewWriterSize(f, 256<<10)
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		for range count {
			if n%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			from := texts.chatter
			if rng.IntN(100) < benchNamed {
				from = texts.named
			}
			p := from[rng.IntN(len(from))]
			p.ID = strconv.FormatUint(1896971516915000000+uint64(n)*838, 10)
			p.Author = "person" + strconv.FormatUint(authors.Uint64(), 36)
			p.CreatedAt = start.Add(time.Duration(n) * time.Second / benchRate)
			if err := encoder.Encode(&p); err != nil {
				return fmt.Errorf("write posts: %w", err)
			}
			n++
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("write posts: %w", err)
		}
		return nil
	}
	b.warm = min(b.posts/10, 20_000)
	return errors.Join(write(b.warmFile, b.warm), write(b.file, b.posts))
}
