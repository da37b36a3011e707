package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// schema is what a configuration struct's tags say: its keys and sections in the order of its fields.
type schema struct {
	keys       []field
	sections   []field // the first is the struct itself, with an empty name
	byName     map[string]field
	byVariable map[string]field
}

// field is one key, or one section.
type field struct {
	name     string // kafka.brokers
	variable string // OUTCRY_KAFKA_BROKERS
	doc      string
	value    reflect.Value
}

var (
	typeSecret   = reflect.TypeFor[Secret]()
	typeDuration = reflect.TypeFor[time.Duration]()
	typeList     = reflect.TypeFor[[]string]()
	typePairs    = reflect.TypeFor[map[string]string]()
)

// readSchema panics where the struct itself is wrong, since that is a fault in the program, found by its first test.
func readSchema(dst any, prefix string) *schema {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: %T is not a pointer to a struct", dst))
	}
	s := &schema{byName: map[string]field{}, byVariable: map[string]field{}}
	s.sections = append(s.sections, field{value: v.Elem()})
	s.read(v.Elem(), "", prefix)
	return s
}

func (s *schema) read(v reflect.Value, section, prefix string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag, tagged := f.Tag.Lookup("koanf")
		if !tagged || tag == "-" {
			continue
		}
		if tag == "" || strings.Trim(tag, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || !f.IsExported() {
			panic(fmt.Sprintf("config: field %s.%s: the tag %q is not a snake_case name of an exported field", v.Type(), f.Name, tag))
		}
		name := tag
		if section != "" {
			name = section + "." + tag
		}
		entry := field{
			name:     name,
			variable: prefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_")),
			doc:      f.Tag.Get("doc"),
			value:    v.Field(i),
		}
		if other, taken := s.byVariable[entry.variable]; taken {
			panic(fmt.Sprintf("config: %s and %s have the same variable %s", other.name, name, entry.variable))
		}
		if f.Type.Kind() == reflect.Struct {
			s.sections = append(s.sections, entry)
			s.read(v.Field(i), name, prefix)
			continue
		}
		if expected(f.Type) == "" {
			panic(fmt.Sprintf("config: field %s.%s: values of type %s cannot be configured", v.Type(), f.Name, f.Type))
		}
		s.keys = append(s.keys, entry)
		s.byName[name] = entry
		s.byVariable[entry.variable] = entry
	}
}

// names lists keys and sections: what can stand in a file.
func (s *schema) names() []string {
	var names []string
	for _, f := range s.sections[1:] {
		names = append(names, f.name)
	}
	return append(names, s.keyNames()...)
}

// keyNames lists what can be set.
func (s *schema) keyNames() []string {
	var names []string
	for _, f := range s.keys {
		names = append(names, f.name)
	}
	return names
}

// variables lists what can stand in the environment.
func (s *schema) variables() []string {
	var names []string
	for _, f := range s.keys {
		names = append(names, f.variable)
		if f.secret() {
			names = append(names, f.variable+fileSuffix)
		}
	}
	return names
}

func (s *schema) isSection(name string) bool {
	for _, f := range s.sections[1:] {
		if f.name == name {
			return true
		}
	}
	return false
}

func (f field) secret() bool { return f.value.Type() == typeSecret }
