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
	"reflect"
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
	names, err := fs.Glob(data, "data/*.yaml")
	if err != nil {
		panic(err) // the pattern is constant
	}
	parsed := make([]parsedFile, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			content, err := data.ReadFile(name)
			if err != nil {
				panic(err) // embedded
			}
			parsed[i] = parse(path.Base(name), content)
		})
	}
	all.Wait()
	b := newBuilder(nil)
	for _, f := range parsed {
		b.add(f)
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
	b := newBuilder(Default())
	for _, name := range files {
		content, err := readFile(name)
		if err != nil {
			b.faults = append(b.faults, fmt.Errorf("read catalog: %w", err))
			continue
		}
		b.add(parse(name, content))
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
	Category string  `yaml:"category"`
	Services []entry `yaml:"services"`
}

// entry is one service of a file. It keeps its node, for the line, and for the fields that a change states.
type entry struct {
	service Service
	node    yaml.Node
}

// fields are the keys of a service.
var fields = func() map[string]bool {
	known := map[string]bool{}
	for field := range reflect.TypeFor[Service]().Fields() {
		known[field.Tag.Get("yaml")] = true
	}
	return known
}()

// UnmarshalYAML refuses unknown fields, as the decoder does outside of such methods.
func (e *entry) UnmarshalYAML(node *yaml.Node) error {
	e.node = *node
	var faults yaml.TypeError
	if node.Kind == yaml.MappingNode {
		for i := 0; i < len(node.Content); i += 2 {
			if key := node.Content[i]; !fields[key.Value] {
				faults.Errors = append(faults.Errors, fmt.Sprintf("line %d: field %s is not a field of a service", key.Line, key.Value))
			}
		}
	}
	var typed *yaml.TypeError
	if err := node.Decode(&e.service); errors.As(err, &typed) {
		faults.Errors = append(faults.Errors, typed.Errors...)
	} else if err != nil {
		return err
	}
	if len(faults.Errors) > 0 {
		return &faults
	}
	return nil
}

type parsedFile struct {
	name string
	file
	err error
}

func parse(name string, content []byte) parsedFile {
	f := parsedFile{name: name}
	strict := yaml.NewDecoder(bytes.NewReader(content))
	strict.KnownFields(true)
	if err := strict.Decode(&f.file); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file adds nothing
			f.err = located(name, err)
		}
		return f
	}
	if err := strict.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		f.err = fmt.Errorf("%s: more than one YAML document; keep one", name)
	}
	return f
}

type builder struct {
	services []Service
	index    map[string]int // of id in services
	origins  map[string]origin
	faults   []error
}

// newBuilder begins with the services of base, which it leaves as they are.
func newBuilder(base *Catalog) *builder {
	b := &builder{index: map[string]int{}, origins: map[string]origin{}}
	if base != nil {
		for i, s := range base.Services {
			b.services = append(b.services, copied(s))
			b.index[s.ID] = i
		}
		maps.Copy(b.origins, base.origins)
	}
	return b
}

func (b *builder) catalog() *Catalog {
	c := &Catalog{Services: b.services, origins: b.origins}
	c.sort()
	return c
}

func (b *builder) add(f parsedFile) {
	if f.err != nil {
		b.faults = append(b.faults, f.err)
		return
	}
	here := map[string]int{}
	for _, e := range f.Services {
		id, line := e.service.ID, e.node.Line
		if before, twice := here[id]; twice {
			b.faults = append(b.faults, fmt.Errorf("%s:%d: service %q is already at line %d", f.name, line, id, before))
			continue
		}
		here[id] = line
		if at, known := b.index[id]; known {
			if err := e.node.Decode(&b.services[at]); err != nil { // cannot be: it decoded before
				b.faults = append(b.faults, located(f.name, err))
			}
		} else {
			if e.service.Category == "" {
				e.service.Category = f.Category
			}
			b.index[id] = len(b.services)
			b.services = append(b.services, e.service)
		}
		b.origins[id] = origin{file: f.name, line: line}
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
