package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/config"
	"outcry.dev/pkg/embedded/broker"
)

// pair writes a certificate for loopback that is its own authority.
func pair(t *testing.T) (cert, key string, loaded tls.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600)); err != nil {
		t.Fatal(err)
	}
	if loaded, err = tls.LoadX509KeyPair(cert, key); err != nil {
		t.Fatal(err)
	}
	return cert, key, loaded
}

// Brokers that want TLS, a certificate and a password get them, from everything that connects: administration, producers, readers and groups.
// With less, nothing is let in, and nothing is said in the clear.
func TestSecurity(t *testing.T) {
	const password = "a password that nobody may see"
	cert, key, own := pair(t)
	authority := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(own.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	authority.AddCert(leaf)
	b, err := broker.Start(broker.Config{
		TLS:   &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority},
		Users: map[string]string{"ann": password},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	good := bus.Security{TLS: true, CA: cert, Cert: cert, Key: key, Mechanism: "SCRAM-SHA-512", Username: "ann", Password: password}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "scram-sha-512"} {
		t.Run(mechanism, func(t *testing.T) {
			s := good
			s.Mechanism = mechanism
			if err := s.Validate(); err != nil {
				t.Fatal(err)
			}
			k := bus.New(bus.Config{Brokers: b.Addrs(), Prefix: mechanism + ".", Security: s}, slog.New(slog.NewTextHandler(t.Output(), nil)))
			defer k.Close()
			if err := k.EnsureTopics(t.Context(), bus.Topic{Name: "a", Partitions: 1}); err != nil {
				t.Fatal(err)
			}
			p, err := k.Producer(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Write(t.Context(), bus.Message{Value: []byte("hello")}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			read := ""
			err = k.Consume(ctx, bus.GroupConfig{Group: "g", Topic: "a"}, func(ctx context.Context, c *bus.Claim) error {
				for {
					msgs, err := c.Fetch(ctx)
					if err != nil {
						return err
					}
					for _, m := range msgs {
						read = string(m.Value)
						if err := c.Commit(c.Offset()); err != nil {
							return err
						}
						cancel()
					}
				}
			})
			if err != nil || read != "hello" {
				t.Errorf("read %q, %v", read, err)
			}
		})
	}
	for name, change := range map[string]func(*bus.Security){
		"a wrong password":       func(s *bus.Security) { s.Password = config.Secret(strings.ToUpper(password)) },
		"no signing in":          func(s *bus.Security) { s.Mechanism, s.Username, s.Password = "", "", "" },
		"no certificate":         func(s *bus.Security) { s.Cert, s.Key = "", "" },
		"an authority not known": func(s *bus.Security) { s.CA = "" },
		"in the clear":           func(s *bus.Security) { s.TLS, s.CA, s.Cert, s.Key = false, "", "", "" },
		"a file that has gone":   func(s *bus.Security) { s.CA = filepath.Join(t.TempDir(), "absent") },
	} {
		s := good
		change(&s)
		k := bus.New(bus.Config{Brokers: b.Addrs(), Security: s}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if err := k.EnsureTopics(ctx, bus.Topic{Name: "b", Partitions: 1}); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		k.Close()
	}
}

func TestSecurityFaults(t *testing.T) {
	cert, key, _ := pair(t)
	for name, tt := range map[string]struct {
		s    bus.Security
		want string
	}{
		"none":                         {bus.Security{}, ""},
		"TLS alone":                    {bus.Security{TLS: true}, ""},
		"all":                          {bus.Security{TLS: true, CA: cert, Cert: cert, Key: key, Mechanism: "plain", Username: "u", Password: "p"}, ""},
		"files without TLS":            {bus.Security{CA: cert}, "set tls"},
		"half a pair":                  {bus.Security{TLS: true, Cert: cert}, "belong together"},
		"a file that is not there":     {bus.Security{TLS: true, CA: filepath.Join(t.TempDir(), "absent")}, "ca: open"},
		"a file of something else":     {bus.Security{TLS: true, CA: key}, "holds no certificate"},
		"a key for a certificate":      {bus.Security{TLS: true, Cert: key, Key: key}, "cert and key"},
		"a mechanism nobody knows":     {bus.Security{Mechanism: "KERBEROS", Username: "u", Password: "secret"}, `"KERBEROS"`},
		"a user without a mechanism":   {bus.Security{Username: "u"}, "sasl_mechanism is missing"},
		"a mechanism without a user":   {bus.Security{Mechanism: "PLAIN", Password: "secret"}, "needs sasl_username"},
		"a user without a password":    {bus.Security{Mechanism: "PLAIN", Username: "u"}, "needs sasl_username"},
		"what cannot be in a password": {bus.Security{Mechanism: "SCRAM-SHA-256", Username: "u", Password: "secret\u0007"}, "SCRAM forbids"},
	} {
		err := tt.s.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
