package clickhouse

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// entry is a file of a package.
type entry struct {
	name string
	kind byte
	body string
}

func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o755}
		if e.kind == tar.TypeReg {
			header.Size = int64(len(e.body))
		} else {
			header.Linkname = e.body
		}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			if _, err := io.WriteString(archive, e.body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func integrity(packed []byte) string {
	sum := sha512.Sum512(packed)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

const libraryBody = "pretend that this is a shared library"

func goodPackage(t testing.TB) []byte {
	return pack(t,
		entry{"package/package.json", tar.TypeReg, `{"name":"@chdb/lib-test","version":"` + Version + `","scripts":{"prepack":"exit 1","install":"exit 1"}}`},
		entry{"package/chdb_node.node", tar.TypeReg, "not wanted"},
		entry{"package/libchdb.so", tar.TypeReg, libraryBody})
}

func distributionOf(packed []byte) distribution {
	return distribution{name: "@chdb/lib-test", integrity: integrity(packed), packed: int64(len(packed)), library: int64(len(libraryBody))}
}

func installerOf(t *testing.T, d distribution) installer {
	return installer{
		distribution: d, dir: filepath.Join(t.TempDir(), "chdb"), pack: npmPack, progress: io.Discard,
		free: func(string) (uint64, error) { return 1 << 40, nil },
	}
}

// localPack stands for npm where npm is not the subject.
func localPack(packed []byte) func(context.Context, distribution, string, func(int64)) (string, error) {
	return func(_ context.Context, _ distribution, into string, have func(int64)) (string, error) {
		path := filepath.Join(into, "package.tgz")
		have(int64(len(packed)))
		return path, os.WriteFile(path, packed, 0o600)
	}
}

// registry is a registry for the real npm, which serves one package and says it has a certain checksum.
func registry(t *testing.T, tarball http.HandlerFunc, checksum string) {
	t.Helper()
	var address string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".tgz") {
			tarball(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"name":      "@chdb/lib-test",
			"dist-tags": map[string]string{"latest": Version},
			"versions": map[string]any{Version: map[string]any{
				"name": "@chdb/lib-test", "version": Version,
				"dist": map[string]string{"tarball": address + "/lib-test.tgz", "integrity": checksum},
			}},
		})
	}))
	t.Cleanup(server.Close)
	address = server.URL
	home := t.TempDir()
	config := filepath.Join(home, "npmrc")
	if err := os.WriteFile(config, []byte("registry="+address+"/\nfetch-retries=0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, variable := range os.Environ() { // what the machine sets would go before this
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(strings.ToLower(name), "npm_config_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("npm_config_userconfig", config)
	t.Setenv("npm_config_globalconfig", filepath.Join(home, "none"))
}

func serve(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
}

// onlyTheLock fails if a failed fetch has left anything.
func onlyTheLock(t *testing.T, i installer) {
	t.Helper()
	entries, err := os.ReadDir(i.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "outcry.lock" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestNpmBringsTheLibrary(t *testing.T) {
	packed := goodPackage(t)
	registry(t, serve(packed), integrity(packed))
	// A project around the working directory, whose settings point nowhere, must not be heeded.
	project := t.TempDir()
	for name, text := range map[string]string{".npmrc": "registry=http://127.0.0.1:1/\n", "package.json": "{}"} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(project)
	i := installerOf(t, distributionOf(packed))
	i.dir = filepath.Join(project, "cache")
	path, err := i.install(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil || string(body) != libraryBody {
		t.Fatalf("the library holds %q, %v", body, err)
	}
	entries, err := os.ReadDir(i.dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the cache holds %v, want the library and the lock", entries)
	}
	i.pack = func(context.Context, distribution, string, func(int64)) (string, error) {
		return "", errors.New("fetched twice")
	}
	if again, err := i.install(bounded(t)); err != nil || again != path {
		t.Errorf("from the cache: %s, %v", again, err)
	}
}

func TestTamperedPackageIsRefused(t *testing.T) {
	packed := goodPackage(t)
	tampered := pack(t, entry{"package/libchdb.so", tar.TypeReg, strings.ToUpper(libraryBody)})
	t.Run("by the registry", func(t *testing.T) { // which vouches for what it serves, so npm is content
		registry(t, serve(tampered), integrity(tampered))
		i := installerOf(t, distributionOf(packed))
		if _, err := i.install(bounded(t)); !errors.Is(err, errIntegrity) {
			t.Errorf("got %v", err)
		}
		onlyTheLock(t, i)
	})
	t.Run("on the way", func(t *testing.T) {
		registry(t, serve(tampered), integrity(packed))
		i := installerOf(t, distributionOf(packed))
		if _, err := i.install(bounded(t)); err == nil || !strings.Contains(err.Error(), "EINTEGRITY") {
			t.Errorf("got %v", err)
		}
		onlyTheLock(t, i)
	})
	t.Run("on the disk", func(t *testing.T) {
		i := installerOf(t, distributionOf(packed))
		i.pack = localPack(packed[:len(packed)-1])
		if _, err := i.install(bounded(t)); !errors.Is(err, errIntegrity) {
			t.Errorf("got %v", err)
		}
		onlyTheLock(t, i)
	})
}

func TestInterruptedFetchLeavesNothing(t *testing.T) {
	packed := goodPackage(t)
	ctx, interrupt := context.WithCancel(bounded(t))
	registry(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(packed[:len(packed)/2])
		w.(http.Flusher).Flush()
		interrupt()
		<-r.Context().Done() // until npm is gone
	}, integrity(packed))
	i := installerOf(t, distributionOf(packed))
	if _, err := i.install(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	onlyTheLock(t, i)
}

func TestManyAtOnceFetchOnce(t *testing.T) {
	packed := goodPackage(t)
	i := installerOf(t, distributionOf(packed))
	var fetches atomic.Int32
	i.pack = func(ctx context.Context, d distribution, into string, have func(int64)) (string, error) {
		fetches.Add(1)
		return localPack(packed)(ctx, d, into, have)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := i.install(bounded(t)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := fetches.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestFetchClearsWhatAKilledOneLeft(t *testing.T) {
	packed := goodPackage(t)
	i := installerOf(t, distributionOf(packed))
	i.pack = localPack(packed)
	leftover := filepath.Join(i.dir, "fetch-123", "npm")
	if err := os.MkdirAll(leftover, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(i.target(), []byte("half"), 0o600); err != nil { // a disk that lost its end
		t.Fatal(err)
	}
	path, err := i.install(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := os.ReadFile(path); err != nil || string(body) != libraryBody {
		t.Errorf("the library holds %q, %v", body, err)
	}
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", leftover, err)
	}
}

func TestWithoutNpmTheErrorSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	i := installerOf(t, distributionOf(goodPackage(t)))
	_, err := i.install(bounded(t))
	for _, part := range []string{"npm", "install Node.js", "clickhouse.address", "OUTCRY_CLICKHOUSE_ADDRESS", "clickhouse.library", "OUTCRY_CLICKHOUSE_LIBRARY"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	onlyTheLock(t, i)
}

func TestUnknownPackageShowsWhatNpmSaid(t *testing.T) {
	packed := goodPackage(t)
	registry(t, http.NotFound, integrity(packed))
	i := installerOf(t, distributionOf(packed))
	if _, err := i.install(bounded(t)); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
	onlyTheLock(t, i)
}

func TestFullDiskIsSaidBeforehand(t *testing.T) {
	i := installerOf(t, distributions["linux/amd64"])
	i.free = func(string) (uint64, error) { return 500 << 20, nil }
	i.pack = func(context.Context, distribution, string, func(int64)) (string, error) {
		t.Error("it fetches all the same")
		return "", errors.New("unexpected")
	}
	_, err := i.install(bounded(t))
	for _, part := range []string{"500 MB free", "709 MB are needed", i.dir} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

func TestFreeBytesAreOfTheFolder(t *testing.T) {
	if free, err := freeBytes(t.TempDir()); err != nil || free == 0 {
		t.Errorf("%d bytes free, %v", free, err)
	}
	if _, err := freeBytes(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a folder that is not there has free space")
	}
}

func TestPlatforms(t *testing.T) {
	for platform, want := range map[string]string{
		"windows/amd64": "does not exist for windows/amd64",
		"darwin/arm64":  "@chdb/lib-darwin-arm64@" + Version + " has no pinned checksum",
		"linux/amd64":   "",
	} {
		d, err := platformDistribution(platform)
		switch {
		case want == "" && (err != nil || !strings.HasPrefix(d.integrity, "sha512-")):
			t.Errorf("%s: %+v, %v", platform, d, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "clickhouse.library")):
			t.Errorf("%s: %v", platform, err)
		}
	}
}

func TestUnpackTakesOnlyTheLibrary(t *testing.T) {
	library := entry{"package/libchdb.so", tar.TypeReg, libraryBody}
	many := make([]entry, mostEntries)
	for i := range many {
		many[i] = entry{"package/other", tar.TypeReg, "x"}
	}
	for name, c := range map[string]struct {
		packed []byte
		fault  string // empty: it unpacks
	}{
		"last of several":   {pack(t, entry{"package/a", tar.TypeReg, "a"}, entry{"../../b", tar.TypeReg, "b"}, library), ""},
		"absent":            {pack(t, entry{"package/a", tar.TypeReg, "a"}), "holds no package/libchdb.so"},
		"elsewhere":         {pack(t, entry{"../libchdb.so", tar.TypeReg, libraryBody}), "holds no package/libchdb.so"},
		"a link":            {pack(t, entry{"package/libchdb.so", tar.TypeSymlink, "/etc/passwd"}), "want 37"},
		"too short":         {pack(t, entry{"package/libchdb.so", tar.TypeReg, "short"}), "has 5 bytes, want 37"},
		"too long":          {pack(t, entry{"package/libchdb.so", tar.TypeReg, libraryBody + libraryBody}), "want 37"},
		"behind many":       {pack(t, append(many, library)...), "more than"},
		"behind too much":   {pack(t, entry{"package/zeros", tar.TypeReg, strings.Repeat("\x00", mostBytes)}, library), "unexpected EOF"},
		"cut":               {pack(t, library)[:60], "unexpected EOF"},
		"not even zipped":   {[]byte("hello, this is not a package"), "gzip"},
		"nothing":           {nil, "EOF"},
		"zipped, not tared": {zipped(t, "hello"), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			from, to := filepath.Join(dir, "in", "package.tgz"), filepath.Join(dir, "in", "deeper", "lib.so")
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(from, c.packed, 0o600); err != nil {
				t.Fatal(err)
			}
			reached := int64(0)
			err := unpack(t.Context(), from, to, int64(len(libraryBody)), func(n int64) { reached = n })
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Fatalf("got %v, want %q", err, c.fault)
				}
				return
			}
			body, readErr := os.ReadFile(to)
			if err != nil || readErr != nil || string(body) != libraryBody || reached != int64(len(libraryBody)) {
				t.Errorf("unpacked %q (%d bytes told): %v, %v", body, reached, err, readErr)
			}
			for _, stray := range []string{dir, filepath.Join(dir, "in")} {
				if entries, _ := os.ReadDir(stray); len(entries) > 2 {
					t.Errorf("%s holds %v", stray, entries)
				}
			}
		})
	}
}

func zipped(t testing.TB, text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzFindLibrary(f *testing.F) {
	good := goodPackage(f)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(zipped(f, "hello"))
	f.Fuzz(func(t *testing.T, packed []byte) {
		const size = int64(len(libraryBody))
		library, err := findLibrary(bytes.NewReader(packed), size)
		if err != nil {
			return
		}
		if body, err := io.ReadAll(library); int64(len(body)) > size || err == nil && int64(len(body)) != size {
			t.Errorf("a library of %d bytes (%v), want %d", len(body), err, size)
		}
	})
}

func TestTailKeepsTheEndInWholeLines(t *testing.T) {
	var kept tail
	for range 1000 {
		if _, err := io.WriteString(&kept, "a line of some length\n"); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.WriteString(&kept, "the last line\xff\n")
	got := kept.String()
	if len(got) > lastBytes || !strings.HasPrefix(got, "a line of some length\n") || !strings.HasSuffix(got, "the last line?") {
		t.Errorf("kept %d bytes: %q…%q", len(got), got[:30], got[len(got)-30:])
	}
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("before\nsince\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for first, want := range map[int64]string{0: "before\nsince\n", 7: "since\n", 13: "", 14: "before\nsince\n"} {
		if got := logSince(path, first); got != want {
			t.Errorf("behind %d bytes: %q, want %q", first, got, want)
		}
	}
	if got := logSince(path+"absent", 0); got != "" {
		t.Errorf("of no file: %q", got)
	}
}

func TestTellingLines(t *testing.T) {
	at := func(second int, line string) string {
		return fmt.Sprintf("2026.12.01 02:07:%02d.057965 [ %d ] {} %s\n", second, 10000+second%2, line)
	}
	paused := func(n int) (out string) {
		for i := range n {
			out += at(i%60, "<Warning> Pool: Temporarily pause scheduling")
		}
		return out
	}
	fatal := at(1, "<Fatal> ClientBase: (version 26.7.2.1) (from thread 10390) Terminate called for uncaught exception:") +
		at(1, "<Fatal> ClientBase: Code: 210. DB::NetException: Connection reset by peer. (NETWORK_ERROR)")
	stack := at(1, "<Fatal> ClientBase: ") + at(1, "<Fatal> ClientBase: 0. ? @ 0x000000001c8fa4b3") + "12. ? @ 0x000000000ef1e3de\n"
	wrong := func(n int) string { return at(2, fmt.Sprintf("<Error> TCPHandler: wrong %d", n)) }
	warned := at(0, "<Warning> Context: something")
	for name, row := range map[string]struct{ log, want string }{
		"nothing":                    {"", ""},
		"without a prefix":           {"cannot load it\n", "cannot load it"},
		"repeated":                   {paused(7), strings.TrimSpace(at(0, "<Warning> Pool: Temporarily pause scheduling")) + " (7 times)"},
		"repeated, then another":     {paused(2) + warned, strings.TrimSpace(at(0, "<Warning> Pool: Temporarily pause scheduling")) + " (2 times)\n" + strings.TrimSpace(warned)},
		"an error among warnings":    {warned + wrong(1) + paused(500), strings.TrimSpace(wrong(1))},
		"fatal before warnings":      {warned + wrong(1) + fatal + stack + paused(500), strings.TrimSpace(fatal)},
		"repeated errors":            {wrong(1) + wrong(1) + paused(2), strings.TrimSpace(wrong(1)) + " (2 times)"},
		"of many errors, the last":   {strings.Repeat(wrong(1)+wrong(2), 500) + wrong(3), ""},
		"of much fatal, what begins": {fatal + strings.Repeat(at(1, "<Fatal> ClientBase: more")+at(1, "<Fatal> ClientBase: and more"), 500), ""},
	} {
		got := telling(row.log)
		if row.want != "" && got != row.want || len(got) > lastBytes || (got == "") != (row.log == "") {
			t.Errorf("%s: %d bytes:\n%s\nwant\n%s", name, len(got), got, row.want)
		}
		if strings.HasSuffix(row.log, wrong(3)) && !strings.HasSuffix(got, "wrong 3") || strings.HasPrefix(row.log, fatal) && !strings.HasPrefix(got, fatal) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}
