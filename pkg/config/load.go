package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/maps"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

// Options says where a configuration is read from.
type Options struct {
	File    string   // path of a YAML file; empty: none
	Environ []string // "NAME=value", as os.Environ gives it; nil: none
	Prefix  string   // of the variables that belong to this configuration, such as "OUTCRY_"

	Changes []string // "kafka.brokers=a:9092", as somebody typed them after an option; they count last
	Option  string   // that option, such as "--set", for the faults of Changes
}

// Load fills dst, a pointer to a struct that holds its defaults, from the file, then from the environment, then from the changes, and calls Validate on every
// section that has such a method. The error joins all faults, one a line, each with the file and line, the variable or the option where it stands.
// On an error dst may be filled in part.
func Load(dst any, opts Options) error {
	l := &loader{schema: readSchema(dst, opts.Prefix), origin: map[string]string{}}
	layers := koanf.New(".")
	if opts.File != "" {
		if err := layers.Load(fileLayer{loader: l, path: opts.File}, nil); err != nil {
			return err
		}
	}
	environment := env.Provider(".", env.Opt{
		Prefix:        opts.Prefix,
		TransformFunc: l.variable,
		EnvironFunc:   func() []string { return opts.Environ },
	})
	if err := layers.Load(environment, nil); err != nil {
		return fmt.Errorf("read the environment: %w", err)
	}
	if err := layers.Load(changesLayer{loader: l, option: opts.Option, changes: opts.Changes}, nil); err != nil {
		return fmt.Errorf("read the changes: %w", err)
	}
	// ZeroFields: a list replaces the default list; without it the longer of the two would show through.
	decoder := mapstructure.DecoderConfig{ZeroFields: true}
	if err := layers.UnmarshalWithConf("", dst, koanf.UnmarshalConf{DecoderConfig: &decoder}); err != nil {
		return fmt.Errorf("fill the configuration: %w", err)
	}
	l.validate()
	return errors.Join(l.faults...)
}

// loader collects the faults of all layers, and where each key was set last.
type loader struct {
	schema *schema
	faults []error
	origin map[string]string // key → "outcry.yaml:3", "OUTCRY_KAFKA_BROKERS" or "--set"
}

func (l *loader) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf(format, args...))
}

// scalar parses one value and notes its fault.
func (l *loader) scalar(where string, f field, text string) (any, bool) {
	if f.secret() && text == mask {
		l.fault("%s: %s is %q, the mask that hides it; write the secret itself", where, f.name, mask)
		return nil, false
	}
	value, err := parse(f.value.Type(), text)
	if err != nil {
		l.faults = append(l.faults, typeFault(where, f, text))
		return nil, false
	}
	l.origin[f.name] = where
	return value, true
}

// validate asks every section, and puts the section's key, and where the key was set, before what it answers.
func (l *loader) validate() {
	for _, section := range l.schema.sections {
		v, ok := section.value.Addr().Interface().(interface{ Validate() error })
		if !ok {
			continue
		}
		for _, err := range split(v.Validate()) {
			l.faults = append(l.faults, fmt.Errorf("%s%w", l.prefix(section.name, err.Error()), err))
		}
	}
}

func (l *loader) prefix(section, message string) string {
	dotted, labelled := "", ""
	if section != "" {
		dotted, labelled = section+".", section+": "
	}
	word := message
	if i := strings.IndexAny(message, " :"); i >= 0 {
		word = message[:i]
	}
	if _, isKey := l.schema.byName[dotted+word]; !isKey {
		return labelled
	}
	if where := l.origin[dotted+word]; where != "" {
		return where + ": " + dotted
	}
	return dotted
}

// split undoes errors.Join, and nothing else that wraps several errors.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, split(e)...)
	}
	return all
}

// unflatten makes nested maps, the form of a koanf layer, from dotted keys.
func unflatten(flat map[string]any) map[string]any { return maps.Unflatten(flat, ".") }
