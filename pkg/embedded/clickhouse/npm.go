package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// npmPack has npm write the package into a folder. npm knows the person's registry, proxy and credentials, which is why it
// is asked rather than an address.
func npmPack(ctx context.Context, d distribution, into string, have func(int64)) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm, which brings it, is not installed: install Node.js with npm and try again, or %s", otherWays)
	}
	project, cache := filepath.Join(into, "project"), filepath.Join(into, "npm")
	for _, dir := range []string{project, cache} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", err
		}
	}
	// A project of its own keeps npm from looking for one above, whose .npmrc it would obey.
	if err := os.WriteFile(filepath.Join(project, "package.json"), []byte(`{"private":true}`), 0o600); err != nil {
		return "", err
	}
	output := &tail{}
	cmd := exec.CommandContext(ctx, npm, "pack", d.name+"@"+Version,
		"--pack-destination", into,
		"--cache", cache, // npm would keep 178 MB for good
		"--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	cmd.Dir = project
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = processAttributes()
	cmd.WaitDelay = time.Second

	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchSize(watching, cache, have)
	}()
	err = cmd.Run()
	stop()
	<-watched
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("npm pack %s@%s: %w: see that npm reaches its registry, or %s; npm said:\n%s", d.name, Version, err, otherWays, output)
	}
	packages, err := filepath.Glob(filepath.Join(into, "*.tgz"))
	if err != nil || len(packages) != 1 {
		return "", errors.Join(err, fmt.Errorf("npm pack wrote %d packages, want 1; npm said:\n%s", len(packages), output))
	}
	return packages[0], os.RemoveAll(cache)
}

// watchSize tells how large a folder is until ctx ends. npm writes what it downloads into its cache, and says nothing
// itself where its output is not a terminal.
func watchSize(ctx context.Context, dir string, have func(int64)) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			var sum int64
			_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
				if err == nil { // npm renames and removes while this looks
					if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
						sum += info.Size()
					}
				}
				return nil
			})
			have(sum)
		}
	}
}
