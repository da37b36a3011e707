package clickhouse

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip" // twice as fast as the standard library's, on half a gigabyte
)

// unpack writes the library from an npm package to a file. It reads the package as hostile, though its checksum was right: nothing but
// the one file is written, to the path given, and only if it has exactly the size expected.
func unpack(ctx context.Context, packed, to string, size int64, have func(int64)) (err error) {
	file, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer file.Close()
	library, err := findLibrary(contextReader{ctx, bufio.NewReaderSize(file, 1<<20)}, size)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	counted := &countingWriter{w: out, have: have}
	if _, err := io.CopyBuffer(struct{ io.Writer }{counted}, library, make([]byte, 1<<20)); err != nil {
		return err
	}
	if counted.n != size {
		return fmt.Errorf("%s has %d bytes, want %d", libraryName, counted.n, size)
	}
	return out.Sync()
}

// Bounds of what is in the package beside the library: it has three files of 3 MB.
const (
	mostEntries = 64
	mostBytes   = 16 << 20
)

// findLibrary returns a reader of the library in a packed package. The reader ends after size bytes at most.
func findLibrary(packed io.Reader, size int64) (io.Reader, error) {
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	// Whatever else is in there is skipped by reading it, so it is bounded too.
	archive := tar.NewReader(io.LimitReader(unzipped, size+mostBytes))
	for range mostEntries {
		switch entry, err := archive.Next(); {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("it holds no package/%s", libraryName)
		case err != nil:
			return nil, err
		case entry.Name != "package/"+libraryName:
			continue
		case entry.Typeflag != tar.TypeReg || entry.Size != size:
			return nil, fmt.Errorf("%s has %d bytes, want %d", libraryName, entry.Size, size)
		default:
			return archive, nil
		}
	}
	return nil, fmt.Errorf("it holds more than %d files", mostEntries)
}

type countingWriter struct {
	w    io.Writer
	n    int64
	have func(int64)
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.have(c.n)
	return n, err
}
