package config

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	fileSuffix     = "_FILE"
	maxSecretBytes = 64 << 10
)

// variable turns one variable of the environment into a key and its value; an empty key means that it was noted as a fault.
func (l *loader) variable(name, text string) (string, any) {
	f, known := l.schema.byVariable[name]
	if !known {
		var viaFile bool
		f, viaFile = l.schema.byVariable[strings.TrimSuffix(name, fileSuffix)]
		if !viaFile || !f.secret() {
			l.fault("%s: unknown variable; the nearest known one is %s", name, Nearest(name, l.schema.variables()))
			return "", nil
		}
		secret, err := readSecret(text)
		if err != nil {
			l.fault("%s: %w", name, err)
			return "", nil
		}
		text = secret
	}
	if other := l.origin[f.name]; strings.TrimSuffix(other, fileSuffix) == f.variable && other != name {
		l.fault("%s and %s are both set; keep one", f.variable, f.variable+fileSuffix)
		return "", nil
	}
	value, ok := l.scalar(name, f, text)
	if !ok {
		return "", nil
	}
	return f.name, value
}

// readSecret returns a file's content without the line end that editors add.
func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	if len(data) > maxSecretBytes {
		return "", fmt.Errorf("read the secret: %s is larger than %d bytes", path, maxSecretBytes)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}
