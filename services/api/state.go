package api

import (
	"time"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// state of a service.
type state string

const (
	stateOK         state = "ok"
	stateSuspected  state = "suspected"
	stateOutage     state = "outage"
	stateRecovering state = "recovering"
	stateUnknown    state = "unknown"
)

// rank orders states by how much they matter to a reader.
func (s state) rank() int {
	switch s {
	case stateOutage:
		return 4
	case stateSuspected:
		return 3
	case stateRecovering:
		return 2
	case stateUnknown:
		return 1
	default:
		return 0
	}
}

// silence after which what is not heard is unknown rather than ok.
const silence = 15 * time.Minute

// incidentState is what an incident meant for its service at a moment, as far as its times tell.
func incidentState(i *outcryv1.Incident, at time.Time) state {
	us := at.UnixMicro()
	before := func(t int64) bool { return t != 0 && t <= us }
	switch {
	case i.GetState() == outcryv1.Incident_STATE_DISMISSED, !before(i.GetDetectedAtUs()), before(i.GetResolvedAtUs()):
		return stateOK
	case us >= i.GetDecidedAtUs(): // nothing has changed since
		switch i.GetState() {
		case outcryv1.Incident_STATE_CONFIRMED:
			return stateOutage
		case outcryv1.Incident_STATE_RECOVERING:
			return stateRecovering
		case outcryv1.Incident_STATE_RESOLVED:
			return stateOK
		default:
			return stateSuspected
		}
	case before(i.GetRecoveringAtUs()):
		return stateRecovering
	case before(i.GetConfirmedAtUs()):
		return stateOutage
	default:
		return stateSuspected
	}
}
