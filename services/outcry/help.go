package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v3"
)

// The library prints help through this variable alone; set once, before any command exists.
func init() { //nolint:gochecknoinits // a global of the library can be set at no better time
	cli.HelpPrinter = func(w io.Writer, _ string, data any) {
		cmd := data.(*cli.Command)
		if cmd == cmd.Root() {
			_, _ = io.WriteString(w, cmd.Description)
			return
		}
		writeHelp(w, cmd)
	}
}

// writeHelp writes a command's purpose, the form of its line, what its description says, its subcommands and its options.
func writeHelp(w io.Writer, cmd *cli.Command) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nUsage:\n", cmd.FullName(), cmd.Usage)
	form := cmd.FullName()
	if len(cmd.Commands) > 0 {
		form += " COMMAND"
	}
	form += " [options]"
	if cmd.ArgsUsage != "" {
		form += " " + cmd.ArgsUsage
	}
	fmt.Fprintf(&b, "  %s\n", form)
	if d := strings.Trim(cmd.Description, "\n"); d != "" {
		fmt.Fprintf(&b, "\n%s\n", d)
	}
	if subs := cmd.VisibleCommands(); len(subs) > 0 {
		b.WriteString("\nCommands:\n")
		writeColumns(&b, commandRows(subs))
	}
	b.WriteString("\nOptions:\n")
	writeColumns(&b, append(flagRows(cmd.Flags), flagRows(cmd.Root().Flags)...))
	_, _ = io.WriteString(w, b.String())
}

func commandRows(commands []*cli.Command) [][2]string {
	var rows [][2]string
	for _, c := range commands {
		if !c.Hidden {
			rows = append(rows, [2]string{c.Name, c.Usage})
		}
	}
	return rows
}

func flagRows(flags []cli.Flag) [][2]string {
	var rows [][2]string
	for _, f := range flags {
		doc, ok := f.(cli.DocGenerationFlag)
		name := f.Names()[0]
		if !ok || name == "help" {
			continue
		}
		left := dashed(name)
		// The library keeps a placeholder in backquotes within the usage text.
		placeholder, usage := "VALUE", doc.GetUsage()
		if before, rest, found := strings.Cut(usage, "`"); found {
			if word, after, closed := strings.Cut(rest, "`"); closed {
				placeholder, usage = word, before+word+after
			}
		}
		if doc.TakesValue() {
			left += " " + placeholder
		}
		if value := doc.GetDefaultText(); value != "" && doc.TakesValue() && doc.IsDefaultVisible() {
			usage += fmt.Sprintf(" (default %s)", strings.Trim(value, `"`))
		}
		rows = append(rows, [2]string{left, usage})
	}
	return rows
}

func writeColumns(b *strings.Builder, rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	for _, r := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", width, r[0], r[1])
	}
}

// helpCommand is "outcry help COMMAND…". The library's own would take the word help for a command below every other one: "outcry explain help".
func (a *app) helpCommand() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "explain a command",
		ArgsUsage: "[COMMAND…]",
		Description: `Without a COMMAND it prints what "outcry" alone prints.

Example:
  outcry help config check`,
		Action: func(_ context.Context, cmd *cli.Command) error {
			about := cmd.Root()
			for _, name := range cmd.Args().Slice() {
				sub := about.Command(name)
				if sub == nil {
					return unknownCommand(about, name)
				}
				about = sub
			}
			cli.HelpPrinter(a.stdout, "", about)
			return nil
		},
	}
}
