//go:build linux || darwin

package clickhouse

import "syscall"

// freeBytes is what a person without special rights may still write there.
func freeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
