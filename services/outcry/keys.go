package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/store"
	"outcry.dev/services/api"
)

func (a *app) keysCommand() *cli.Command {
	return &cli.Command{
		Name:  "keys",
		Usage: "make, list and revoke keys of the api",
		Description: `Keys open what the api does not give to everybody: read (counts, incidents, charts, where api.public_read is off), evidence (posts and SQL,
likewise), act (frozen charts, words about incidents) and admin (all of that, and keys). Only their hashes are stored, in ClickHouse.

Examples:
  outcry keys add --scope act --name "newsroom"
  outcry keys list
  outcry keys revoke ABCD2345`,
		Commands: []*cli.Command{
			{
				Name: "add", Usage: "make a key and print it, once",
				Description: "Prints the key, which is stored nowhere: only its hash is.\n\nExample:\n  outcry keys add --scope read --scope evidence --name \"research group\"",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "name", Required: true, Usage: "`NAME` of who gets it"},
					&cli.StringSliceFlag{Name: "scope", Required: true, Usage: "`SCOPE` that it opens: read, evidence, act or admin; may be given several times"},
				},
				Action: func(ctx context.Context, cmd *cli.Command) error {
					if err := wantArgs(cmd, 0, 0, "options"); err != nil {
						return err
					}
					now := time.Now()
					key, secret, err := api.NewKey(cmd.String("name"), cmd.StringSlice("scope"), now)
					if err != nil {
						return usagef(cmd, "%w", err)
					}
					return a.withKeys(ctx, cmd, func(s *store.Store) error {
						if err := s.PutKey(ctx, key, now); err != nil {
							return err
						}
						fmt.Fprintln(a.stdout, secret)
						return s.Audit(ctx, store.AuditEntry{At: now, Actor: "command", Action: "add key", Subject: key.ID + " " + key.Name + " " + strings.Join(key.Scopes, ",")})
					})
				},
			},
			{
				Name: "list", Usage: "who has which key",
				Description: "Prints id, state, scopes, day and name of each key, with tabs between.\n\nExample:\n  outcry keys list",
				Action: func(ctx context.Context, cmd *cli.Command) error {
					if err := wantArgs(cmd, 0, 0, "options"); err != nil {
						return err
					}
					return a.withKeys(ctx, cmd, func(s *store.Store) error {
						keys, err := s.Keys(ctx)
						for _, k := range keys {
							state := "valid"
							if k.Revoked {
								state = "revoked"
							}
							fmt.Fprintf(a.stdout, "%s\t%s\t%s\t%s\t%s\n", k.ID, state, strings.Join(k.Scopes, ","), k.CreatedAt.Format(time.DateOnly), k.Name)
						}
						return err
					})
				},
			},
			{
				Name: "revoke", Usage: "end a key", ArgsUsage: "ID",
				Description: "The api refuses it within seconds.\n\nExample:\n  outcry keys revoke ABCD2345",
				Action: func(ctx context.Context, cmd *cli.Command) error {
					if err := wantArgs(cmd, 1, 1, "ID"); err != nil {
						return err
					}
					id := cmd.Args().First()
					return a.withKeys(ctx, cmd, func(s *store.Store) error {
						now := time.Now()
						if err := api.RevokeKey(ctx, s, id, now); err != nil {
							return err
						}
						return s.Audit(ctx, store.AuditEntry{At: now, Actor: "command", Action: "revoke key", Subject: id})
					})
				},
			},
		},
	}
}

// withKeys opens the store with its tables in place.
func (a *app) withKeys(ctx context.Context, cmd *cli.Command, f func(*store.Store) error) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	s, end, err := a.openStore(ctx, cfg, a.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer end()
	if _, err := s.Migrate(ctx); err != nil {
		return err
	}
	return f(s)
}
