package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds a configuration file; a real one has a few kilobytes.
const maxFileBytes = 1 << 20

// fileLayer is a YAML file as a koanf provider. Faults in what it holds go to the loader; only a file that cannot be read at all is an error.
type fileLayer struct {
	loader *loader
	path   string
}

func (f fileLayer) ReadBytes() ([]byte, error) {
	return nil, errors.New("not supported: Read gives the values")
}

func (f fileLayer) Read() (map[string]any, error) {
	data, err := readFile(f.path)
	if err != nil {
		return nil, err
	}
	return f.loader.yaml(f.path, data)
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the configuration file %q does not exist", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("the configuration file %q is larger than %d bytes", path, maxFileBytes)
	}
	return data, nil
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// yaml reads one document. It walks the parser's tree, which knows lines, and never expands an alias, so a file cannot grow when read.
func (l *loader) yaml(path string, data []byte) (map[string]any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			return nil, fmt.Errorf("%s:%s: not YAML: %s", path, m[1], strings.TrimPrefix(err.Error(), m[0]))
		}
		return nil, fmt.Errorf("%s: not YAML: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		l.fault("%s: holds more than one YAML document; one is read", path)
	}
	w := &walker{loader: l, path: path, values: map[string]any{}}
	w.section("", document.Content[0])
	return unflatten(w.values), nil
}

type walker struct {
	*loader
	path   string
	values map[string]any // by dotted key
}

func (w *walker) where(n *yaml.Node) string { return fmt.Sprintf("%s:%d", w.path, n.Line) }

// section reads a mapping whose keys are sections and keys below name.
func (w *walker) section(name string, n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		w.alias(n)
		return
	case isNull(n):
		return // "kafka:" with nothing below it
	case n.Kind != yaml.MappingNode:
		if name == "" {
			w.fault("%s: expected keys and values, such as \"data_dir: .outcry\"", w.where(n))
		} else {
			w.fault("%s: %s is a section; expected keys below it", w.where(n), name)
		}
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := key.Value
		if name != "" {
			full = name + "." + key.Value
		}
		if line, again := first[full]; again {
			w.fault("%s: %s stands here a second time; the first is in line %d", w.where(key), shorten(full), line)
			continue
		}
		first[full] = key.Line
		f, known := w.schema.byName[full]
		switch {
		case known && isNull(value):
			// "brokers:" with nothing after it keeps the default
		case known:
			w.value(f, value)
		case w.schema.isSection(full):
			w.section(full, value)
		case key.Kind == yaml.AliasNode:
			w.alias(key)
		default:
			w.fault("%s: unknown key %s; the nearest known one is %s", w.where(key), shorten(full), Nearest(full, w.schema.names()))
		}
	}
}

func (w *walker) value(f field, n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		w.alias(n)
	case n.Kind == yaml.ScalarNode:
		if v, ok := w.scalar(w.where(n), f, n.Value); ok {
			w.values[f.name] = v
		}
	case n.Kind == yaml.SequenceNode && f.value.Type() == typeList:
		w.list(f, n)
	case n.Kind == yaml.MappingNode && f.value.Type() == typePairs:
		w.pairs(f, n)
	default:
		w.fault("%s: %s is not a single value; expected %s", w.where(n), f.name, expected(f.value.Type()))
	}
}

func (w *walker) list(f field, n *yaml.Node) {
	list := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		if !w.plain(f, item) {
			return
		}
		list = append(list, item.Value)
	}
	w.values[f.name] = list
	w.origin[f.name] = w.where(n)
}

func (w *walker) pairs(f field, n *yaml.Node) {
	pairs := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if !w.plain(f, name) || !w.plain(f, value) {
			return
		}
		pairs[name.Value] = value.Value
	}
	w.values[f.name] = pairs
	w.origin[f.name] = w.where(n)
}

// plain reports whether n is a single value, as the items of lists and pairs must be.
func (w *walker) plain(f field, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		w.alias(n)
		return false
	case n.Kind != yaml.ScalarNode || isNull(n):
		w.fault("%s: an item of %s is not a single value", w.where(n), f.name)
		return false
	}
	return true
}

func (w *walker) alias(n *yaml.Node) {
	w.fault("%s: the alias *%s is not read; write the value out", w.where(n), shorten(n.Value))
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// shorten keeps a name from outside to one short, printable line.
func shorten(name string) string {
	if runes := []rune(name); len(runes) > 80 {
		name = string(runes[:80]) + "…"
	}
	return fmt.Sprintf("%q", name)
}
