package simulate

import (
	"embed"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"

	"outcry.dev/pkg/catalog"
)

//go:embed texts world
var files embed.FS

// world is everything that scenarios share: services, regions, names, texts. It is read from the embedded files once and never
// changes.
type world struct {
	services []service
	byID     map[string]*service
	kinds    map[string]kindProfile
	regions  []region
	langs    map[string]*lang
	names    names
	marks    map[string][]marks // by mood
}

// service is one row of world/services.txt.
type service struct {
	id, kind    string
	key         uint64              // of the id, for what varies between services
	names       []string            // as people write it, the usual way first
	local       map[string][]string // by language: in its own letters
	handle      string              // official handle without @
	weight      float64             // how much it is talked about, relative to others
	since, till int                 // years of life, the last included
	where       []string            // region countries to which talk is limited; empty: everywhere
}

// kindProfile is one row of world/kinds.txt: what fails in services of a kind, and which part of it people name.
type kindProfile struct {
	symptoms []Weighted
	features []string
}

// theWorld is the embedded world. A fault in the files is a programming error that every test meets, hence the panic.
var theWorld = sync.OnceValue(func() *world {
	w, err := readWorld(files)
	if err != nil {
		panic(err)
	}
	return w
})

func readWorld(fsys fs.FS) (*world, error) {
	w := &world{byID: map[string]*service{}, kinds: map[string]kindProfile{}, langs: map[string]*lang{}}
	for _, table := range []struct {
		name string
		row  func(fields []string) error
	}{
		{"kinds", w.addKind}, {"services", w.addService}, {"regions", w.addRegion}, {"names", w.names.add}, {"marks", w.addMarks},
	} {
		if err := eachRow(fsys, "world/"+table.name+".txt", table.row); err != nil {
			return nil, err
		}
	}
	for i := range w.services {
		w.byID[w.services[i].id] = &w.services[i]
	}
	if err := eachRow(fsys, "world/local-names.txt", w.addLocalNames); err != nil {
		return nil, err
	}
	texts, err := fs.Glob(fsys, "texts/*/*.txt")
	if err != nil {
		return nil, err
	}
	for _, name := range texts {
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		code := path.Base(path.Dir(name))
		if w.langs[code] == nil {
			w.langs[code] = newLang(code)
		}
		if err := w.langs[code].read(strings.TrimSuffix(path.Base(name), ".txt"), string(content)); err != nil {
			return nil, err
		}
	}
	for _, l := range w.langs {
		if err := l.finish(); err != nil {
			return nil, err
		}
		for _, id := range l.named {
			if w.byID[id] == nil {
				return nil, fmt.Errorf("language %s names the unknown service %q", l.code, id)
			}
		}
	}
	return w, nil
}

// eachRow reads a table whose columns are separated by semicolons.
func eachRow(fsys fs.FS, name string, row func(fields []string) error) error {
	content, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	for n, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, ";")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if err := row(fields); err != nil {
			return fmt.Errorf("%s line %d: %w", name, n+1, err)
		}
	}
	return nil
}

func (w *world) addKind(f []string) error {
	if len(f) != 3 {
		return fmt.Errorf("%d columns instead of 3", len(f))
	}
	symptoms, err := parseWeights(f[1])
	if err != nil {
		return err
	}
	w.kinds[f[0]] = kindProfile{symptoms, list(f[2])}
	return nil
}

func (w *world) addService(f []string) error {
	if len(f) != 6 {
		return fmt.Errorf("%d columns instead of 6", len(f))
	}
	weight, err := strconv.ParseFloat(f[3], 64)
	if err != nil {
		return err
	}
	s := service{id: f[0], kind: f[1], names: list(f[2]), weight: weight, where: list(f[5])}
	known, ok := catalog.Default().ByID(s.id)
	if !ok {
		return nil // nobody listens for it, so no truth can be told about it
	}
	if official := known.Official["twitter"]; len(official) > 0 {
		s.handle = official[0]
	}
	if _, ok := w.kinds[s.kind]; !ok {
		return fmt.Errorf("service %s is of the unknown kind %q", s.id, s.kind)
	}
	if len(s.names) == 0 {
		return fmt.Errorf("service %s has no name", s.id)
	}
	h := fnv.New64a()
	h.Write([]byte(s.id))
	s.key = h.Sum64()
	since, till, _ := strings.Cut(f[4], "-")
	if s.since, err = strconv.Atoi(since); err != nil {
		return err
	}
	s.till = 9999
	if till != "" {
		if s.till, err = strconv.Atoi(till); err != nil {
			return err
		}
	}
	w.services = append(w.services, s)
	return nil
}

func (w *world) addLocalNames(f []string) error {
	if len(f) != 3 {
		return fmt.Errorf("%d columns instead of 3", len(f))
	}
	s := w.byID[f[1]]
	if s == nil {
		return fmt.Errorf("unknown service %q", f[1])
	}
	if s.local == nil {
		s.local = map[string][]string{}
	}
	s.local[f[0]] = list(f[2])
	return nil
}

// text finds a section's templates in a language, or in English where the language has none.
func (w *world) text(code, label, name string) *sectionGroup {
	if l := w.langs[code]; l != nil {
		if g := l.sections[label+"."+name]; g != nil {
			return g
		}
	}
	return w.langs["en"].sections[label+"."+name]
}

// parseWeights reads "login:40 calls:15".
func parseWeights(s string) ([]Weighted, error) {
	var all []Weighted
	for _, field := range strings.Fields(s) {
		name, weight, _ := strings.Cut(field, ":")
		value, err := strconv.ParseFloat(weight, 64)
		if err != nil || value < 0 {
			return nil, fmt.Errorf("%q is not name:weight", field)
		}
		all = append(all, Weighted{name, value})
	}
	return all, nil
}

func list(s string) []string {
	var all []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}
