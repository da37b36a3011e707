// Package keyfile keeps secret keys that Outcry makes for itself, each in a file of its own.
//
// It exists so that processes that start at once on an empty folder end with one key, and that nobody ever reads half of one, be it that another
// process is just writing it or that one was killed while it did. It must never replace a key that is there: what it signed or hashed would be lost.
package keyfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Least is how many bytes a key has at least.
const Least = 16

// Get returns the key in the file at path. Where there is none it makes one, 64 hexadecimal digits, and the folders to it. It fails where the file
// holds less than Least bytes.
func Get(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) < Least:
		return nil, fmt.Errorf("%s has %d bytes; a key has at least %d: remove it to have one made", path, len(key), Least)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return key, err
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	err = create(path, []byte(hex.EncodeToString(secret)))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return Get(path) // the one that is there, whoever made it
}

// create writes a file whole under another name first, and links it only where there is none.
func create(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
