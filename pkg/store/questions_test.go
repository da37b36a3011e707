package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// The views answer the questions most asked, of a day on which one service failed, one did not, and one source fell silent.
func TestQuestions(t *testing.T) {
	s, ctx := open(t, "questions"), t.Context()
	must(t, s.InsertCatalog(ctx, []store.Service{{ID: "skype", Name: "Skype"}, {ID: "viber", Name: "Viber"}, {ID: "gmail", Name: "Gmail"}}))
	var mentions []store.Mention
	for id := range uint64(10) {
		m := mention(id+1, id+1, clock(16, 50, int(id)), outcryv1.Label_LABEL_OUTAGE)
		if id >= 6 {
			m.Label, m.Service, m.Source = outcryv1.Label_LABEL_OTHER, "viber", "bluesky"
		}
		mentions = append(mentions, m)
	}
	must(t, s.InsertMentions(ctx, mentions))
	var minutes []store.SourceMinute
	for minute := range 60 {
		p := &outcryv1.Progress{FirstOffset: int64(minute)}
		at := clock(16, minute, 0).Unix() / 60
		minutes = append(minutes, store.NewSourceMinute(&outcryv1.SourceCount{Source: "twitter", Minute: at, Posts: 100}, p, 1))
		if minute <= 50 {
			minutes = append(minutes, store.NewSourceMinute(&outcryv1.SourceCount{Source: "bluesky", Minute: at, Posts: 10}, p, 1))
		}
	}
	must(t, s.InsertSourceMinutes(ctx, minutes))
	must(t, s.InsertSourceSilences(ctx, []store.SourceSilence{
		{Source: "twitter", Since: clock(3, 0, 0), UsualPerMinute: 90, Version: 1},
		{Source: "twitter", Since: clock(3, 0, 0), Until: clock(4, 0, 0), UsualPerMinute: 90, Version: 2},
		{Source: "bluesky", Since: clock(16, 51, 0), UsualPerMinute: 10, Version: 3},
	}))
	failed := incident("skype-20101222T1648", "skype", clock(16, 50, 0), outcryv1.Incident_STATE_SUSPECTED)
	failed.Revision, failed.DecidedAtUs, failed.Verdicts, failed.Coordinated = 1, clock(16, 50, 0).UnixMicro(), nil, false
	failed.OfficialAtUs, failed.OfficialText = clock(17, 20, 0).UnixMicro(), "we're on it"
	failed.Root, failed.Consequences = "", nil
	second := proto.CloneOf(failed)
	second.Revision, second.State, second.DecidedAtUs = 2, outcryv1.Incident_STATE_CONFIRMED, clock(16, 52, 0).UnixMicro()
	third := proto.CloneOf(second)
	third.Revision, third.Consequences, third.DecidedAtUs = 3, []string{"viber"}, clock(16, 53, 0).UnixMicro()
	noted := proto.CloneOf(third)
	noted.Revision, noted.DecidedAtUs = 4, clock(16, 54, 0).UnixMicro()
	noted.Verdicts = []*outcryv1.Verdict{{Id: "1", Incident: failed.Id, Kind: outcryv1.Verdict_KIND_CONFIRM, Who: "ana", Text: "me too", AtUs: 1}}
	better := proto.CloneOf(noted)
	better.Revision, better.State, better.DecidedAtUs = 5, outcryv1.Incident_STATE_RECOVERING, clock(18, 0, 0).UnixMicro()
	worse := proto.CloneOf(better)
	worse.Revision, worse.State, worse.DecidedAtUs = 6, outcryv1.Incident_STATE_CONFIRMED, clock(18, 10, 0).UnixMicro()
	over := proto.CloneOf(worse)
	over.Revision, over.State, over.DecidedAtUs = 7, outcryv1.Incident_STATE_RESOLVED, clock(19, 0, 0).UnixMicro()
	again := proto.CloneOf(over)
	again.Revision, again.State, again.DecidedAtUs, again.Reopened = 8, outcryv1.Incident_STATE_CONFIRMED, clock(19, 30, 0).UnixMicro(), 1
	joke := incident("gmail-20101215T1000", "gmail", clock(10, 0, 0).Add(-7*24*time.Hour), outcryv1.Incident_STATE_DISMISSED)
	joke.Coordinated = false
	must(t, s.InsertIncidents(ctx, []store.Incident{{Incident: failed, Version: 1}, {Incident: second, Version: 2}, {Incident: third, Version: 3},
		{Incident: noted, Verdict: noted.Verdicts[0], Version: 4},
		{Incident: better, Version: 5}, {Incident: worse, Version: 6}, {Incident: over, Version: 7}, {Incident: again, Version: 8}, {Incident: joke, Version: 1}}))

	for query, want := range map[string][]string{
		"SELECT source, ' ', if(silent, 'silent', 'heard'), ' ', ifNull(toString(silent_since), '-'), ' ', posts_last_hour FROM sources_now ORDER BY source": {
			"bluesky silent 2010-12-22 16:51:00 510", "twitter heard - 6000"},
		"SELECT service, ' ', status, ' ', incident, ' ', round(silent_share, 1) FROM service_status ORDER BY service": {
			"gmail ok  0", "skype confirmed skype-20101222T1648 0", "viber unknown  1"},
		"SELECT service, ' ', people, ' ', mentions, ' ', state FROM top_services_now": {"skype 6 6 confirmed", "viber 0 4 "},
		"SELECT toString(at, 'UTC'), ' ', what, ' ', actor, ' ', detail FROM incident_timeline WHERE incident LIKE 'skype%' ORDER BY at": {
			"2010-12-22 16:48:00.000000 started  first unusual minute; 1.4 people a minute were expected",
			"2010-12-22 16:50:00.000000 suspected outcry what was seen",
			"2010-12-22 16:52:00.000000 confirmed outcry what was seen",
			"2010-12-22 16:53:00.000000 carried along outcry viber",
			"2010-12-22 16:54:00.000000 confirm ana me too",
			"2010-12-22 17:20:00.000000 official  we're on it",
			"2010-12-22 18:00:00.000000 recovering outcry what was seen",
			"2010-12-22 18:10:00.000000 worse again outcry what was seen",
			"2010-12-22 19:00:00.000000 resolved outcry what was seen",
			"2010-12-22 19:30:00.000000 reopened outcry what was seen"},
		"SELECT reopened FROM incidents_current WHERE service = 'skype'":                                                                                  {"1"},
		"SELECT service, ' ', incidents, ' ', first, ' ', second, ' ', ifNull(toString(median_lead_minutes), '-') FROM lead_times":                        {"skype 1 1 0 30"},
		"SELECT toString(week), ' ', incidents, ' ', dismissed, ' ', confirmed_by_people, ' ', acknowledged_by_operators FROM weekly_false_alarms":        {"2010-12-13 1 1 0 0", "2010-12-20 1 0 1 1"},
		"SELECT service, ' ', complaints, ' ', mentions, ' ', read, ' ', per_mention, ' ', round(per_million_read) FROM complaint_rates ORDER BY service": {"skype 6 6 6510 1 922", "viber 0 4 6510 0 0"},
	} {
		if diff := cmp.Diff(want, rows(t, s, query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	if got := rows(t, s, `SELECT table, ' ', name FROM system.columns WHERE database = currentDatabase() AND comment = '' AND table IN
		('sources_now', 'service_status', 'top_services_now', 'incident_timeline', 'lead_times', 'weekly_false_alarms', 'complaint_rates')`); len(got) > 0 {
		t.Errorf("columns without a comment: %v", got)
	}
}
