package catalog

import (
	_ "embed"
	"maps"
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed categories.yaml
var categoryData []byte

var categories = sync.OnceValue(func() map[string][]string {
	var c map[string][]string
	if err := yaml.Unmarshal(categoryData, &c); err != nil {
		panic(err) // embedded; a test reads it
	}
	return c
})

// Categories are the values that Service.Category may take, sorted.
func Categories() []string { return slices.Sorted(maps.Keys(categories())) }

// CategoryContext are the words that people use around the services of a category, in the languages of Outcry.
func CategoryContext(category string) []string { return categories()[category] }
