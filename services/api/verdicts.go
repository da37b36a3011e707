package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"outcry.dev/pkg/store"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

type verdictBody struct {
	Kind string `json:"kind" enum:"dismiss,confirm,acknowledge,note" doc:"What is said of the incident."`
	Text string `json:"text,omitempty" doc:"In words; needed for a note."`
}

type verdictJSON struct {
	ID  string `json:"id" doc:"Id of what was said. It appears in the incident once its owner has heard it."`
	Who string `json:"who" doc:"Who said it: whose key it was."`
}

// say takes a person's word about an incident to whoever owns it.
func (a *API) say(w http.ResponseWriter, r *http.Request, _ *params) error {
	if a.deps.Say == nil {
		return &problem{Status: http.StatusNotImplemented, Detail: "This api runs without Kafka, and cannot take words about incidents. Set kafka.brokers, or use `outcry incidents`."}
	}
	var body verdictBody
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	v, err := a.handOn(r, body)
	if err != nil {
		return err
	}
	return writePrivate(w, http.StatusOK, verdictJSON{ID: v.GetId(), Who: v.GetWho()})
}

// handOn checks what somebody says of the incident of the path, keeps it in the audit log and takes it to the owner.
func (a *API) handOn(r *http.Request, body verdictBody) (*outcryv1.Verdict, error) {
	kind := outcryv1.Verdict_Kind(outcryv1.Verdict_Kind_value["KIND_"+strings.ToUpper(body.Kind)])
	if kind == outcryv1.Verdict_KIND_UNSPECIFIED || strings.ToLower(body.Kind) != body.Kind {
		return nil, badRequest("kind %q is none of %s.", clip(body.Kind), strings.Join(verdict.Kinds(), ", "))
	}
	id := r.PathValue("id")
	found, err := a.deps.Store.Incidents(r.Context(), store.IncidentFilter{ID: id, Limit: 1})
	if err != nil {
		return nil, err
	}
	if id == "" || len(found) == 0 {
		return nil, notFound("There is no incident %q. /v1/incidents lists all.", clip(id))
	}
	v, err := verdict.New(id, kind, callerOf(r).name(), body.Text, time.Now())
	if err != nil {
		return nil, badRequest("%s.", strings.Join(strings.Split(err.Error(), "\n"), "; "))
	}
	if err := a.audit(r, body.Kind+" incident", id); err != nil {
		return nil, err
	}
	if err := a.deps.Say(r.Context(), v); err != nil {
		return nil, errors.Join(store.ErrUnavailable, err)
	}
	return v, nil
}
