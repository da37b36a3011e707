package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// ErrUnavailable says that ClickHouse could not be reached or had no room for the moment: the same question may be answered later.
var ErrUnavailable = errors.New("clickhouse is not available")

// ErrBusy says that as many questions wait for ClickHouse as may: who asks has to come again. It is an ErrUnavailable.
var ErrBusy = fmt.Errorf("%w: too many questions wait for it", ErrUnavailable)

const (
	// maxQuestions is how many questions of readers ClickHouse has at once. More would not be answered sooner, but cost memory.
	maxQuestions = 6
	// maxWaiting is how many wait for their turn, and maxWait how long.
	maxWaiting = 200
	maxWait    = 5 * time.Second
)

// turnstile lets in as many as there is room for.
type turnstile struct {
	inside  chan struct{}
	waiting atomic.Int32
}

// enter waits for room; whoever entered leaves.
func (t *turnstile) enter(ctx context.Context) error {
	select {
	case t.inside <- struct{}{}:
		return nil
	default:
	}
	defer t.waiting.Add(-1)
	if t.waiting.Add(1) > maxWaiting {
		return ErrBusy
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case t.inside <- struct{}{}:
		return nil
	case <-timer.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turnstile) leave() { <-t.inside }

// ask runs a query. Somebody waits for the answer, so unlike query it tries again only as long as Config.Patience has it, and does not crowd
// ClickHouse.
func (s *Store) ask(ctx context.Context, what string, scan func(driver.Rows) error, query string, args ...any) error {
	if err := s.questions.enter(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer s.questions.leave()
	return s.askNow(ctx, what, scan, query, args...)
}

// askNow asks without waiting for a turn.
func (s *Store) askNow(ctx context.Context, what string, scan func(driver.Rows) error, query string, args ...any) error {
	begun := false
	err := s.askAgain(ctx, what, &begun, func() error {
		return s.queryOnce(ctx, func(rows driver.Rows) error { begun = true; return scan(rows) }, query, args...)
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && away(err), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w at %s: %w", what, ErrUnavailable, s.cfg.Address, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// LatestTime returns the end of the latest minute of event time that the tables know of, or the zero time where they know none.
// With a service it is the latest minute in which that service was mentioned.
func (s *Store) LatestTime(ctx context.Context, service string) (time.Time, error) {
	query, args := "SELECT max(minute) FROM source_minutes", []any(nil)
	if service != "" {
		query, args = "SELECT max(minute) FROM service_minutes WHERE service = ?", []any{service}
	}
	var latest time.Time
	err := s.ask(ctx, "read the latest time", func(rows driver.Rows) error { return rows.Scan(&latest) }, query, args...)
	if err != nil || latest.Unix() <= 0 { // max of nothing is 1970
		return time.Time{}, err
	}
	return latest.UTC().Add(time.Minute), nil
}

// recorded is how long after their minute the counts of a recording are written at least; what is live is written within minutes, and after a failure
// within what Kafka keeps.
const recorded = 24 * time.Hour

// Recorded reports whether what was ingested in the hour before at, a time of LatestTime, was read from a recording long afterwards, rather than heard live.
func (s *Store) Recorded(ctx context.Context, at time.Time) (bool, error) {
	var soonest int64
	err := s.ask(ctx, "read when the latest counts were written", func(rows driver.Rows) error { return rows.Scan(&soonest) },
		"SELECT min(toInt64(toUnixTimestamp(written_at)) - toInt64(toUnixTimestamp(minute))) FROM source_minutes WHERE minute >= ? AND minute < ?",
		at.Add(-time.Hour).UTC(), at.UTC())
	return soonest > int64(recorded/time.Second), err
}

// Activity is how much was said of a service.
type Activity struct {
	Service string
	// People are distinct authors of outage mentions, reposts left out.
	People int
	// Mentions of any label, reposts included.
	Mentions int
}

// Activity returns what was said of each service in [from, to), in the order of their ids, without the services that nobody mentioned.
func (s *Store) Activity(ctx context.Context, from, to time.Time) ([]Activity, error) {
	var out []Activity
	err := s.ask(ctx, "read the activity of all services", func(rows driver.Rows) error {
		var a Activity
		var people, mentions uint64
		err := rows.Scan(&a.Service, &people, &mentions)
		a.People, a.Mentions = int(people), int(mentions)
		out = append(out, a)
		return err
	}, `SELECT service, uniqExactMergeIf(people, label = 'outage' AND NOT repost), uniqExactMerge(posts)
		FROM service_minutes
		WHERE minute >= ? AND minute < ?
		GROUP BY service
		ORDER BY service`, from.UTC(), to.UTC())
	return out, err
}

// Ingested returns the number of posts of all sources in [from, to).
func (s *Store) Ingested(ctx context.Context, from, to time.Time) (int, error) {
	var posts uint64
	err := s.ask(ctx, "read how much was ingested", func(rows driver.Rows) error { return rows.Scan(&posts) },
		"SELECT sum(posts) FROM source_minutes FINAL WHERE minute >= ? AND minute < ?", from.UTC(), to.UTC())
	return int(posts), err
}

// Point is one step of a series.
type Point struct {
	// Start of the step.
	Start time.Time
	// People are distinct authors of outage mentions within the step, reposts left out.
	People int
	// Mentions of any label, reposts included.
	Mentions int
	// Ingested posts of all sources, whatever they are about.
	Ingested int
	// Expected is nil where no baseline was computed.
	Expected *Expectation
}

// Expectation is how many people a baseline expects in a step: between Lower and Upper where nothing is unusual.
type Expectation struct{ Expected, Lower, Upper float64 }

// Series returns the steps that begin in [from, to), without gaps. Step is a whole number of minutes; steps begin at its multiples
// since 1970-01-01 UTC. It reads the view service_series, which says how expectations of minutes make that of a longer step.
func (s *Store) Series(ctx context.Context, service string, from, to time.Time, step time.Duration) ([]Point, error) {
	if step < time.Minute || step%time.Minute != 0 {
		return nil, fmt.Errorf("a series has no step of %s: it must be whole minutes", step)
	}
	if !to.After(from.Truncate(step)) {
		return nil, nil
	}
	var points []Point
	err := s.ask(ctx, "read the series of "+service, func(rows driver.Rows) error {
		var p Point
		var people, mentions, ingested uint64
		var expected, lower, upper *float64
		if err := rows.Scan(&p.Start, &people, &mentions, &ingested, &expected, &lower, &upper); err != nil {
			return err
		}
		p.Start, p.People, p.Mentions, p.Ingested = p.Start.UTC(), int(people), int(mentions), int(ingested)
		if expected != nil && lower != nil && upper != nil {
			p.Expected = &Expectation{Expected: *expected, Lower: *lower, Upper: *upper}
		}
		points = append(points, p)
		return nil
	}, `SELECT time, people, mentions, ingested, expected, lower, upper
		FROM service_series(service = ?, from_unix = ?, to_unix = ?, step_seconds = ?)
		ORDER BY time`, service, from.Unix(), to.Unix(), int64(step/time.Second))
	return points, err
}

// maxAlarms bounds the answer of Alarms; a week of alarms without pause in every window has 40,320 minutes.
const maxAlarms = 50_000

// Alarms returns the windows that justify an alarm and overlap [from, to): for each length and minute the last one, shortest windows
// first, then in the order of their ends.
func (s *Store) Alarms(ctx context.Context, service string, from, to time.Time) ([]SpikeWindow, error) {
	var out []SpikeWindow
	err := s.ask(ctx, "read the alarms of "+service, func(rows driver.Rows) error {
		w := SpikeWindow{Service: service, Alarm: true}
		var seconds, history uint32
		var observed uint64
		err := rows.Scan(&w.End, &seconds, &observed, &w.Expected, &w.Lower, &w.Upper, &w.Threshold, &w.Score, &history)
		w.End, w.Window = w.End.UTC(), time.Duration(seconds)*time.Second
		w.Observed, w.HistoryMinutes = int(observed), int(history)
		out = append(out, w)
		return err
	}, `SELECT window_end, window_seconds, observed, expected, lower, upper, threshold, score, history_minutes
		FROM spike_windows FINAL
		WHERE service = ? AND alarm AND window_end > ? AND window_end < ? AND window_end - window_seconds < ?
		ORDER BY window_seconds, window_end DESC
		LIMIT 1 BY window_seconds, toStartOfMinute(window_end)
		LIMIT ?`, service, from.UTC(), to.UTC().Add(time.Hour), to.UTC(), maxAlarms)
	slices.SortFunc(out, func(a, b SpikeWindow) int {
		if a.Window != b.Window {
			return int(a.Window - b.Window)
		}
		return a.End.Compare(b.End)
	})
	return out, err
}

// IncidentKey is where an incident stands in the order of Incidents.
type IncidentKey struct {
	DetectedAtUS int64
	ID           string
}

// IncidentFilter chooses incidents; what is not set does not restrict.
type IncidentFilter struct {
	ID       string
	Services []string
	States   []outcryv1.Incident_State
	// From and To choose the incidents that lasted at some time in [From, To).
	From, To time.Time
	// Official keeps the incidents with an official word, and drops dismissed ones.
	Official bool
	// After continues behind the incident with that key.
	After *IncidentKey
	// Limit is the most that is returned, at least 1.
	Limit int
}

// Incidents returns the latest state of incidents, those detected last first, without the texts of their evidence: see EvidenceTexts.
func (s *Store) Incidents(ctx context.Context, f IncidentFilter) ([]*outcryv1.Incident, error) {
	where, args := []string{"1"}, []any(nil)
	and := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if f.ID != "" {
		and("id = ?", f.ID)
	}
	if len(f.Services) > 0 {
		and("service IN (?)", f.Services)
	}
	if len(f.States) > 0 {
		names := make([]string, len(f.States))
		for i, state := range f.States {
			names[i] = state.Name()
		}
		and("toString(state) IN (?)", names)
	}
	if !f.From.IsZero() {
		and("(resolved_at IS NULL OR resolved_at >= fromUnixTimestamp64Micro(?, 'UTC'))", f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		and("started_at < fromUnixTimestamp64Micro(?, 'UTC')", f.To.UnixMicro())
	}
	if f.Official {
		and("official_at IS NOT NULL AND state != 'dismissed'")
	}
	if f.After != nil {
		and("(toUnixTimestamp64Micro(detected_at), id) < (?, ?)", f.After.DetectedAtUS, f.After.ID)
	}
	var out []*outcryv1.Incident
	err := s.ask(ctx, "read incidents", func(rows driver.Rows) error {
		i, err := scanIncident(rows)
		out = append(out, i)
		return err
	}, `SELECT id, service, toString(state), toString(severity), started_at, detected_at, confirmed_at, recovering_at, resolved_at,
			official_at, decided_at, revision, people, peak_per_minute, expected_per_minute, symptoms, places, languages, sources, root,
			consequences, root_confidence, root_reasons, confidence, explanation, evidence, official_text, official_url, official_mention,
			reopened, coordinated, posts, copies, named, verdicts.id, verdicts.kind, verdicts.who, verdicts.text, verdicts.at
		FROM incidents FINAL
		WHERE `+strings.Join(where, " AND ")+`
		ORDER BY detected_at DESC, id DESC
		LIMIT ?`, append(args, max(1, f.Limit))...)
	return out, err
}

func scanIncident(rows driver.Rows) (*outcryv1.Incident, error) {
	i := &outcryv1.Incident{}
	var state, severity string
	var started, detected, decided time.Time
	var confirmed, recovering, resolved, official *time.Time
	var revision, people, peak, posts, copies uint64
	var reopened uint32
	var symptoms, places, languages, sources, named map[string]uint64
	var w words
	var evidence []uint64
	err := rows.Scan(&i.Id, &i.Service, &state, &severity, &started, &detected, &confirmed, &recovering, &resolved, &official, &decided,
		&revision, &people, &peak, &i.ExpectedPerMinute, &symptoms, &places, &languages, &sources, &i.Root, &i.Consequences,
		&i.RootConfidence, &i.RootReasons, &i.Confidence, &i.Explanation, &evidence, &i.OfficialText, &i.OfficialUrl, &i.OfficialMention,
		&reopened, &i.Coordinated, &posts, &copies, &named, &w.ids, &w.kinds, &w.who, &w.texts, &w.at)
	if err != nil {
		return nil, err
	}
	i.State = outcryv1.Incident_State(outcryv1.Incident_State_value["STATE_"+strings.ToUpper(state)])
	i.Severity = outcryv1.Incident_Severity(outcryv1.Incident_Severity_value["SEVERITY_"+strings.ToUpper(severity)])
	i.StartedAtUs, i.DetectedAtUs, i.DecidedAtUs = started.UnixMicro(), detected.UnixMicro(), decided.UnixMicro()
	i.ConfirmedAtUs, i.RecoveringAtUs = known(confirmed), known(recovering)
	i.ResolvedAtUs, i.OfficialAtUs = known(resolved), known(official)
	i.Revision, i.People, i.PeakPerMinute = int64(revision), int64(people), int64(peak)
	i.Reopened, i.Posts, i.Copies = int32(reopened), int64(posts), int64(copies)
	i.Named, i.Verdicts = byPeople(named), w.verdicts(i.GetId())
	i.Places, i.Languages, i.Sources = byPeople(places), byPeople(languages), byPeople(sources)
	for _, c := range byPeople(symptoms) {
		i.Symptoms = append(i.Symptoms, &outcryv1.SymptomCount{Symptom: outcryv1.ParseSymptom(c.GetName()), People: c.GetPeople()})
	}
	for _, id := range evidence {
		i.Evidence = append(i.Evidence, &outcryv1.Evidence{MentionId: id})
	}
	return i, nil
}

// LatestIncident returns the latest state of an incident with the texts of its evidence that are still there, or nil where there is no such
// incident. While ClickHouse is away it waits, until ctx ends.
func (s *Store) LatestIncident(ctx context.Context, id string) (i *outcryv1.Incident, err error) {
	err = s.patiently(ctx, "look for an earlier state", func() error {
		found, err := s.Incidents(ctx, IncidentFilter{ID: id, Limit: 1})
		if err != nil || len(found) == 0 {
			return err
		}
		i = found[0]
		return s.EvidenceTexts(ctx, i)
	})
	return i, err
}

// ResolvedIncidents returns the latest state of the incidents of a service that began at a time or before and were resolved at another or later, with
// the texts of their evidence that are still there: those detected last, at most ten. While ClickHouse is away it waits, until ctx ends.
func (s *Store) ResolvedIncidents(ctx context.Context, service string, resolvedFrom, begunUntil time.Time) (all []*outcryv1.Incident, err error) {
	err = s.patiently(ctx, "look for resolved incidents", func() (err error) {
		all, err = s.Incidents(ctx, IncidentFilter{Services: []string{service}, States: []outcryv1.Incident_State{outcryv1.Incident_STATE_RESOLVED},
			From: resolvedFrom, To: begunUntil.Add(time.Microsecond), Limit: 10})
		if err != nil {
			return err
		}
		for _, i := range all {
			if err := s.EvidenceTexts(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// known is the inverse of optional.
func known(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixMicro()
}

// byPeople is the inverse of counts, those with most people first.
func byPeople(in map[string]uint64) []*outcryv1.NameCount {
	out := make([]*outcryv1.NameCount, 0, len(in))
	for name, people := range in {
		out = append(out, &outcryv1.NameCount{Name: name, People: int64(people)})
	}
	slices.SortFunc(out, func(a, b *outcryv1.NameCount) int {
		if a.GetPeople() != b.GetPeople() {
			return int(b.GetPeople() - a.GetPeople())
		}
		return strings.Compare(a.GetName(), b.GetName())
	})
	return out
}

// Change is one entry in the history of an incident.
type Change struct {
	Revision        int64
	At              time.Time
	State, Severity string
	People          int
	Explanation     string
	// Actor is "outcry", or the person whose Verdict ("dismiss", "confirm", "acknowledge", "note") with this Note the change is.
	Actor, Verdict, Note string
}

// maxChanges bounds the answer of Changes.
const maxChanges = 1000

// Changes returns the history of an incident in its order, at most the first thousand entries.
func (s *Store) Changes(ctx context.Context, incident string) ([]Change, error) {
	var out []Change
	err := s.ask(ctx, "read the history of incident "+incident, func(rows driver.Rows) error {
		var c Change
		var revision, people uint64
		err := rows.Scan(&revision, &c.At, &c.State, &c.Severity, &people, &c.Explanation, &c.Actor, &c.Verdict, &c.Note)
		c.Revision, c.People, c.At = int64(revision), int(people), c.At.UTC()
		out = append(out, c)
		return err
	}, `SELECT revision, at, toString(state), toString(severity), people, explanation, actor, verdict, note
		FROM incident_events FINAL
		WHERE incident = ?
		ORDER BY revision
		LIMIT ?`, incident, maxChanges)
	return out, err
}

// EvidenceTexts fills in the evidence of an incident from its mention ids and drops what has expired or was withdrawn.
func (s *Store) EvidenceTexts(ctx context.Context, i *outcryv1.Incident) error {
	if len(i.GetEvidence()) == 0 {
		return nil
	}
	ids := make([]uint64, len(i.GetEvidence()))
	for n, e := range i.GetEvidence() {
		ids[n] = e.GetMentionId()
	}
	found := map[uint64]*outcryv1.Evidence{}
	// Ids alone would mean reading the whole table: it is sorted by service and time.
	from := micros(i.GetStartedAtUs()).Add(-2 * time.Hour)
	to := micros(i.GetDecidedAtUs()).Add(2 * time.Hour)
	err := s.mentions(ctx, "read the evidence of incident "+i.GetId(), func(e *outcryv1.Evidence) { found[e.GetMentionId()] = e },
		"service = ? AND toStartOfMinute(time) >= ? AND toStartOfMinute(time) <= ? AND id IN (?) AND text != ''",
		"id", len(ids), i.GetService(), from, to, ids)
	if err != nil {
		return err
	}
	i.Evidence = i.Evidence[:0]
	for _, id := range ids {
		if e := found[id]; e != nil {
			i.Evidence = append(i.Evidence, e)
		}
	}
	return nil
}

// evidenceScore is the probability from which on a mention is shown as evidence: readers judge the whole by the posts that they see.
const evidenceScore = 0.75

// LatestEvidence returns outage mentions of [from, to) of which the model is sure, reposts left out, the last one first.
func (s *Store) LatestEvidence(ctx context.Context, service string, from, to time.Time, limit int) ([]*outcryv1.Evidence, error) {
	var out []*outcryv1.Evidence
	err := s.mentions(ctx, "read the latest evidence of "+service, func(e *outcryv1.Evidence) { out = append(out, e) },
		`service = ? AND toStartOfMinute(time) >= ? AND time >= ? AND time < ?
			AND label = 'outage' AND score >= ? AND repost_of = '' AND text != ''`,
		"time DESC, id", limit, service, from.UTC().Truncate(time.Minute), from.UTC(), to.UTC(), evidenceScore)
	return out, err
}

// OfficialWords returns official mentions of [from, to), reposts left out, in the order of time: those by official accounts of the
// service, and those by others whose score is at least leastScore.
func (s *Store) OfficialWords(ctx context.Context, service string, from, to time.Time, leastScore float32, limit int) ([]*outcryv1.Evidence, error) {
	var out []*outcryv1.Evidence
	err := s.mentions(ctx, "read the official words of "+service, func(e *outcryv1.Evidence) { out = append(out, e) },
		`service = ? AND toStartOfMinute(time) >= ? AND time >= ? AND time < ?
			AND label = 'official' AND (official_author OR score >= ?) AND repost_of = '' AND text != ''`,
		"time, id", limit, service, from.UTC().Truncate(time.Minute), from.UTC(), to.UTC(), leastScore)
	return out, err
}

func (s *Store) mentions(ctx context.Context, what string, each func(*outcryv1.Evidence), where, order string, limit int, args ...any) error {
	return s.ask(ctx, what, func(rows driver.Rows) error {
		e := &outcryv1.Evidence{}
		var at time.Time
		var label, symptom string
		err := rows.Scan(&e.Source, &e.PostId, &e.Text, &e.Url, &at, &label, &symptom, &e.Score, &e.MentionId)
		e.TimeUs, e.Label, e.Symptom = at.UnixMicro(), outcryv1.ParseLabel(label), outcryv1.ParseSymptom(symptom)
		each(e)
		return err
	}, `SELECT source, post_id, text, url, time, toString(label), symptom, score, id
		FROM mentions FINAL
		WHERE `+where+`
		ORDER BY `+order+`
		LIMIT ?`, append(args, max(1, limit))...)
}

// EvidenceKey is where a mention stands in the order of EvidencePage.
type EvidenceKey struct {
	TimeUS int64
	ID     uint64
}

// EvidencePage returns the mentions of [from, to) with a label, reposts and withdrawn posts left out, the last one first, behind after.
func (s *Store) EvidencePage(ctx context.Context, service, label string, from, to time.Time, after *EvidenceKey, limit int) ([]*outcryv1.Evidence, error) {
	where, args := `service = ? AND toStartOfMinute(time) >= ? AND time >= ? AND time < ? AND label = ? AND repost_of = '' AND text != ''`,
		[]any{service, from.UTC().Truncate(time.Minute), from.UTC(), to.UTC(), label}
	if after != nil {
		where += " AND (toUnixTimestamp64Micro(time), id) < (?, ?)"
		args = append(args, after.TimeUS, after.ID)
	}
	var out []*outcryv1.Evidence
	err := s.mentions(ctx, "read the evidence of "+service, func(e *outcryv1.Evidence) { out = append(out, e) }, where, "time DESC, id DESC", limit, args...)
	return out, err
}

// Group is a part of a service's counts.
type Group struct {
	Name          string
	People, Posts int // of the whole range
	Points        []GroupPoint
}

// GroupPoint is one step of a Group.
type GroupPoint struct {
	Start         time.Time
	People, Posts int
}

// Breakdown returns the counts of a service by one of Breakdowns, those with most people first, without the steps in which there is nobody.
func (s *Store) Breakdown(ctx context.Context, service, by string, from, to time.Time, step time.Duration) ([]Group, error) {
	if !slices.Contains(Breakdowns(), by) {
		return nil, fmt.Errorf("counts cannot be broken down by %q", by)
	}
	table, _, condition := brokenDown(by)
	found := map[string]*Group{}
	err := s.ask(ctx, "break down the counts of "+service, func(rows driver.Rows) error {
		var name string
		var start time.Time
		var people, posts uint64
		var whole uint8
		if err := rows.Scan(&name, &start, &people, &posts, &whole); err != nil {
			return err
		}
		g := found[name]
		if g == nil {
			g = &Group{Name: name}
			found[name] = g
		}
		if whole == 1 {
			g.People, g.Posts = int(people), int(posts)
		} else {
			g.Points = append(g.Points, GroupPoint{start.UTC(), int(people), int(posts)})
		}
		return nil
	}, `SELECT toString(`+by+`) AS name, toDateTime(intDiv(toUnixTimestamp(minute), ?) * ?, 'UTC') AS start,
			uniqExactMerge(people), uniqExactMerge(posts), toUInt8(grouping(start)) AS whole
		FROM `+table+`
		WHERE service = ? AND minute >= ? AND minute < ? AND `+condition+`
		GROUP BY GROUPING SETS ((name, start), (name))
		ORDER BY start`, int64(step/time.Second), int64(step/time.Second), service, from.UTC(), to.UTC())
	out := make([]Group, 0, len(found))
	for _, g := range found {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b Group) int {
		if a.People != b.People {
			return b.People - a.People
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, err
}

// Silence is what nothing is known of at a moment, as the view service_status has it for the end of the data.
type Silence struct {
	// Sources that deliver nothing though they used to.
	Sources []string
	// All says that nothing else is heard: then nothing is known of services of which nobody spoke either.
	All bool
	// Services of which most posts of the seven days before came from those sources.
	Services []string
}

// Silence returns which sources are silent at a time, and what that means for services.
func (s *Store) Silence(ctx context.Context, at time.Time) (Silence, error) {
	var out Silence
	var heard uint64
	from := at.Add(-7 * 24 * time.Hour).UTC()
	err := s.ask(ctx, "look for silent sources", func(rows driver.Rows) error { return rows.Scan(&out.Sources, &heard) },
		`SELECT (SELECT arraySort(groupUniqArray(source)) FROM source_silences FINAL WHERE since < ? AND (until IS NULL OR until >= ?)) AS silent,
			(SELECT uniqExact(source) FROM source_minutes WHERE minute >= ? AND minute < ? AND posts > 0 AND NOT has(silent, source))`,
		at.UTC(), at.UTC(), from, at.UTC())
	if err != nil || len(out.Sources) == 0 {
		return out, err
	}
	out.All = heard == 0
	return out, s.ask(ctx, "look for services that are not heard", func(rows driver.Rows) error {
		var service string
		err := rows.Scan(&service)
		out.Services = append(out.Services, service)
		return err
	}, `SELECT service FROM service_minute_counts WHERE minute >= ? AND minute < ?
		GROUP BY service HAVING 2 * sumIf(posts, has(?, source)) > sum(posts) ORDER BY service`, from, at.UTC(), out.Sources)
}

// Recent returns the people complaining of each service in the steps that begin in [from, to); services of whom nobody complains are missing.
func (s *Store) Recent(ctx context.Context, services []string, from, to time.Time, step time.Duration) (map[string][]int, error) {
	out := map[string][]int{}
	n := int(to.Sub(from) / step)
	err := s.ask(ctx, "read the last hours of services", func(rows driver.Rows) error {
		var service string
		var i int64
		var people uint64
		if err := rows.Scan(&service, &i, &people); err != nil {
			return err
		}
		if out[service] == nil {
			out[service] = make([]int, n)
		}
		if i >= 0 && int(i) < n {
			out[service][i] = int(people)
		}
		return nil
	}, `SELECT service, toInt64(intDiv(toUnixTimestamp(minute) - ?, ?)) AS i, uniqExactMerge(people)
		FROM service_minutes
		WHERE service IN (?) AND minute >= ? AND minute < ? AND label = 'outage' AND NOT repost
		GROUP BY service, i`, from.Unix(), int64(step/time.Second), services, from.UTC(), to.UTC())
	return out, err
}
