package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"outcry.dev/pkg/config"
)

// Security says how brokers are spoken to. The zero value is in the clear and without signing in. It can be a section of a configuration.
type Security struct {
	TLS       bool          `koanf:"tls" doc:"Whether brokers are spoken to by TLS."`
	CA        string        `koanf:"ca" doc:"Path of the certificates (PEM) of the authorities that brokers must have theirs from; empty: those of the system."`
	Cert      string        `koanf:"cert" doc:"Path of a certificate (PEM) by which Outcry shows who it is, where brokers ask for one."`
	Key       string        `koanf:"key" doc:"Path of that certificate's private key (PEM)."`
	Mechanism string        `koanf:"sasl_mechanism" doc:"How to sign in: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty not to."`
	Username  string        `koanf:"sasl_username" doc:"Whom to sign in as."`
	Password  config.Secret `koanf:"sasl_password" doc:"Password of sasl_username."`
}

// Validate reports every fault, files that cannot be read among them.
func (s Security) Validate() error {
	var faults []error
	if !s.TLS && (s.CA != "" || s.Cert != "" || s.Key != "") {
		faults = append(faults, errors.New("ca, cert and key are for TLS; set tls, or leave them out"))
	}
	if (s.Cert == "") != (s.Key == "") {
		faults = append(faults, errors.New("cert and key belong together; set both or none"))
	} else if _, err := s.tls(); err != nil {
		faults = append(faults, err)
	}
	if _, err := s.sasl(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// tls is nil where there is none.
func (s Security) tls() (*tls.Config, error) {
	if !s.TLS {
		return nil, nil //nolint:nilnil // which is how kafka-go has it
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate in PEM", s.CA)
		}
	}
	if s.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, fmt.Errorf("cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// sasl is nil where nobody signs in.
func (s Security) sasl() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		if s.Username != "" || s.Password != "" {
			return nil, errors.New("sasl_mechanism is missing; PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are there")
		}
		return nil, nil //nolint:nilnil // which is how kafka-go has it
	}
	if s.Username == "" || s.Password == "" {
		return nil, errors.New("sasl_mechanism needs sasl_username and sasl_password")
	}
	switch strings.ToUpper(s.Mechanism) {
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: s.Password.Reveal()}, nil
	case "SCRAM-SHA-256":
		return s.scram(scram.SHA256)
	case "SCRAM-SHA-512":
		return s.scram(scram.SHA512)
	}
	return nil, fmt.Errorf("sasl_mechanism is %q; PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are there", s.Mechanism)
}

func (s Security) scram(a scram.Algorithm) (sasl.Mechanism, error) {
	m, err := scram.Mechanism(a, s.Username, s.Password.Reveal())
	if err != nil { // it would tell the password
		return nil, errors.New("sasl_username or sasl_password holds characters that SCRAM forbids (RFC 4013)")
	}
	return m, nil
}

// secured is a Security that has been read.
type secured struct {
	tls  *tls.Config
	sasl sasl.Mechanism
	dial func(context.Context, string, string) (net.Conn, error) // nil for the usual one
}

// read makes a secured. What cannot be read is the error of every connection: nothing is sent in the clear instead.
func (s Security) read() secured {
	t, err := s.tls()
	m, saslErr := s.sasl()
	if err = errors.Join(err, saslErr); err != nil {
		return secured{dial: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
	}
	return secured{tls: t, sasl: m}
}
