package config

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the one of known that name was probably meant to be: the smallest edit distance, ignoring case, where a known name's last part (after a
// dot) counts nearly as much as the whole. It is empty only where known is.
func Nearest(name string, known []string) string {
	name = strings.ToLower(name)
	if len(name) > 200 {
		name = name[:200]
	}
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
