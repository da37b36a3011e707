package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"outcry.dev/pkg/embedded/clickhouse"
)

func main() {
	clickhouse.RunIfChild() // the embedded ClickHouse is this program, started again
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks the command to end; after it the default is back, so that a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ()}
	os.Exit(a.run(ctx, os.Args))
}
