package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/config"
)

// app is what a command has of the world.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string // "NAME=value"
}

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell reports SIGINT
)

// run runs the command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	return a.exitCode(ctx, a.root().Run(ctx, args))
}

// exitCode prints what went wrong and returns the exit code for it.
func (a *app) exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		fmt.Fprintln(a.stderr, "outcry: interrupted")
		return exitInterrupted
	}
	a.printError(err)
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(a.stderr, "Try: %s --help\n", usage.command)
		return exitUsage
	}
	return exitFailure
}

// printError writes one fault in a line, several below each other.
func (a *app) printError(err error) {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	if len(lines) == 1 {
		fmt.Fprintf(a.stderr, "outcry: %s\n", lines[0])
		return
	}
	fmt.Fprintf(a.stderr, "outcry: %d faults:\n  %s\n", len(lines), strings.Join(lines, "\n  "))
}

// getenv returns the value of a variable, or nothing.
func (a *app) getenv(name string) string {
	value := ""
	for _, pair := range a.environ {
		if n, v, _ := strings.Cut(pair, "="); n == name {
			value = v
		}
	}
	return value
}

// config loads the configuration of a command: --config, or the first file of the usual places that exists, then the environment, then --log-level.
func (a *app) config(cmd *cli.Command) (Config, error) {
	cfg := DefaultConfig()
	file, err := a.configFile(cmd)
	if err != nil {
		return cfg, err
	}
	if err := config.Load(&cfg, config.Options{File: file, Environ: a.environ, Prefix: envPrefix}); err != nil {
		return cfg, err
	}
	if level := cmd.String("log-level"); level != "" {
		cfg.Log.Level = level
		if err := cfg.Log.Validate(); err != nil {
			return cfg, usagef(cmd, "--log-%w", err)
		}
	}
	return cfg, nil
}

// configFile returns the path of the configuration file, or nothing where there is none.
func (a *app) configFile(cmd *cli.Command) (string, error) {
	if file := cmd.String("config"); file != "" {
		return file, nil
	}
	home := a.getenv("XDG_CONFIG_HOME")
	if home == "" && a.getenv("HOME") != "" {
		home = filepath.Join(a.getenv("HOME"), ".config")
	}
	places := []string{"outcry.yaml"}
	if filepath.IsAbs(home) { // as the XDG specification asks
		places = append(places, filepath.Join(home, "outcry", "outcry.yaml"))
	}
	for _, place := range places {
		_, err := os.Stat(place)
		if err == nil {
			return place, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("look for the configuration file: %w", err)
		}
	}
	return "", nil
}

// logger writes to standard error.
func (a *app) logger(cfg LogConfig) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.level()}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.stderr, options))
}
