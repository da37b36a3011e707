//go:build !linux && !darwin

package clickhouse

import (
	"fmt"
	"runtime"
)

func runEngine(string, []string) error {
	return fmt.Errorf("the embedded ClickHouse does not exist for %s: %s", runtime.GOOS, otherWays)
}
