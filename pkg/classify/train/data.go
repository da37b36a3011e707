package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"outcry.dev/pkg/classify"
)

// post is a text with what a reader said of it.
type post struct {
	ID       string            `json:"id,omitempty"`
	Source   string            `json:"src,omitempty"`
	Text     string            `json:"text,omitempty"`
	Lang     string            `json:"lang,omitempty"`
	Label    string            `json:"label,omitempty"`
	Service  string            `json:"service,omitempty"`
	Second   string            `json:"second,omitempty"` // what a reader held possible too, or another reader said
	Share    float32           `json:"share,omitempty"`  // of Second, 0 to 0.5; 0 stands for secondShare
	Symptom  string            `json:"symptom,omitempty"`
	Mentions map[string]string `json:"mentions,omitempty"` // label by service, where a post speaks of several
	Official bool              `json:"official,omitempty"` // an official account of Service wrote it

	origin origin
	group  uint64 // equal for copied texts, which must not be on both sides of a split
}

// origin says where a post and its label come from.
type origin int

const (
	originDev      origin = iota // labelled by two readers, sampled as the held-out posts are
	originRead                   // labelled by reading for this project
	originOwn                    // written for this project
	originUnlabel                // not labelled
	originOwnTests               // written for this project's tests
)

// Names of the files within the data folder.
const (
	devFile       = "outage-posts-dev.jsonl"
	unlabelFile   = "posts-unlabelled.jsonl.gz"
	labelsFile    = "labels.jsonl"
	ownFolder     = "posts"
	ownTestFolder = "../testdata/posts"
)

// corpus is everything there is to learn from.
type corpus struct {
	dev, read, own, tests, unlabelled []post
}

// load reads the corpus. data is the folder with other people's posts, own the folder of this command.
func load(data, own string) (*corpus, error) {
	if data == "" {
		return nil, errors.New("--data is missing: give the folder that holds " + devFile + " and " + unlabelFile)
	}
	for _, name := range []string{devFile, unlabelFile} {
		if _, err := os.Stat(filepath.Join(data, name)); err != nil {
			return nil, fmt.Errorf("the training posts are not in %s (%w); they are other people's and not part of the repository: give their folder with --data", data, err)
		}
	}
	c := &corpus{}
	var err error
	if c.dev, err = readPosts(filepath.Join(data, devFile), originDev); err != nil {
		return nil, err
	}
	all, err := readPosts(filepath.Join(data, unlabelFile), originUnlabel)
	if err != nil {
		return nil, err
	}
	labels, err := readPosts(filepath.Join(own, labelsFile), originRead)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	byID := map[string]post{}
	for _, l := range labels {
		byID[l.ID] = l
	}
	for _, p := range all {
		l, ok := byID[p.ID]
		if !ok {
			c.unlabelled = append(c.unlabelled, p)
			continue
		}
		l.Text, l.Source, l.group = p.Text, p.Source, p.group
		c.read = append(c.read, l)
	}
	if c.own, err = readFolder(filepath.Join(own, ownFolder), originOwn); err != nil {
		return nil, err
	}
	if c.tests, err = readFolder(filepath.Join(own, ownTestFolder), originOwnTests); err != nil {
		return nil, err
	}
	return c, nil
}

func readFolder(folder string, from origin) ([]post, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	var all []post
	for _, name := range names {
		posts, err := readPosts(name, from)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(filepath.Base(name), ".jsonl")
		for i := range posts {
			posts[i].Source = base
		}
		all = append(all, posts...)
	}
	return all, nil
}

func readPosts(name string, from origin) ([]post, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	var posts []post
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		p := post{origin: from}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		p.group = classify.Fingerprint(p.Text)
		posts = append(posts, p)
	}
	return posts, lines.Err()
}
