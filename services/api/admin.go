package api

import (
	"encoding/json"
	"net/http"
	"time"

	"outcry.dev/pkg/store"
)

type keyJSON struct {
	ID        string    `json:"id" doc:"First characters of the key."`
	Name      string    `json:"name" doc:"Who has it."`
	Scopes    []string  `json:"scopes" doc:"What it opens."`
	CreatedAt time.Time `json:"created_at"`
	Revoked   bool      `json:"revoked" doc:"It is valid no more."`
	Secret    string    `json:"secret,omitempty" doc:"The key itself, once: when it is made."`
}

func newKeyJSON(k store.Key) keyJSON {
	return keyJSON{ID: k.ID, Name: k.Name, Scopes: k.Scopes, CreatedAt: k.CreatedAt, Revoked: k.Revoked}
}

type keysJSON struct {
	Keys []keyJSON `json:"keys"`
}

type newKeyBody struct {
	Name   string   `json:"name" doc:"Who gets it."`
	Scopes []string `json:"scopes" doc:"read, evidence, act or admin."`
}

type keyPath struct {
	ID string `path:"id" doc:"First characters of the key."`
}

type auditJSON struct {
	Entries []auditEntryJSON `json:"entries" doc:"The latest first."`
}

type auditEntryJSON struct {
	At      time.Time `json:"at"`
	Actor   string    `json:"actor" doc:"Who did it."`
	Action  string    `json:"action" doc:"What was done."`
	Subject string    `json:"subject" doc:"To what."`
	Address string    `json:"address" doc:"Where the request came from."`
}

// audit writes down what somebody is about to do; where that cannot be written, it is not done.
func (a *API) audit(r *http.Request, action, subject string) error {
	c := callerOf(r)
	return a.deps.Store.Audit(r.Context(), store.AuditEntry{At: time.Now(), Actor: c.name(), Action: action, Subject: subject, Address: c.address})
}

func (a *API) listKeys(w http.ResponseWriter, r *http.Request, _ *params) error {
	keys, err := a.deps.Store.Keys(r.Context())
	if err != nil {
		return err
	}
	out := keysJSON{Keys: []keyJSON{}}
	for _, k := range keys {
		out.Keys = append(out.Keys, newKeyJSON(k))
	}
	return writePrivate(w, http.StatusOK, out)
}

func (a *API) addKey(w http.ResponseWriter, r *http.Request, _ *params) error {
	var body newKeyBody
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	now := time.Now()
	key, secret, err := NewKey(body.Name, body.Scopes, now)
	if err != nil {
		return badRequest("%s.", err)
	}
	if err := a.audit(r, "add key", key.ID+" "+key.Name); err != nil {
		return err
	}
	if err := a.deps.Store.PutKey(r.Context(), key, now); err != nil {
		return err
	}
	a.keys.forget()
	out := newKeyJSON(key)
	out.Secret = secret
	return writePrivate(w, http.StatusOK, out)
}

func (a *API) revokeKey(w http.ResponseWriter, r *http.Request, _ *params) error {
	id := r.PathValue("id")
	if err := a.audit(r, "revoke key", clip(id)); err != nil {
		return err
	}
	if err := RevokeKey(r.Context(), a.deps.Store, id, time.Now()); err != nil {
		return notFound("There is no key %q. GET /v1/keys lists all.", clip(id))
	}
	a.keys.forget()
	return writePrivate(w, http.StatusOK, keyJSON{ID: id, Revoked: true, Scopes: []string{}})
}

func (a *API) auditLog(w http.ResponseWriter, r *http.Request, _ *params) error {
	entries, err := a.deps.Store.AuditLog(r.Context(), 1000)
	if err != nil {
		return err
	}
	out := auditJSON{Entries: []auditEntryJSON{}}
	for _, e := range entries {
		out.Entries = append(out.Entries, auditEntryJSON(e))
	}
	return writePrivate(w, http.StatusOK, out)
}

const maxBody = 64 << 10

// readBody reads JSON without unknown fields.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest("The body is not the JSON that is expected here: %s.", clip(err.Error()))
	}
	return nil
}

// writePrivate writes what no cache may keep.
func writePrivate(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(v)
}
