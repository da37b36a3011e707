package catalog

import (
	"slices"
	"strings"
)

// Catalog is a set of services. It must not be changed once others use it.
type Catalog struct {
	// Services are sorted by ID.
	Services []Service

	origins map[string]origin
}

// origin is where a service was stated last.
type origin struct {
	file string
	line int
}

// Find gives the index in Services of the service with the id.
func (c *Catalog) Find(id string) (index int, ok bool) {
	return slices.BinarySearchFunc(c.Services, id, func(s Service, id string) int { return strings.Compare(s.ID, id) })
}

// ByID gives the service with the id.
func (c *Catalog) ByID(id string) (*Service, bool) {
	i, ok := c.Find(id)
	if !ok {
		return nil, false
	}
	return &c.Services[i], true
}

// New makes a catalog of services that come from no file. Check it with Validate.
func New(services []Service) *Catalog {
	c := &Catalog{Services: slices.Clone(services), origins: map[string]origin{}}
	c.sort()
	return c
}

func (c *Catalog) sort() {
	for i := range c.Services {
		s := &c.Services[i]
		for network, official := range s.Official {
			for _, handle := range official {
				if slices.Contains(s.Handles[network], handle) {
					continue
				}
				if s.Handles == nil {
					s.Handles = map[string][]string{}
				}
				s.Handles[network] = append(s.Handles[network], handle)
			}
		}
	}
	slices.SortStableFunc(c.Services, func(a, b Service) int { return strings.Compare(a.ID, b.ID) })
}
