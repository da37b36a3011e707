package clickhouse

import (
	"fmt"
	"io"
	"os"
	"time"
)

// childName is argv[0] of the engine's process. It is what tells that process what it is, and what a person sees in ps.
const childName = "outcry-clickhouse"

// lifeline is the engine's end of a pipe that ends when its parent does: the first of cmd.ExtraFiles.
const lifeline = 3

// outlive is how long the engine may take to end in an orderly way after its parent has gone.
const outlive = 10 * time.Second

// RunIfChild serves as the engine and ends the process if this process was started to be the engine, and returns otherwise.
// Call it before anything else in main and in TestMain: the engine's process is the same executable, started again.
func RunIfChild() {
	if len(os.Args) < 2 || os.Args[0] != childName {
		return
	}
	go dieWithParent()
	if err := runEngine(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// dieWithParent ends the process when the parent has gone and the engine, which sees the end of its standard input at the
// same moment, has not ended by itself.
func dieWithParent() {
	_, _ = io.Copy(io.Discard, os.NewFile(lifeline, "lifeline"))
	time.Sleep(outlive)
	fmt.Fprintln(os.Stderr, "the engine did not end with its parent")
	os.Exit(1)
}
