package catalog

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed data/*.yaml
var data embed.FS

// maxFileBytes bounds what is read of one file; the largest real one has some hundred thousand.
const maxFileBytes = 16 << 20

// Default gives the catalog that comes with the program. It is shared: do not change it.
func Default() *Catalog { return defaultCatalog() }

var defaultCatalog = sync.OnceValue(func() *Catalog {
	b := builder{}
	names, err := fs.Glob(data, "data/*.yaml")
	if err != nil {
		panic(err) // the pattern is constant
	}
	for _, name := range names {
		content, err := data.ReadFile(name)
		if err != nil {
			panic(err) // embedded
		}
		b.add(path.Base(name), content)
	}
	// A test validates the embedded files: a fault here cannot be a user's.
	if len(b.faults) > 0 {
		panic(errors.Join(b.faults...))
	}
	return b.catalog()
})

// Load gives the default catalog with the services of the files added, and those that exist changed by them, in the order given.
// The error names every fault with its file and line.
func Load(files ...string) (*Catalog, error) {
	if len(files) == 0 {
		return Default(), nil
	}
	b := builder{}
	base := Default()
	for _, s := range base.Services {
		b.services = append(b.services, copied(s))
	}
	b.origins = maps.Clone(base.origins)
	b.index = map[string]int{}
	for i := range b.services {
		b.index[b.services[i].ID] = i
	}
	for _, name := range files {
		content, err := readFile(name)
		if err != nil {
			b.faults = append(b.faults, fmt.Errorf("read catalog: %w", err))
			continue
		}
		b.add(name, content)
	}
	c := b.catalog()
	if err := errors.Join(errors.Join(b.faults...), c.Validate()); err != nil {
		return nil, err
	}
	return c, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxFileBytes)
	}
	return content, err
}

// file is the form of a catalog file.
type file struct {
	Category string    `yaml:"category"`
	Services []Service `yaml:"services"`
}

// lines is the same form, read for the line of each service.
type lines struct {
	Services []yaml.Node `yaml:"services"`
}

type builder struct {
	services []Service
	index    map[string]int // of id in services
	origins  map[string]origin
	faults   []error
}

func (b *builder) catalog() *Catalog {
	c := &Catalog{Services: b.services, origins: b.origins}
	c.sort()
	return c
}

// add reads one file. It is read twice: strictly, for unknown fields, then as nodes, for lines and for the fields a change states.
func (b *builder) add(name string, content []byte) {
	var f file
	var nodes lines
	strict := yaml.NewDecoder(bytes.NewReader(content))
	strict.KnownFields(true)
	if err := strict.Decode(&f); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file adds nothing
			b.faults = append(b.faults, located(name, err))
		}
		return
	}
	if err := strict.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		b.faults = append(b.faults, fmt.Errorf("%s: more than one YAML document; keep one", name))
		return
	}
	if err := yaml.Unmarshal(content, &nodes); err != nil {
		b.faults = append(b.faults, located(name, err))
		return
	}
	if b.origins == nil {
		b.origins, b.index = map[string]origin{}, map[string]int{}
	}
	here := map[string]int{}
	for i := range f.Services {
		s, line := f.Services[i], nodes.Services[i].Line
		if before, twice := here[s.ID]; twice {
			b.faults = append(b.faults, fmt.Errorf("%s:%d: service %q is already at line %d", name, line, s.ID, before))
			continue
		}
		here[s.ID] = line
		at, known := b.index[s.ID]
		if !known {
			if s.Category == "" {
				s.Category = f.Category
			}
			b.index[s.ID] = len(b.services)
			b.services = append(b.services, s)
		} else if err := nodes.Services[i].Decode(&b.services[at]); err != nil { // cannot be: it decoded strictly
			b.faults = append(b.faults, located(name, err))
			continue
		}
		b.origins[s.ID] = origin{file: name, line: line}
	}
}

// located gives each of yaml's complaints the file's name and the usual form file:line: fault.
func located(name string, err error) error {
	var typed *yaml.TypeError
	faults := []string{err.Error()}
	if errors.As(err, &typed) {
		faults = typed.Errors
	}
	out := make([]error, len(faults))
	for i, fault := range faults {
		fault = strings.TrimPrefix(fault, "yaml: ")
		fault = strings.Replace(fault, " not found in type catalog.Service", " is not a field of a service", 1)
		fault = strings.Replace(fault, " not found in type catalog.file", " is not a field of a catalog file (category, services)", 1)
		if rest, ok := strings.CutPrefix(fault, "line "); ok {
			out[i] = fmt.Errorf("%s:%s", name, rest)
		} else {
			out[i] = fmt.Errorf("%s: %s", name, fault)
		}
	}
	return errors.Join(out...)
}

// copied shares nothing with s that a change could write to.
func copied(s Service) Service {
	for _, accounts := range []*map[string][]string{&s.Handles, &s.Official} {
		clone := make(map[string][]string, len(*accounts))
		for network, handles := range *accounts {
			clone[network] = slices.Clone(handles)
		}
		*accounts = clone
	}
	return s
}
