package clickhouse

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"outcry.dev/pkg/embedded/internal/dirlock"
)

// Version of the npm package that carries the library.
const Version = "26.7.3-stable.1"

// libraryName is the file in the package and in the cache.
const libraryName = "libchdb.so"

// otherWays is what to do when the library cannot be had by itself.
const otherWays = "set clickhouse.address (OUTCRY_CLICKHOUSE_ADDRESS) to the HOST:PORT of a server, " +
	"or name the file of a libchdb.so with clickhouse.library (OUTCRY_CLICKHOUSE_LIBRARY)"

// distribution is one platform's package.
type distribution struct {
	name      string // of the npm package
	integrity string // as the registry and lock files write it: "sha512-" and base64. Empty is not pinned.
	packed    int64  // bytes of the package
	library   int64  // bytes of the library in it
}

// distributions has a platform's package by GOOS/GOARCH. A package without a pinned checksum is never fetched: what is fetched
// is run, so it must be the very file that was looked at when the pin was made
// (npm view NAME@VERSION dist.integrity; the sizes are npm pack's).
var distributions = map[string]distribution{
	"linux/amd64": {
		name:      "@chdb/lib-linux-x64-gnu",
		integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		packed:    177_817_999,
		library:   566_330_096,
	},
	"linux/arm64":  {name: "@chdb/lib-linux-arm64-gnu"},
	"darwin/arm64": {name: "@chdb/lib-darwin-arm64"},
	"darwin/amd64": {name: "@chdb/lib-darwin-x64"},
}

// platformDistribution is the package to fetch here.
func platformDistribution(platform string) (distribution, error) {
	d, known := distributions[platform]
	switch {
	case !known:
		return d, fmt.Errorf("ClickHouse's library does not exist for %s: %s", platform, otherWays)
	case d.integrity == "":
		return d, fmt.Errorf("the package %s@%s has no pinned checksum, so it is not fetched by itself on %s: "+
			"run npm pack %s@%s, unpack it and name the %s in it with clickhouse.library (OUTCRY_CLICKHOUSE_LIBRARY), "+
			"or set clickhouse.address (OUTCRY_CLICKHOUSE_ADDRESS) to the HOST:PORT of a server",
			d.name, Version, platform, d.name, Version, libraryName)
	}
	return d, nil
}

// Library returns the path of libchdb.so: the configured one, the one in the cache, or one fetched into the cache with npm.
// Processes that call it at once fetch once. A fetch that fails or is interrupted leaves nothing behind.
func Library(ctx context.Context, cfg Config) (string, error) {
	if cfg.Library != "" {
		return cfg.Library, stat(cfg.Library)
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	d, err := platformDistribution(platform)
	if err != nil {
		return "", err
	}
	cache := cfg.CacheDir
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a cache folder for ClickHouse's library: %w: set HOME, or %s", err, otherWays)
		}
		cache = filepath.Join(user, "outcry")
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	i := installer{
		distribution: d,
		dir:          filepath.Join(cache, "chdb", Version+"-"+runtime.GOOS+"-"+runtime.GOARCH),
		pack:         npmPack,
		free:         freeBytes,
		progress:     cfg.Progress,
	}
	return i.install(ctx)
}

// stat makes a wrong path an error that names the setting.
func stat(library string) error {
	switch info, err := os.Stat(library); {
	case err != nil:
		return fmt.Errorf("clickhouse.library (OUTCRY_CLICKHOUSE_LIBRARY): %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("clickhouse.library (OUTCRY_CLICKHOUSE_LIBRARY): %s is not a file", library)
	}
	return nil
}

// installer brings one distribution into one folder.
type installer struct {
	distribution
	dir string
	// pack writes the package into a folder and returns its path; meanwhile it tells how many bytes it has.
	pack     func(ctx context.Context, d distribution, into string, have func(int64)) (string, error)
	free     func(dir string) (uint64, error)
	progress io.Writer // or nil
}

func (i installer) target() string { return filepath.Join(i.dir, libraryName) }

// present trusts the size: the file came there whole, by a rename, after its package's checksum was found right.
func (i installer) present() bool {
	info, err := os.Stat(i.target())
	return err == nil && info.Mode().IsRegular() && info.Size() == i.library
}

func (i installer) install(ctx context.Context) (string, error) {
	if i.present() {
		return i.target(), nil
	}
	lock, err := dirlock.Wait(ctx, i.dir)
	if err != nil {
		return "", fmt.Errorf("fetch ClickHouse's library: %w", err)
	}
	defer func() { _ = lock.Release() }() // a lock that cannot be released goes with the process
	if i.present() {
		return i.target(), nil // another process has fetched it meanwhile
	}
	if err := i.fetch(ctx); err != nil {
		return "", fmt.Errorf("fetch ClickHouse's library: %w", err)
	}
	return i.target(), nil
}

// fetch works in a folder of its own next to the target, which makes the last step a rename.
func (i installer) fetch(ctx context.Context) error {
	leftovers, _ := filepath.Glob(filepath.Join(i.dir, "fetch-*")) // of a process that was killed: whoever holds the lock is alone
	for _, leftover := range leftovers {
		if err := os.RemoveAll(leftover); err != nil {
			return fmt.Errorf("remove what an interrupted fetch left: %w", err)
		}
	}
	if err := i.checkSpace(); err != nil {
		return err
	}
	work, err := os.MkdirTemp(i.dir, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	show := newProgress(i.progress)
	downloading := show.phase("fetching ClickHouse "+Version+" (once)", i.packed)
	path, err := i.pack(ctx, i.distribution, work, downloading.reach)
	downloading.end(err == nil)
	if err != nil {
		return err
	}
	if err := checkIntegrity(ctx, path, i.integrity); err != nil {
		return fmt.Errorf("%s@%s: %w", i.name, Version, err)
	}
	unpacking := show.phase("unpacking it", i.library)
	unpacked := filepath.Join(work, libraryName)
	err = unpack(ctx, path, unpacked, i.library, unpacking.reach)
	unpacking.end(err == nil)
	if err != nil {
		return fmt.Errorf("unpack %s@%s: %w", i.name, Version, err)
	}
	return os.Rename(unpacked, i.target())
}

// checkSpace says beforehand what would otherwise fail after minutes. The package is there twice while npm works (once in
// its cache), and then once beside the library.
func (i installer) checkSpace() error {
	free, err := i.free(i.dir)
	if err != nil {
		return fmt.Errorf("ask for the free space of %s: %w", i.dir, err)
	}
	if need := uint64(max(2*i.packed, i.packed+i.library)); free < need {
		return fmt.Errorf("%s has %d MB free and %d MB are needed (%d MB afterwards): make room, choose another cache folder, or %s",
			i.dir, free>>20, need>>20, i.library>>20, otherWays)
	}
	return nil
}

// checkIntegrity compares a file's SHA-512 to its pin.
func checkIntegrity(ctx context.Context, path, want string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, contextReader{ctx, file}); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("%w: got %s, want %s: it is not used; if it happens again, the registry that npm asks holds another file than the one expected",
			errIntegrity, got, want)
	}
	return nil
}

var errIntegrity = errors.New("the package's checksum is wrong")

// contextReader ends a long read with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
