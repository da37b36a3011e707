package clickhouse

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows a bar on a terminal, a line a phase elsewhere, and nothing without a writer.
type progress struct {
	w        io.Writer
	terminal bool
}

func newProgress(w io.Writer) progress {
	file, isFile := w.(*os.File)
	return progress{w: w, terminal: isFile && term.IsTerminal(int(file.Fd()))}
}

// phase is one step of known size.
type phase struct {
	bar *progressbar.ProgressBar // nil where no bar is shown
	max int64
}

func (p progress) phase(what string, bytes int64) phase {
	switch {
	case p.w == nil:
		return phase{}
	case !p.terminal:
		fmt.Fprintf(p.w, "%s: %d MB\n", what, bytes>>20)
		return phase{}
	}
	return phase{max: bytes, bar: progressbar.NewOptions64(bytes,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSetWidth(20),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(true),
	)}
}

// reach moves the bar to a number of bytes. Its errors are the writer's, and no reason to fail a fetch.
func (p phase) reach(bytes int64) {
	if p.bar != nil {
		_ = p.bar.Set64(min(bytes, p.max))
	}
}

func (p phase) end(complete bool) {
	if p.bar == nil {
		return
	}
	if complete {
		_ = p.bar.Finish()
	}
	_ = p.bar.Exit() // ends the line
}
