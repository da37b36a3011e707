package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

var quiet = slog.New(slog.DiscardHandler)

var server *clickhouse.Server

func TestMain(m *testing.M) {
	clickhouse.RunIfChild()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "outcry-store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	server, err = clickhouse.Start(ctx, clickhouse.Config{DataDir: dir}, quiet)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Close()
	return m.Run()
}

// open gives a store with a database of its own.
func open(t *testing.T, database string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{Address: server.Addr(), HTTPAddress: server.HTTPAddr(), Username: server.User(), Password: server.Password(), Database: fresh(database)}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

var day = time.Date(2010, 12, 22, 0, 0, 0, 0, time.UTC)

func clock(hour, minute, second int) time.Time {
	return day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second)
}

func mention(id, author uint64, at time.Time, label outcryv1.Label) store.Mention {
	return store.Mention{Mention: &outcryv1.Mention{
		Id: id, Service: "skype", Label: label, Score: 0.9, Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, Source: "twitter",
		PostId: fmt.Sprint("p", id), Author: author, TimeUs: at.UnixMicro(), Text: fmt.Sprintf("skype is down, says %d; it's bad", id),
		Url: fmt.Sprintf("https://twitter.com/i/status/%d", id),
	}, CountedAtUS: at.UnixMicro()}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSeriesCountsPeopleOnceAStep(t *testing.T) {
	s, ctx := open(t, "series"), t.Context()
	repost := mention(5, 104, clock(16, 13, 30), outcryv1.Label_LABEL_OUTAGE)
	repost.RepostOf = "p1"
	other := mention(7, 107, clock(16, 12, 0), outcryv1.Label_LABEL_OUTAGE)
	other.Service = "viber"
	mentions := []store.Mention{
		mention(1, 101, clock(16, 12, 10), outcryv1.Label_LABEL_OUTAGE),
		mention(2, 101, clock(16, 12, 50), outcryv1.Label_LABEL_OUTAGE), // the same person within the minute
		mention(3, 102, clock(16, 12, 59), outcryv1.Label_LABEL_OUTAGE),
		mention(4, 101, clock(16, 13, 1), outcryv1.Label_LABEL_OUTAGE), // the same person in the next minute
		repost,
		mention(6, 105, clock(16, 13, 40), outcryv1.Label_LABEL_OTHER),
		other,
	}
	must(t, s.InsertMentions(ctx, mentions))
	must(t, s.InsertMentions(ctx, mentions[:3])) // delivered again
	minute := clock(16, 12, 0).Unix() / 60
	progress := &outcryv1.Progress{FirstOffset: 7}
	must(t, s.InsertSourceMinutes(ctx, []store.SourceMinute{
		store.NewSourceMinute(&outcryv1.SourceCount{Source: "twitter", Minute: minute, Posts: 40}, progress, 1),
		store.NewSourceMinute(&outcryv1.SourceCount{Source: "twitter", Minute: minute, Posts: 40}, progress, 2),
		store.NewSourceMinute(&outcryv1.SourceCount{Source: "bluesky", Minute: minute, Posts: 2}, progress, 1),
		store.NewSourceMinute(&outcryv1.SourceCount{Source: "twitter", Minute: minute + 1, Posts: 50}, progress, 1),
	}))
	must(t, s.InsertSpikeWindows(ctx, []store.SpikeWindow{
		{Service: "skype", End: clock(16, 13, 0), Window: time.Minute, Expected: 2, Lower: 0, Upper: 5, Version: 1},
		{Service: "skype", End: clock(16, 13, 20), Window: time.Minute, Expected: 100, Upper: 200, Alarm: true, Version: 1}, // between minutes
		{Service: "skype", End: clock(16, 14, 0), Window: time.Minute, Expected: 2, Lower: 0, Upper: 6, Version: 1},
		{Service: "skype", End: clock(16, 14, 0), Window: 5 * time.Minute, Expected: 50, Upper: 60, Version: 1},
	}))

	byMinute, err := s.Series(ctx, "skype", clock(16, 11, 0), clock(16, 15, 0), time.Minute)
	must(t, err)
	want := []store.Point{
		{Start: clock(16, 11, 0)},
		{Start: clock(16, 12, 0), People: 2, Mentions: 3, Ingested: 42, Expected: &store.Expectation{Expected: 2, Lower: 0, Upper: 5}},
		{Start: clock(16, 13, 0), People: 1, Mentions: 3, Ingested: 50, Expected: &store.Expectation{Expected: 2, Lower: 0, Upper: 6}},
		{Start: clock(16, 14, 0)},
	}
	if diff := cmp.Diff(want, byMinute); diff != "" {
		t.Errorf("by minute (-want +got):\n%s", diff)
	}

	byTwo, err := s.Series(ctx, "skype", clock(16, 12, 0), clock(16, 13, 0), 2*time.Minute)
	must(t, err)
	want = []store.Point{{Start: clock(16, 12, 0), People: 2, Mentions: 6, Ingested: 92, Expected: &store.Expectation{Expected: 4, Lower: 4 - 2.8284271247461903, Upper: 9}}}
	if diff := cmp.Diff(want, byTwo); diff != "" {
		t.Errorf("by two minutes (-want +got):\n%s", diff)
	}

	byFive, err := s.Series(ctx, "skype", clock(16, 12, 0), clock(16, 15, 0), 5*time.Minute)
	must(t, err)
	if len(byFive) != 1 || !byFive[0].Start.Equal(clock(16, 10, 0)) || byFive[0].People != 2 || byFive[0].Expected.Expected != 10 {
		t.Errorf("by five minutes, of which two have a baseline: %+v", byFive)
	}

	if _, err := s.Series(ctx, "skype", day, day.Add(time.Hour), 90*time.Second); err == nil {
		t.Error("a step of 90 s was accepted")
	}
	if points, err := s.Series(ctx, "skype", clock(1, 0, 0), clock(0, 0, 0), time.Minute); err != nil || points != nil {
		t.Errorf("an empty range: %v, %v", points, err)
	}
}

func TestActivityAndLatestTimeAreOfEventTime(t *testing.T) {
	s, ctx := open(t, "activity"), t.Context()
	if latest, err := s.LatestTime(ctx, ""); err != nil || !latest.IsZero() {
		t.Errorf("latest time without data: %v, %v", latest, err)
	}
	viber := mention(9, 200, clock(17, 0, 0), outcryv1.Label_LABEL_COMPLAINT)
	viber.Service = "viber"
	must(t, s.InsertMentions(ctx, []store.Mention{
		mention(1, 101, clock(15, 0, 0), outcryv1.Label_LABEL_OUTAGE),
		mention(2, 101, clock(16, 10, 0), outcryv1.Label_LABEL_OUTAGE),
		mention(3, 101, clock(16, 50, 0), outcryv1.Label_LABEL_OUTAGE),
		mention(4, 102, clock(16, 50, 0), outcryv1.Label_LABEL_BUG),
		viber,
	}))
	must(t, s.InsertSourceMinutes(ctx, []store.SourceMinute{
		store.NewSourceMinute(&outcryv1.SourceCount{Source: "twitter", Minute: clock(18, 30, 0).Unix() / 60, Posts: 3}, &outcryv1.Progress{}, 1)}))

	got, err := s.Activity(ctx, clock(16, 0, 0), clock(17, 1, 0))
	must(t, err)
	want := []store.Activity{{Service: "skype", People: 1, Mentions: 3}, {Service: "viber", Mentions: 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("activity (-want +got):\n%s", diff)
	}
	for service, want := range map[string]time.Time{"": clock(18, 31, 0), "skype": clock(16, 51, 0), "viber": clock(17, 1, 0), "x": {}} {
		if got, err := s.LatestTime(ctx, service); err != nil || !got.Equal(want) {
			t.Errorf("latest time of %q: %v, %v; want %v", service, got, err, want)
		}
	}
	if n, err := s.Ingested(ctx, clock(18, 0, 0), clock(19, 0, 0)); err != nil || n != 3 {
		t.Errorf("ingested: %d, %v", n, err)
	}
}

func TestAlarms(t *testing.T) {
	s, ctx := open(t, "alarms"), t.Context()
	row := func(end time.Time, window time.Duration, alarm bool, score float64) store.SpikeWindow {
		return store.SpikeWindow{Service: "skype", End: end, Window: window, Alarm: alarm, Score: score, Observed: 9, Expected: 1, Upper: 4, Threshold: 6, HistoryMinutes: 60, Version: 1}
	}
	must(t, s.InsertSpikeWindows(ctx, []store.SpikeWindow{
		row(clock(16, 13, 10), time.Minute, true, 5),
		row(clock(16, 13, 20), time.Minute, true, 6), // the last of its minute
		row(clock(16, 13, 30), time.Minute, false, 2),
		row(clock(16, 14, 0), time.Minute, true, 7),
		row(clock(16, 15, 0), 5*time.Minute, true, 8),
		row(clock(18, 0, 0), time.Minute, true, 9), // begins at the end of the range
	}))
	got, err := s.Alarms(ctx, "skype", clock(16, 0, 0), clock(17, 59, 0))
	must(t, err)
	want := []store.SpikeWindow{row(clock(16, 13, 20), time.Minute, true, 6), row(clock(16, 14, 0), time.Minute, true, 7), row(clock(16, 15, 0), 5*time.Minute, true, 8)}
	for i := range want {
		want[i].Version = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
}

func incident(id, service string, detected time.Time, state outcryv1.Incident_State) *outcryv1.Incident {
	i := &outcryv1.Incident{
		Id: id, Service: service, State: state, Severity: outcryv1.Incident_SEVERITY_MAJOR,
		StartedAtUs: detected.Add(-2 * time.Minute).UnixMicro(), DetectedAtUs: detected.UnixMicro(), ConfirmedAtUs: detected.Add(time.Minute).UnixMicro(),
		DecidedAtUs: detected.Add(2 * time.Hour).UnixMicro(), OfficialAtUs: detected.Add(time.Hour).UnixMicro(), Revision: 4, People: 4100, PeakPerMinute: 311, ExpectedPerMinute: 1.4,
		Symptoms:  []*outcryv1.SymptomCount{{Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, People: 3000}, {Symptom: outcryv1.Symptom_SYMPTOM_CALLS, People: 20}},
		Places:    []*outcryv1.NameCount{{Name: "London", People: 12}, {Name: "Oslo", People: 12}},
		Languages: []*outcryv1.NameCount{{Name: "en", People: 4000}}, Sources: []*outcryv1.NameCount{{Name: "twitter", People: 4100}},
		Consequences: []string{"viber"}, Confidence: 0.97, Explanation: "what was seen", OfficialText: "we're investigating", OfficialUrl: "https://twitter.com/Skype/1", OfficialMention: 77,
		RootConfidence: 0.8, RootReasons: []string{"viber depends on skype"}, Reopened: 2, Coordinated: true, Posts: 5000, Copies: 700,
		Named: []*outcryv1.NameCount{{Name: "viber", People: 7}},
		Verdicts: []*outcryv1.Verdict{
			{Id: "v1", Incident: id, Kind: outcryv1.Verdict_KIND_ACKNOWLEDGE, Who: "ana", AtUs: detected.UnixMicro()},
			{Id: "v2", Incident: id, Kind: outcryv1.Verdict_KIND_NOTE, Who: "bo", Text: "their status page says so", AtUs: detected.UnixMicro() + 1},
		},
	}
	if state == outcryv1.Incident_STATE_RESOLVED {
		i.ResolvedAtUs = i.DecidedAtUs
	}
	return i
}

func TestIncidentsComeBackAsWritten(t *testing.T) {
	s, ctx := open(t, "incidents"), t.Context()
	first := incident("skype-20101222T1612", "skype", clock(16, 14, 0), outcryv1.Incident_STATE_RESOLVED)
	second := incident("viber-20101222T1700", "viber", clock(17, 2, 0), outcryv1.Incident_STATE_CONFIRMED)
	third := incident("skype-20101222T2200", "skype", clock(22, 2, 0), outcryv1.Incident_STATE_SUSPECTED)
	third.ConfirmedAtUs, third.OfficialAtUs = 0, 0
	stale := incident(first.GetId(), "skype", clock(16, 14, 0), outcryv1.Incident_STATE_SUSPECTED)
	stale.Revision, stale.DecidedAtUs = 1, clock(16, 14, 0).UnixMicro()
	must(t, s.InsertIncidents(ctx, []store.Incident{
		{Incident: first, Version: 2}, {Incident: stale, Version: 1},
		{Incident: second, Version: 1}, {Incident: third, Verdict: third.Verdicts[1], Version: 1},
	}))

	type filter = store.IncidentFilter
	for name, test := range map[string]struct {
		filter filter
		want   []*outcryv1.Incident
	}{
		"all, latest first": {filter{Limit: 10}, []*outcryv1.Incident{third, second, first}},
		"a page":            {filter{Limit: 1}, []*outcryv1.Incident{third}},
		"the next page":     {filter{Limit: 10, After: &store.IncidentKey{DetectedAtUS: third.DetectedAtUs, ID: third.Id}}, []*outcryv1.Incident{second, first}},
		"by id":             {filter{Limit: 10, ID: first.Id}, []*outcryv1.Incident{first}},
		"by service":        {filter{Limit: 10, Services: []string{"skype"}}, []*outcryv1.Incident{third, first}},
		"by state":          {filter{Limit: 10, States: []outcryv1.Incident_State{outcryv1.Incident_STATE_SUSPECTED, outcryv1.Incident_STATE_CONFIRMED}}, []*outcryv1.Incident{third, second}},
		"by time":           {filter{Limit: 10, From: clock(18, 0, 0), To: clock(18, 20, 0)}, []*outcryv1.Incident{second, first}},
		"after it resolved": {filter{Limit: 10, From: clock(18, 30, 0), To: clock(21, 0, 0)}, []*outcryv1.Incident{second}},
		"a quote":           {filter{Limit: 10, ID: `' OR 1=1 --`}, nil},
		"a placeholder":     {filter{Limit: 10, Services: []string{`?`, `\`}}, nil},
	} {
		got, err := s.Incidents(ctx, test.filter)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	changes, err := s.Changes(ctx, first.GetId())
	must(t, err)
	want := []store.Change{
		{Revision: 1, At: clock(16, 14, 0), State: "suspected", Severity: "major", People: 4100, Explanation: "what was seen", Actor: "outcry"},
		{Revision: 4, At: clock(18, 14, 0), State: "resolved", Severity: "major", People: 4100, Explanation: "what was seen", Actor: "outcry"},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	changes, err = s.Changes(ctx, third.GetId())
	if must(t, err); len(changes) != 1 || changes[0].Actor != "bo" || changes[0].Verdict != "note" || changes[0].Note != "their status page says so" {
		t.Errorf("a person's change is %+v", changes)
	}
	latest, err := s.LatestIncident(ctx, second.GetId())
	if diff := cmp.Diff(second, latest, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("latest state (%v, -want +got):\n%s", err, diff)
	}
	if latest, err = s.LatestIncident(ctx, "nobody-20101222T1612"); latest != nil || err != nil {
		t.Errorf("an unknown incident is %v (%v)", latest, err)
	}
}

func TestEvidenceIsGoneOnceWithdrawn(t *testing.T) {
	s, ctx := open(t, "evidence"), t.Context()
	reposted := mention(4, 104, clock(16, 15, 0), outcryv1.Label_LABEL_OUTAGE)
	reposted.RepostOf = "p1"
	official := mention(6, 106, clock(17, 1, 0), outcryv1.Label_LABEL_OFFICIAL)
	official.OfficialAuthor, official.Score = true, 0.5
	unsure := mention(7, 107, clock(17, 2, 0), outcryv1.Label_LABEL_OFFICIAL)
	unsure.Score = 0.5
	must(t, s.InsertMentions(ctx, []store.Mention{
		mention(1, 101, clock(16, 13, 0), outcryv1.Label_LABEL_OUTAGE),
		mention(2, 102, clock(16, 14, 0), outcryv1.Label_LABEL_OUTAGE),
		mention(3, 103, clock(16, 14, 30), outcryv1.Label_LABEL_OUTAGE),
		reposted,
		mention(5, 105, clock(17, 0, 0), outcryv1.Label_LABEL_OFFICIAL),
		official,
		unsure,
	}))
	must(t, s.Withdraw(ctx, []*outcryv1.Retraction{{Source: "twitter", PostId: "p2"}}))

	i := incident("skype-20101222T1612", "skype", clock(16, 14, 0), outcryv1.Incident_STATE_CONFIRMED)
	for _, id := range []uint64{3, 2, 1, 999} {
		i.Evidence = append(i.Evidence, &outcryv1.Evidence{MentionId: id})
	}
	must(t, s.EvidenceTexts(ctx, i))
	evidence := func(id, at int64, label outcryv1.Label) *outcryv1.Evidence {
		return &outcryv1.Evidence{Source: "twitter", PostId: fmt.Sprint("p", id), Text: fmt.Sprintf("skype is down, says %d; it's bad", id),
			Url: fmt.Sprintf("https://twitter.com/i/status/%d", id), TimeUs: at, Label: label, Symptom: outcryv1.Symptom_SYMPTOM_LOGIN, Score: 0.9, MentionId: uint64(id)}
	}
	one := evidence(1, clock(16, 13, 0).UnixMicro(), outcryv1.Label_LABEL_OUTAGE)
	three := evidence(3, clock(16, 14, 30).UnixMicro(), outcryv1.Label_LABEL_OUTAGE)
	if diff := cmp.Diff([]*outcryv1.Evidence{three, one}, i.Evidence, protocmp.Transform()); diff != "" {
		t.Errorf("evidence of the incident (-want +got):\n%s", diff)
	}

	latest, err := s.LatestEvidence(ctx, "skype", clock(16, 0, 0), clock(17, 0, 0), 10)
	must(t, err)
	if diff := cmp.Diff([]*outcryv1.Evidence{three, one}, latest, protocmp.Transform()); diff != "" {
		t.Errorf("latest evidence (-want +got):\n%s", diff)
	}
	words, err := s.OfficialWords(ctx, "skype", clock(16, 0, 0), clock(18, 0, 0), 0.7, 10)
	must(t, err)
	six := evidence(6, clock(17, 1, 0).UnixMicro(), outcryv1.Label_LABEL_OFFICIAL)
	six.Score = 0.5
	want := []*outcryv1.Evidence{evidence(5, clock(17, 0, 0).UnixMicro(), outcryv1.Label_LABEL_OFFICIAL), six}
	if diff := cmp.Diff(want, words, protocmp.Transform()); diff != "" {
		t.Errorf("official words (-want +got):\n%s", diff)
	}
}

func TestQuestionsFailAtOnceWhileClickHouseIsAway(t *testing.T) {
	s, err := store.Open(store.Config{Address: "127.0.0.1:1"}, quiet)
	must(t, err)
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Activity(ctx, day, day.Add(time.Hour)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want one that is ErrUnavailable", err)
	}
	if err := s.Query(ctx, "SELECT 1", nil, nil); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want one that is ErrUnavailable", err)
	}
	if ctx.Err() != nil {
		t.Error("it waited until its context ended")
	}
}
