package signin

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// sealer writes what only it could have written. It hides nothing: what is sealed is the browser's own.
type sealer struct{ key []byte }

func newSealer(secret string) sealer {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "outcry sessions", sha256.Size)
	if err != nil {
		panic(err) // only for a key of absurd length
	}
	return sealer{key}
}

type sealed struct {
	Kind  string          `json:"kind"`
	Until int64           `json:"until"` // seconds since 1970
	Value json.RawMessage `json:"value"`
}

// maxSealed is what fits into a cookie.
const maxSealed = 3800

func (s sealer) seal(kind string, v any, until time.Time) (string, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	body, err := json.Marshal(sealed{kind, until.Unix(), value})
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString(body)
	out := text + "." + base64.RawURLEncoding.EncodeToString(s.sum(text))
	if len(out) > maxSealed {
		return "", fmt.Errorf("seal: %d bytes do not fit into a cookie", len(out))
	}
	return out, nil
}

func (s sealer) open(kind, text string, into any, now time.Time) bool {
	body, seal, found := strings.Cut(text, ".")
	given, err := base64.RawURLEncoding.DecodeString(seal)
	if !found || err != nil || len(text) > maxSealed || !hmac.Equal(given, s.sum(body)) {
		return false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(body)
	var in sealed
	return err == nil && json.Unmarshal(decoded, &in) == nil && in.Kind == kind && now.Unix() < in.Until && json.Unmarshal(in.Value, into) == nil
}

func (s sealer) sum(text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
