package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// typeName is how the reference calls a type.
func typeName(t reflect.Type) string {
	switch t {
	case typeSecret:
		return "secret"
	case typeDuration:
		return "duration"
	case typeList:
		return "list"
	case typePairs:
		return "pairs"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "integer"
	case reflect.Float32, reflect.Float64:
		return "number"
	}
	return ""
}

// Expected tells a person what to write for the type of v, such as "a whole number"; it is empty for a type that cannot be configured.
func Expected(v any) string { return expected(reflect.TypeOf(v)) }

// expected is Expected by type.
func expected(t reflect.Type) string {
	switch typeName(t) {
	case "secret", "text":
		return "a text"
	case "duration":
		return `a duration such as "10s", "5m" or "1h30m"`
	case "list":
		return "a list, or values joined by commas"
	case "pairs":
		return `names and values, or "name=value" joined by commas`
	case "boolean":
		return "true or false"
	case "integer":
		if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 {
			return "a whole number that is not negative"
		}
		return "a whole number"
	case "number":
		return "a number"
	}
	return ""
}

var errType = errors.New("wrong type")

// parse reads a value of type t from one text, as it stands in a variable or a YAML scalar. The result's type is t itself, so that
// nothing is left to be converted when the struct is filled.
func parse(t reflect.Type, text string) (any, error) {
	switch t {
	case typeDuration:
		d, err := time.ParseDuration(text)
		return d, err
	case typeList:
		return splitList(text), nil
	case typePairs:
		pairs := map[string]string{}
		for _, item := range splitList(text) {
			name, value, found := strings.Cut(item, "=")
			if !found {
				return nil, errType
			}
			pairs[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		return pairs, nil
	}
	v := reflect.New(t).Elem()
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, err
		}
		v.SetBool(b)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, t.Bits())
		if err != nil {
			return nil, err
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, t.Bits())
		if err != nil {
			return nil, err
		}
		v.SetUint(n)
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, t.Bits())
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, errType
		}
		v.SetFloat(n)
	default:
		return nil, errType
	}
	return v.Interface(), nil
}

func splitList(text string) []string {
	list := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// typeFault says which key holds which value and what belongs there. A secret's value is left out.
func typeFault(where string, f field, text string) error {
	if f.secret() {
		return fmt.Errorf("%s: %s must be %s", where, f.name, expected(f.value.Type()))
	}
	if runes := []rune(text); len(runes) > 60 {
		text = string(runes[:60]) + "…"
	}
	return fmt.Errorf("%s: %s is %q; expected %s", where, f.name, text, expected(f.value.Type()))
}

// show is a value as text, in the form that parse reads; secrets are masked.
func show(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return showDuration(x)
	case []string:
		return strings.Join(x, ",")
	case map[string]string:
		pairs := make([]string, 0, len(x))
		for name, value := range x {
			pairs = append(pairs, name+"="+value)
		}
		sort.Strings(pairs)
		return strings.Join(pairs, ",")
	case Secret:
		return x.String()
	}
	if v.CanFloat() {
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	return fmt.Sprint(v.Interface())
}

// showDuration drops the zeros that time.Duration adds: 720h0m0s is 720h.
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
