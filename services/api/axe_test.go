package api_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// axe-core looks for what keeps people with screen readers, keyboards or weak eyes out. npm brings it, once.
const (
	axeVersion   = "4.14.1"
	axeIntegrity = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
	axeFile      = "package/axe.min.js"
)

// axe returns the script, from the cache folder or from npm.
func axe(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "outcry")
	kept := filepath.Join(dir, "axe-core-"+axeVersion+".tgz")
	if script, err := unpackAxe(kept); err == nil {
		return script, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(dir, "axe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm, which brings axe-core, is not installed: %w", err)
	}
	// A project of its own keeps npm from looking for one above.
	if err := os.WriteFile(filepath.Join(work, "package.json"), []byte(`{"private":true}`), 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, npm, "pack", "axe-core@"+axeVersion, "--cache", filepath.Join(work, "npm"), "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	cmd.Dir = work
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch axe-core %s with npm: %w: %s", axeVersion, err, said)
	}
	fetched := filepath.Join(work, "axe-core-"+axeVersion+".tgz")
	script, err := unpackAxe(fetched)
	if err != nil {
		return "", err
	}
	return script, os.Rename(fetched, kept)
}

var errWrongAxe = errors.New("the package axe-core is not the one expected")

// unpackAxe checks a package against its pin and takes the script out of it.
func unpackAxe(path string) (string, error) {
	packed, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha512.Sum512(packed)
	if "sha512-"+base64.StdEncoding.EncodeToString(sum[:]) != axeIntegrity {
		return "", errWrongAxe
	}
	unzipped, err := gzip.NewReader(strings.NewReader(string(packed)))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("look for %s in axe-core: %w", axeFile, err)
		}
		if header.Name == axeFile {
			script, err := io.ReadAll(files)
			return string(script), err
		}
	}
}
