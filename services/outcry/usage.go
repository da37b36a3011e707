package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/config"
)

// usageError is a command line that cannot be followed, as opposed to a command that failed.
type usageError struct {
	command string // the command whose help would explain it
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef makes a usage error of cmd.
func usagef(cmd *cli.Command, format string, args ...any) error {
	return &usageError{command: cmd.FullName(), err: fmt.Errorf(format, args...)}
}

// wantArgs checks the number of positional arguments; what names them for the error.
func wantArgs(cmd *cli.Command, least, most int, what string) error {
	switch n := cmd.Args().Len(); {
	case n < least:
		return usagef(cmd, "%s is missing", what)
	case n > most && len(cmd.VisibleCommands()) > 0:
		return unknownCommand(cmd, cmd.Args().Get(most))
	case n > most:
		return usagef(cmd, "unexpected argument %q: expected only %s", cmd.Args().Get(most), what)
	}
	return nil
}

// group is the action of a command that has subcommands: its help, or the subcommand that was probably meant.
func group(_ context.Context, cmd *cli.Command) error {
	if cmd.Args().Present() {
		return unknownCommand(cmd, cmd.Args().First())
	}
	cli.HelpPrinter(cmd.Root().Writer, "", cmd)
	return nil
}

func unknownCommand(cmd *cli.Command, name string) error {
	var known []string
	for _, sub := range cmd.VisibleCommands() {
		known = append(known, sub.Name)
	}
	if cmd.Root() != cmd { // few enough to name them all: the nearest word may mean the opposite
		return usagef(cmd, "unknown command %q; known are %s", name, strings.Join(known, ", "))
	}
	return usagef(cmd, "unknown command %q; the nearest known one is %s", name, config.Nearest(name, known))
}

// onUsageError says what the library found in the words used everywhere else.
func onUsageError(_ context.Context, cmd *cli.Command, err error, _ bool) error {
	// A mistyped command makes its options unknown too; the command is what to mend.
	if len(cmd.Commands) > 0 && cmd.Args().Present() && cmd.Command(cmd.Args().First()) == nil {
		return unknownCommand(cmd, cmd.Args().First())
	}
	message := err.Error()
	if name, found := strings.CutPrefix(message, "flag provided but not defined: -"); found {
		return usagef(cmd, "unknown option %s; the nearest known one is %s", dashed(name), dashed(config.Nearest(name, optionNames(cmd, len(name)))))
	}
	if name, found := strings.CutPrefix(message, "flag needs an argument: "); found {
		return usagef(cmd, "option %s needs a value", name)
	}
	if rest, found := strings.CutPrefix(message, "invalid value "); found {
		value, rest, _ := strings.Cut(rest, " for flag -")
		name, reason, _ := strings.Cut(rest, ": ")
		if strings.HasSuffix(reason, strconv.ErrRange.Error()) {
			return usagef(cmd, "option %s does not take %s; it is out of range", dashed(name), value)
		}
		return usagef(cmd, "option %s does not take %s; expected %s", dashed(name), value, expected(cmd, name))
	}
	if _, names, found := strings.Cut(message, "equired flag"); found {
		var missing []string
		for name := range strings.SplitSeq(strings.Split(names, `"`)[1], ", ") {
			missing = append(missing, dashed(name))
		}
		return usagef(cmd, "%s must be given", strings.Join(missing, " and "))
	}
	return usagef(cmd, "%s%s", strings.ToLower(message[:1]), message[1:])
}

// expected says what an option takes.
func expected(cmd *cli.Command, name string) string {
	for _, c := range cmd.Lineage() {
		for _, f := range c.Flags {
			if slices.Contains(f.Names(), name) {
				return config.Expected(f.Get())
			}
		}
	}
	return "another value"
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// optionNames lists the options that one of a length may have been meant to be: a letter is nearest to everything short.
func optionNames(cmd *cli.Command, length int) []string {
	var names []string
	for _, c := range []*cli.Command{cmd, cmd.Root()} {
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				if len(name) > 1 || length == 1 {
					names = append(names, name)
				}
			}
		}
	}
	return names
}
