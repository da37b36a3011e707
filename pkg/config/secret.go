package config

import (
	"fmt"
	"io"
	"log/slog"
)

const mask = "***"

// Secret is a text that must not be shown: every way of printing, marshalling or logging it gives "***", or nothing where it is empty.
// fmt cannot call methods on unexported fields, so a Secret belongs in exported ones.
type Secret string

// Reveal returns the text itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// Format covers every verb: without it %d would print the text in its complaint about the wrong type.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		_, _ = fmt.Fprintf(f, "%q", s.String())
		return
	}
	_, _ = io.WriteString(f, s.String())
}

// GoString masks what %#v would show.
func (s Secret) GoString() string { return s.String() }

// LogValue masks what slog would show.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks what encoders would show.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
