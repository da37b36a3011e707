package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/catalog"
	"outcry.dev/pkg/config"
)

func (a *app) catalogCommand() *cli.Command {
	return &cli.Command{
		Name:  "catalog",
		Usage: "list, show and check the services listened for",
		Description: `The catalog is built in; the files of catalog.files in the configuration add services to it, or change those in it. They are YAML:

  category: messaging
  services:
    - id: skype
      name: Skype
      aliases: [スカイプ]
      official: {twitter: [Skype, SkypeSupport]}

Examples:
  outcry catalog list --category banks
  outcry catalog show skype
  outcry catalog check my-services.yaml`,
		Commands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list the services",
				Description: `Prints a line a service: id, category, countries ("-" for worldwide) and name, in columns.

Categories: ` + strings.Join(catalog.Categories(), ", ") + `.

Example:
  outcry catalog list --category games`,
				Flags:  []cli.Flag{&cli.StringFlag{Name: "category", Usage: "only services of this `CATEGORY`"}},
				Action: a.catalogList,
			},
			{
				Name:      "show",
				Usage:     "show what is known of a service",
				ArgsUsage: "ID",
				Description: `Prints the names, accounts and addresses of one service. "outcry catalog list" has the ids.

Example:
  outcry catalog show skype`,
				Action: a.catalogShow,
			},
			{
				Name:      "check",
				Usage:     "check the catalog, and files to be added to it",
				ArgsUsage: "[FILE…]",
				Description: `Checks the catalog in force together with the files named: ids, names that two services share, accounts, addresses, providers.
Every fault is a line with file and line number; then the exit status is 1.

Example:
  outcry catalog check my-services.yaml`,
				Action: a.catalogCheck,
			},
		},
	}
}

func (a *app) catalog(cmd *cli.Command, more ...string) (*catalog.Catalog, error) {
	cfg, err := a.config(cmd)
	if err != nil {
		return nil, err
	}
	return catalog.Load(append(slices.Clone(cfg.Catalog.Files), more...)...)
}

func (a *app) catalogList(_ context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	category := cmd.String("category")
	if category != "" && !slices.Contains(catalog.Categories(), category) {
		return usagef(cmd, "unknown category %q; the nearest known one is %s", category, config.Nearest(category, catalog.Categories()))
	}
	c, err := a.catalog(cmd)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, s := range c.Services {
		if category == "" || s.Category == category {
			countries := strings.Join(s.Countries, ",")
			if countries == "" {
				countries = "-"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.ID, s.Category, countries, s.Name)
		}
	}
	return w.Flush()
}

func (a *app) catalogShow(_ context.Context, cmd *cli.Command) error {
	if err := wantArgs(cmd, 1, 1, "the ID of a service"); err != nil {
		return err
	}
	c, err := a.catalog(cmd)
	if err != nil {
		return err
	}
	id := cmd.Args().First()
	s, found := c.ByID(id)
	if !found {
		var known []string
		for i := range c.Services {
			known = append(known, c.Services[i].ID)
		}
		return fmt.Errorf("no service has the id %q; the nearest known one is %s", id, config.Nearest(id, known))
	}
	return writeService(a.stdout, s)
}

func writeService(out io.Writer, s *catalog.Service) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, values ...string) {
		if text := strings.Join(values, ", "); text != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, text)
		}
	}
	row("id", s.ID)
	row("name", s.Name)
	if s.Ambiguous {
		row("", "a word as well: counts only in a fitting context")
	}
	row("category", s.Category)
	row("countries", s.Countries...)
	row("aliases", s.Aliases...)
	row("in context", s.Weak...)
	row("hashtags", prefixed("#", s.Hashtags)...)
	for _, network := range slices.Sorted(maps.Keys(s.Handles)) {
		others := slices.DeleteFunc(slices.Clone(s.Handles[network]), func(handle string) bool { return slices.Contains(s.Official[network], handle) })
		row("on "+network, prefixed("@", others)...)
	}
	for _, network := range slices.Sorted(maps.Keys(s.Official)) {
		row("official on "+network, prefixed("@", s.Official[network])...)
	}
	row("web", s.Web)
	row("status page", s.StatusPage)
	row("depends on", s.Providers...)
	return w.Flush()
}

func prefixed(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = prefix + name
	}
	return out
}

func (a *app) catalogCheck(_ context.Context, cmd *cli.Command) error {
	c, err := a.catalog(cmd, cmd.Args().Slice()...)
	if err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d services, no faults\n", len(c.Services))
	return nil
}
