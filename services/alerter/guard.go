package alerter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// errPrivate marks an address that a webhook must not lead to.
var errPrivate = errors.New("nothing was sent: alerter.webhook.url leads to an address that is not public; alerter.webhook.allow_private allows it")

// notPublic are the special-purpose blocks of IANA that net/netip has no word for.
var notPublic = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
	"fec0::/10")

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// public says whether an address belongs to the open internet.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// refusePrivate is a net.Dialer's control: it sees the address that a name led to, right before that very address is dialled. A name that
// leads elsewhere the next time it is asked cannot get around it.
func refusePrivate(_ context.Context, network, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%w (%s %s)", errPrivate, network, address)
	}
	if !public(a.Addr()) {
		return fmt.Errorf("%w (%s)", errPrivate, a.Addr())
	}
	return nil
}

// goneMark is a file that says that the receiver at an address has gone. It goes with the address: another one begins anew.
type goneMark struct{ path string }

func markOf(cfg Webhook, dataDir string) goneMark {
	sum := sha256.Sum256([]byte(cfg.URL))
	return goneMark{filepath.Join(dataDir, "alerter", "gone-"+hex.EncodeToString(sum[:8]))}
}

func (g goneMark) set() bool {
	_, err := os.Stat(g.path)
	return err == nil
}

func (g goneMark) put() error {
	if err := os.MkdirAll(filepath.Dir(g.path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(g.path, []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o600)
}

// Enable lets changes go to a webhook again that was disabled because its receiver had gone. It says whether it was.
func Enable(cfg Webhook, dataDir string) (bool, error) {
	err := os.Remove(markOf(cfg, dataDir).path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
