//go:build unix && !linux

package clickhouse

import (
	"os"
	"syscall"
)

func executable() (string, error) { return os.Executable() }

// processAttributes gives the engine a process group of its own, so that Ctrl-C on the terminal reaches only the parent, which
// then ends the engine when it wants to. The engine's own watch over its parent is what ends it with the parent here.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
