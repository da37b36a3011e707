package verdict

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Bounds of what a person may say, in bytes.
const (
	MaxID   = 100
	MaxWho  = 200
	MaxText = 2000
)

// incidentID is service and start, as pkg/incident makes them.
var incidentID = regexp.MustCompile(`^([a-z0-9]+(?:-[a-z0-9]+)*)-\d{8}T\d{4}$`)

// ServiceOf returns the service of an incident's id: "skype" of "skype-20101222T1612".
func ServiceOf(incident string) (string, error) {
	m := incidentID.FindStringSubmatch(incident)
	if m == nil || len(incident) > 200 {
		return "", fmt.Errorf("%q is no incident; an id is a service and a start, such as skype-20101222T1612", incident)
	}
	return m[1], nil
}

// Kinds are the names of what a person can say: "dismiss", "confirm", "acknowledge", "note".
func Kinds() []string {
	var names []string
	for k := outcryv1.Verdict_KIND_DISMISS; k <= outcryv1.Verdict_KIND_NOTE; k++ {
		names = append(names, k.Name())
	}
	return names
}

// New returns a verdict with an id of its own, or all that is wrong with it. at is the wall clock.
func New(incident string, kind outcryv1.Verdict_Kind, who, text string, at time.Time) (*outcryv1.Verdict, error) {
	v := &outcryv1.Verdict{Incident: incident, Kind: kind, Who: who, Text: text, AtUs: at.UnixMicro()}
	h := sha256.Sum256(fmt.Appendf(nil, "%q %d %q %q %d", incident, kind, who, text, v.AtUs))
	v.Id = hex.EncodeToString(h[:12])
	return v, Validate(v)
}

// Validate returns all faults at once.
func Validate(v *outcryv1.Verdict) error {
	var faults []error
	if _, err := ServiceOf(v.GetIncident()); err != nil {
		faults = append(faults, err)
	}
	if v.GetKind() == outcryv1.Verdict_KIND_UNSPECIFIED || outcryv1.Verdict_Kind_name[int32(v.GetKind())] == "" {
		faults = append(faults, fmt.Errorf("kind %d of a verdict; known are dismiss, confirm, acknowledge and note", v.GetKind()))
	}
	text := func(name, value string, least, most int) {
		switch {
		case len(value) < least || len(value) > most:
			faults = append(faults, fmt.Errorf("%s of a verdict has %d bytes; %d to %d fit", name, len(value), least, most))
		case !utf8.ValidString(value):
			faults = append(faults, fmt.Errorf("%s of a verdict is not UTF-8", name))
		}
	}
	least := 0
	if v.GetKind() == outcryv1.Verdict_KIND_NOTE {
		least = 1
	}
	text("id", v.GetId(), 1, MaxID)
	text("who", v.GetWho(), 1, MaxWho)
	text("text", v.GetText(), least, MaxText)
	const year2100 = 4_102_444_800_000_000
	if v.GetAtUs() <= 0 || v.GetAtUs() >= year2100 {
		faults = append(faults, fmt.Errorf("at_us of a verdict is %d; it is in microseconds since 1970", v.GetAtUs()))
	}
	return errors.Join(faults...)
}

// Send writes verdicts to the owners of their incidents and returns once the brokers have them. Faults that waiting can mend are waited
// for until ctx ends; after an error, Send with the same verdicts is safe.
func Send(ctx context.Context, b *bus.Bus, verdicts ...*outcryv1.Verdict) error {
	msgs := make([]bus.Message, 0, len(verdicts))
	for _, v := range verdicts {
		m, err := message(v)
		if err != nil {
			return err
		}
		msgs = append(msgs, m)
	}
	p, err := b.Producer(ctx, topics.Mentions)
	if err != nil {
		return err
	}
	return p.Write(ctx, msgs...)
}

func message(v *outcryv1.Verdict) (bus.Message, error) {
	if err := Validate(v); err != nil {
		return bus.Message{}, err
	}
	service, err := ServiceOf(v.GetIncident())
	if err != nil {
		return bus.Message{}, err
	}
	value, err := proto.Marshal(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Verdict{Verdict: v}})
	if err != nil {
		return bus.Message{}, fmt.Errorf("verdict on %s: %w", v.GetIncident(), err)
	}
	return bus.Message{Partition: bus.AnyPartition, Key: []byte(service), Value: value}, nil
}
