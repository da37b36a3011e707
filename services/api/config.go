package api

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Config is what a person sets.
type Config struct {
	Listen string `koanf:"listen" doc:"Address on which pages and JSON are served, as host:port; port 0 takes a free one."`
}

// DefaultConfig serves the own machine only.
func DefaultConfig() Config { return Config{Listen: "127.0.0.1:8080"} }

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	_, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return errors.New("listen must be host:port, such as 127.0.0.1:8080 or :8080")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("listen has port %q, outside 0 to 65535", port)
	}
	return nil
}
