package config

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Key is one key of a configuration, for people.
type Key struct {
	Name     string // kafka.brokers
	Variable string // OUTCRY_KAFKA_BROKERS
	Type     string // text, secret, boolean, integer, number, duration, list or pairs
	Default  string // what dst holds, as it would be written in a variable; secrets masked
	Doc      string
}

// Describe lists the keys of dst, a pointer to a configuration struct, in the order of its fields.
func Describe(dst any, prefix string) []Key {
	s := readSchema(dst, prefix)
	keys := make([]Key, 0, len(s.keys))
	for _, f := range s.keys {
		keys = append(keys, Key{Name: f.name, Variable: f.variable, Type: typeName(f.value.Type()), Default: show(f.value), Doc: f.doc})
	}
	return keys
}

// WriteReference writes the keys of dst as a Markdown table.
func WriteReference(w io.Writer, dst any, prefix string) error {
	var b strings.Builder
	b.WriteString("| key | variable | type | default | meaning |\n|---|---|---|---|---|\n")
	cell := strings.NewReplacer("|", "\\|", "\n", " ")
	for _, k := range Describe(dst, prefix) {
		shown := ""
		if k.Default != "" {
			shown = "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", k.Name, k.Variable, k.Type, cell.Replace(shown), cell.Replace(k.Doc))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteYAML writes dst as a configuration file with each key's meaning and variable above it. Secrets are masked, and Load refuses the mask.
func WriteYAML(w io.Writer, dst any, prefix string) error {
	s := readSchema(dst, prefix)
	root := &yaml.Node{Kind: yaml.MappingNode}
	sections := map[string]*yaml.Node{"": root}
	add := func(f field, comment string, value *yaml.Node) {
		parent, name := "", f.name
		if i := strings.LastIndexByte(f.name, '.'); i >= 0 {
			parent, name = f.name[:i], f.name[i+1:]
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: name, HeadComment: comment}
		sections[parent].Content = append(sections[parent].Content, key, value)
	}
	// Keys of the struct itself come before its sections, as a reader of YAML expects.
	for _, f := range s.sections[1:] {
		sections[f.name] = &yaml.Node{Kind: yaml.MappingNode}
	}
	for _, f := range s.keys {
		add(f, strings.TrimSpace(f.doc+" ("+f.variable+")"), valueNode(f))
	}
	for _, f := range s.sections[1:] {
		add(f, f.doc, sections[f.name])
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return encoder.Close()
}

func valueNode(f field) *yaml.Node {
	n := &yaml.Node{}
	value := f.value.Interface()
	if f.value.Type() == typeDuration {
		value = show(f.value)
	}
	// Encode cannot fail: a schema holds nothing but texts, numbers, lists and pairs of texts.
	_ = n.Encode(value)
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 || n.Kind == yaml.MappingNode {
		n.Style = yaml.FlowStyle
	}
	if f.value.Type() == typeList && f.value.IsNil() {
		n = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	}
	if f.value.Type() == typePairs && f.value.IsNil() {
		n = &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	}
	return n
}
