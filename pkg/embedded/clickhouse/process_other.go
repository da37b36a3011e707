//go:build !unix

package clickhouse

import (
	"os"
	"syscall"
)

func executable() (string, error) { return os.Executable() }

func processAttributes() *syscall.SysProcAttr { return nil }
