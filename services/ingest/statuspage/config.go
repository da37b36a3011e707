package statuspage

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"outcry.dev/pkg/catalog"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

// Config of the connector.
type Config struct {
	Enabled  bool              `koanf:"enabled" doc:"Read status pages: the official word on an incident."`
	Services []string          `koanf:"services" doc:"Ids of the services whose pages are read; empty: all of the catalog that have one."`
	Pages    map[string]string `koanf:"pages" doc:"Addresses of pages or feeds by service id, besides the catalog's and before them."`
	Interval time.Duration     `koanf:"interval" doc:"How often a page is asked for, 10s to 1h."`
	Timeout  time.Duration     `koanf:"timeout" doc:"How long an answer may take, 1s to 5m."`
}

// DefaultConfig reads no page: there are hundreds, and whoever runs Outcry should choose to ask them.
func DefaultConfig() Config {
	return Config{Services: []string{}, Pages: map[string]string{}, Interval: time.Minute, Timeout: 30 * time.Second}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	for _, service := range slices.Sorted(maps.Keys(c.Pages)) {
		if u, err := url.Parse(c.Pages[service]); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			faults = append(faults, fmt.Errorf("pages: %s has the address %q; one that begins with https:// or http:// fits", service, c.Pages[service]))
		}
	}
	if c.Interval < 10*time.Second || c.Interval > time.Hour {
		faults = append(faults, fmt.Errorf("interval is %s; 10s to 1h fit", c.Interval))
	}
	if c.Timeout < time.Second || c.Timeout > 5*time.Minute {
		faults = append(faults, fmt.Errorf("timeout is %s; 1s to 5m fit", c.Timeout))
	}
	return errors.Join(faults...)
}

// Sources returns one source for each page.
func (c Config) Sources(d source.Deps) ([]source.Source, error) {
	if !c.Enabled {
		return nil, nil
	}
	if d.Catalog == nil {
		return nil, errors.New("status pages need the catalog")
	}
	var faults []error
	unknown := func(key, id string) {
		faults = append(faults, fmt.Errorf("%s: service %q is not in the catalog; `outcry catalog` lists them", key, id))
	}
	for _, id := range c.Services {
		s, ok := d.Catalog.ByID(id)
		if !ok {
			unknown("services", id)
		} else if s.StatusPage == "" && c.Pages[id] == "" {
			faults = append(faults, fmt.Errorf("services: %q has no status page in the catalog; give its address in pages", id))
		}
	}
	pages := map[string][]catalog.Service{}
	for id, address := range c.Pages {
		s, ok := d.Catalog.ByID(id)
		if !ok {
			unknown("pages", id)
			continue
		}
		pages[address] = append(pages[address], *s)
	}
	for _, s := range d.Catalog.Services {
		wanted := len(c.Services) == 0 || slices.Contains(c.Services, s.ID)
		if wanted && s.StatusPage != "" && c.Pages[s.ID] == "" {
			pages[s.StatusPage] = append(pages[s.StatusPage], s)
		}
	}
	var sources []source.Source
	for _, address := range slices.Sorted(maps.Keys(pages)) {
		services := pages[address]
		slices.SortFunc(services, func(a, b catalog.Service) int { return cmp.Compare(a.ID, b.ID) })
		sources = append(sources, newPage(c, address, services))
	}
	return sources, errors.Join(faults...)
}

// Rules are slow with pages that have gone, or never had anything to read.
func (p *page) Rules() polite.Rules {
	r := polite.DefaultRules()
	r.HTTP.Most = time.Hour
	return r
}
