package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/config"
	"outcry.dev/services/alerter"
)

func (a *app) configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "check and print the configuration",
		Description: `The configuration is the defaults, then a YAML file, then the environment. The file is --config FILE, else outcry.yaml in this
folder, else $XDG_CONFIG_HOME/outcry/outcry.yaml. The variable of kafka.brokers is OUTCRY_KAFKA_BROKERS, and so on; lists are
joined by commas; a secret can be given as a file: OUTCRY_CLICKHOUSE_PASSWORD_FILE=/run/secrets/clickhouse.

Examples:
  outcry config print --defaults > outcry.yaml
  outcry config check --config outcry.yaml`,
		Commands: []*cli.Command{
			{
				Name:  "check",
				Usage: "say everything that is wrong with the configuration",
				Description: `Prints where the configuration comes from and that it is good; or every fault, one a line, with the file and line or the
variable where it stands, and exits with status 1. The file at alerter.alertmanager_config is checked, too.

Example:
  OUTCRY_KAFKA_PARTITIONS=8 outcry config check`,
				Action: func(_ context.Context, cmd *cli.Command) error {
					if err := wantArgs(cmd, 0, 0, "options"); err != nil {
						return err
					}
					cfg, err := a.config(cmd)
					if err != nil {
						return err
					}
					if _, err := alerter.Alertmanager(cfg.Alerter); err != nil {
						return err
					}
					file, err := a.configFile(cmd)
					if err != nil {
						return err
					}
					from := "the defaults"
					if file != "" {
						from = file
					}
					fmt.Fprintf(a.stdout, "the configuration is good (%s and the environment)\n", from)
					return nil
				},
			},
			{
				Name:  "print",
				Usage: "print the configuration in force",
				Description: `Prints a configuration file with what each key means and its variable. Secrets are shown as ***.

Examples:
  outcry config print                      what is in force
  outcry config print --defaults           a file to start from
  outcry config print --reference          a Markdown table of all keys`,
				Flags: []cli.Flag{
					&cli.BoolFlag{Name: "defaults", Usage: "leave out the file and the environment"},
					&cli.BoolFlag{Name: "reference", Usage: "print the keys, variables, defaults and meanings as a Markdown table"},
				},
				Action: func(_ context.Context, cmd *cli.Command) error {
					if err := wantArgs(cmd, 0, 0, "options"); err != nil {
						return err
					}
					cfg := DefaultConfig()
					if cmd.Bool("reference") {
						return config.WriteReference(a.stdout, &cfg, envPrefix)
					}
					if !cmd.Bool("defaults") {
						var err error
						if cfg, err = a.config(cmd); err != nil {
							return err
						}
					}
					return config.WriteYAML(a.stdout, &cfg, envPrefix)
				},
			},
		},
	}
}
