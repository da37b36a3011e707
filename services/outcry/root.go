package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v3"
)

// commandGroup is a part of the list that "outcry" prints.
type commandGroup struct {
	title    string
	commands []*cli.Command
}

// root is the tree of commands. To add one, write a method of app that returns it, in a file of its own, and name it here.
func (a *app) root() *cli.Command {
	groups := []commandGroup{
		{"Run it", []*cli.Command{
			a.demoCommand(),
			a.upCommand(),
			a.replayCommand(),
			a.backtestCommand(),
		}},
		{"Look at posts", []*cli.Command{
			a.classifyCommand(),
			a.explainCommand(),
			a.detectCommand(),
			a.simulateCommand(),
		}},
		{"One stage or the engines by themselves", a.stageCommands()},
		{"Look after it", []*cli.Command{
			a.sourcesCommand(),
			a.queryCommand(),
			a.alertsCommand(),
			a.incidentsCommand(),
			a.keysCommand(),
			a.doctorCommand(),
			a.benchCommand(),
			a.migrateCommand(),
			a.catalogCommand(),
			a.configCommand(),
			a.versionCommand(),
			a.helpCommand(),
		}},
	}
	root := &cli.Command{
		Name:            "outcry",
		Usage:           "hear outages in public posts",
		HideHelpCommand: true, // helpCommand is ours
		HideVersion:     true,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "configuration `FILE` (default: outcry.yaml here, else $XDG_CONFIG_HOME/outcry/outcry.yaml)"},
			&cli.StringFlag{Name: "log-level", Usage: "`LEVEL` of the log on standard error: debug, info, warn or error"},
		},
		Writer:    a.stdout,
		ErrWriter: a.stderr,
		Reader:    a.stdin,
		// Errors are printed and turned into exit codes in app.run, not by the library, which would end the process.
		ExitErrHandler: func(context.Context, *cli.Command, error) {},
	}
	for _, g := range groups {
		root.Commands = append(root.Commands, g.commands...)
	}
	root.Description = rootHelp(root, groups)
	_ = root.Walk(func(c *cli.Command) error {
		c.OnUsageError = onUsageError
		if len(c.Commands) > 0 && c.Action == nil {
			c.Action = group
		}
		return nil
	})
	return root
}

// rootHelp is what "outcry" prints: what it is, what to type first, and every command in its group.
func rootHelp(root *cli.Command, groups []commandGroup) string {
	var b strings.Builder
	b.WriteString(`Outcry hears outages in public posts: people complain minutes before a vendor admits a problem.
It finds the services that posts complain about, says early what is failing, and shows its evidence.

First things to type:
`)
	var first [][2]string // of those that this program has
	for _, f := range []struct{ command, arguments, what string }{
		{"demo", "", "the Skype outage of 22 December 2010, start to finish, with nothing configured"},
		{"up", "", "the whole pipeline, live, engines included"},
		{"replay", "--format jsonl FILE", "old posts through the pipeline, as fast as the machine allows"},
		{"explain", `"skype is down again"`, "what Outcry makes of a text, and why"},
	} {
		if root.Command(f.command) != nil {
			first = append(first, [2]string{strings.TrimSpace("outcry " + f.command + " " + f.arguments), f.what})
		}
	}
	writeColumns(&b, first)
	for _, g := range groups {
		b.WriteString("\n" + g.title + ":\n")
		writeColumns(&b, commandRows(g.commands))
	}
	b.WriteString("\nOptions of every command:\n")
	writeColumns(&b, flagRows(root.Flags))
	b.WriteString(`
"outcry COMMAND --help" explains a command, its formats and gives examples. Where a FILE is asked for, - is standard input.
Results go to standard output, everything else to standard error. Exit status: 0 done, 1 failed, 2 not understood.
`)
	return b.String()
}
