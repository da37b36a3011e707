package push

import (
	"crypto/tls"
	"errors"
	"os"
	"sync"
	"time"
)

// certificate is a pair of files, read again when one of them has changed. What cannot be read leaves the last pair in use.
type certificate struct {
	cert, key string

	mu   sync.Mutex
	read [2]time.Time // when the files that pair is from were changed
	pair *tls.Certificate
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, err := c.changed()
	if c.pair != nil && (err != nil || changed == c.read) {
		return c.pair, nil
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		if c.pair != nil { // half of a renewal
			return c.pair, nil
		}
		return nil, err
	}
	c.pair, c.read = &pair, changed
	return c.pair, nil
}

func (c *certificate) changed() (at [2]time.Time, err error) {
	for i, name := range []string{c.cert, c.key} {
		info, statErr := os.Stat(name)
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		at[i] = info.ModTime()
	}
	return at, err
}
