package config

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the one of known that name was probably meant to be: the smallest edit distance, ignoring case, where a known name's last part (after a
// dot) counts nearly as much as the whole. Of a name in a known section only that section's are meant, unless another has just that last part. It is empty
// only where known is.
func Nearest(name string, known []string) string {
	name = strings.ToLower(name)
	if len(name) > 200 {
		name = name[:200]
	}
	known = inSection(name, known)
	best, least := "", 0
	for _, candidate := range known {
		lower := strings.ToLower(candidate)
		distance := 2 * levenshtein.ComputeDistance(name, lower)
		if i := strings.LastIndexByte(lower, '.'); i >= 0 {
			distance = min(distance, 2*levenshtein.ComputeDistance(name, lower[i+1:])+1)
		}
		if best == "" || distance < least {
			best, least = candidate, distance
		}
	}
	return best
}

// inSection leaves those of known that are in the section of name, or have its last part; all where there is no such section.
func inSection(name string, known []string) []string {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return known
	}
	section, last := name[:dot+1], name[dot:]
	var inside, called []string
	for _, candidate := range known {
		switch lower := strings.ToLower(candidate); {
		case len(last) > 1 && strings.HasSuffix(lower, last):
			called = append(called, candidate)
		case strings.HasPrefix(lower, section):
			inside = append(inside, candidate)
		}
	}
	switch {
	case len(called) > 0:
		return called
	case len(inside) > 0:
		return inside
	}
	return known
}
