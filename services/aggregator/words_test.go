package aggregator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"outcry.dev/pkg/topics"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func verdictOn(t *testing.T, incident string, kind outcryv1.Verdict_Kind, who, text string) *outcryv1.Verdict {
	t.Helper()
	v, err := verdict.New(incident, kind, who, text, time.UnixMicro(start))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// tale is a log of one partition that is written while stages read it.
type tale struct {
	*site
	log [][]*outcryv1.MentionRecord
}

func newTale(t *testing.T, name string) *tale {
	return &tale{newSite(t, startBroker(t), fmt.Sprintf("%s_%d", name, rand.Uint64()), 1), [][]*outcryv1.MentionRecord{nil}}
}

func (s *tale) tell(records ...*outcryv1.MentionRecord) {
	s.log[0] = append(s.log[0], records...)
	s.write([][]*outcryv1.MentionRecord{records}, 1, 0)
}

func (s *tale) advance(to int64) {
	s.tell(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: &outcryv1.Progress{PostsPartitions: 1, WatermarkUs: to}}})
}

// outage has sixty people complain within five minutes.
func (s *tale) outage(first uint64, at int64) {
	for id := range uint64(60) {
		s.tell(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: outageMention(first+id, at+int64(id)*5*second)}})
	}
}

// through waits until all of it is worked through.
func (s *tale) through() {
	s.t.Helper()
	eventually(s.t, "the stage is through", func() bool { return s.caughtUp(s.log) })
}

// What people say of an incident counts once, however often it is delivered and whoever owns the partition then: of one that is open, and
// of one that was closed long ago, which only the tables know.
func TestVerdicts(t *testing.T) {
	s := newTale(t, "verdicts")
	s.advance(start - 600*minute)
	s.outage(1, start)
	s.advance(start + 5*minute)
	stop := s.stage(DefaultConfig())
	s.through()
	id := s.rows("SELECT id FROM incidents_current")[0]

	say := func(v *outcryv1.Verdict) {
		if err := verdict.Send(t.Context(), s.bus, v, v); err != nil { // a writer that does not know whether it arrived
			t.Fatal(err)
		}
		s.log[0] = append(s.log[0], nil, nil)
		s.through()
	}
	say(verdictOn(t, id, outcryv1.Verdict_KIND_NOTE, "ana", "looks real"))
	say(verdictOn(t, "nobody-20101222T1600", outcryv1.Verdict_KIND_DISMISS, "ana", ""))
	stop()
	stop = s.stage(DefaultConfig()) // another owner
	say(verdictOn(t, id, outcryv1.Verdict_KIND_NOTE, "ana", "looks real"))
	s.advance(start + 600*minute)
	s.outage(1001, start+700*minute) // after which the tables alone know the first
	s.advance(start + 1300*minute)
	s.through()
	say(verdictOn(t, id, outcryv1.Verdict_KIND_DISMISS, "bo", "a test of their own"))
	stop()
	stop = s.stage(DefaultConfig())
	say(verdictOn(t, id, outcryv1.Verdict_KIND_NOTE, "cy", "so it was"))
	say(verdictOn(t, id, outcryv1.Verdict_KIND_DISMISS, "bo", "a test of their own"))
	stop()

	got := s.rows("SELECT state, ' ', actor, ' ', verdict, ' ', note FROM incident_events FINAL WHERE actor != 'outcry' ORDER BY revision")
	want := []string{"confirmed ana note looks real", "dismissed bo dismiss a test of their own", "dismissed cy note so it was"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("what people did (-want +got):\n%s", diff)
	}
	got = s.rows("SELECT state, ' ', toString(verdicts.kind), ' ', if(resolved_at > detected_at, 'ended', 'open') FROM incidents_current WHERE id = '" + id + "'")
	if diff := gocmp.Diff([]string{"dismissed ['note','dismiss','note'] ended"}, got); diff != "" {
		t.Errorf("the incident (-want +got):\n%s", diff)
	}
	r, err := s.bus.Reader(t.Context(), topics.Incidents, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var last outcryv1.Incident
	var revision int64
	for msgs, err := r.Fetch(t.Context()); len(msgs) > 0 || err != nil; msgs, err = r.Fetch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			var i outcryv1.Incident
			if err := proto.Unmarshal(m.Value, &i); err != nil {
				t.Fatal(err)
			}
			if i.GetId() != id {
				continue
			}
			proto.Reset(&last)
			proto.Merge(&last, &i)
			if last.GetRevision() < revision || last.GetRevision() > revision+1 {
				t.Errorf("revision %d after %d on incidents.v1", last.GetRevision(), revision)
			}
			revision = last.GetRevision()
		}
	}
	if last.GetState() != outcryv1.Incident_STATE_DISMISSED || len(last.GetVerdicts()) != 3 || len(last.GetEvidence()) == 0 {
		t.Errorf("on incidents.v1 it is %s with %d verdicts and %d posts of evidence", last.GetState().Name(), len(last.GetVerdicts()), len(last.GetEvidence()))
	}
}

// What is withdrawn when an incident is long over, and the tables alone know it, is withdrawn from incidents.v1 too: the incident is told once more, as the
// same revision, with the rest of its evidence.
func TestWithdrawnAfterwards(t *testing.T) {
	s := newTale(t, "withdrawn")
	withdraw := func(r *outcryv1.Retraction) {
		s.tell(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Retraction{Retraction: r}})
	}
	s.advance(start - 600*minute)
	s.outage(1, start)
	s.advance(start + 600*minute)
	s.outage(1001, start+700*minute)
	s.advance(start + 1300*minute)
	stop := s.stage(DefaultConfig())
	s.through()
	first := s.rows("SELECT id FROM incidents_current ORDER BY started_at")[0]
	before := s.told()[first]
	if before.GetState() != outcryv1.Incident_STATE_RESOLVED || len(before.GetEvidence()) < 3 {
		t.Fatalf("the first incident is %v with %d posts of evidence", before.GetState(), len(before.GetEvidence()))
	}
	stop()
	stop = s.stage(DefaultConfig()) // another owner
	post, account := before.GetEvidence()[0], before.GetEvidence()[1]
	withdraw(&outcryv1.Retraction{Source: post.GetSource(), PostId: post.GetPostId(), Revision: 1 << 60, TimeUs: start + 1300*minute})
	withdraw(&outcryv1.Retraction{Source: account.GetSource(), Author: account.GetMentionId(), TimeUs: start + 1300*minute})
	withdraw(&outcryv1.Retraction{Source: "elsewhere", PostId: before.GetEvidence()[2].GetPostId(), Revision: 1 << 60, TimeUs: start + 1300*minute})
	s.advance(start + 1301*minute)
	s.through()
	stop()
	after := s.told()[first]
	if after.GetRevision() != before.GetRevision() {
		t.Errorf("revision %d, and %d before: what is told again must not look like news", after.GetRevision(), before.GetRevision())
	}
	before.Evidence = before.Evidence[2:]
	if diff := gocmp.Diff(before, after, protocmp.Transform()); diff != "" {
		t.Errorf("what incidents.v1 says (-want +got):\n%s", diff)
	}
}

// An operator takes its word back, or its account goes, when the incident is over: long ago, when the tables alone know it, soon afterwards, when it could be
// reopened, and before the word was written at all. The word and its address go, from tables and incidents.v1; when it was said stays.
func TestOfficialWordWithdrawnAfterwards(t *testing.T) {
	s := newTale(t, "official_withdrawn")
	said := func(id uint64, at int64) {
		m := outageMention(id, at)
		m.Label, m.OfficialAuthor, m.Text, m.Url = outcryv1.Label_LABEL_OFFICIAL, true, fmt.Sprint("we are aware, says ", id), fmt.Sprint("https://example.com/", id)
		s.tell(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: m}})
	}
	withdraw := func(r *outcryv1.Retraction) {
		r.Source = "twitter"
		s.tell(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Retraction{Retraction: r}})
	}
	outage := func(first uint64, at int64) {
		s.outage(first, at)
		s.advance(at + 20*minute)
	}
	s.advance(start - 600*minute)
	outage(1, start)
	said(501, start+20*minute)
	outage(1001, start+700*minute)
	said(502, start+720*minute)
	outage(2001, start+1400*minute)
	said(503, start+1420*minute)
	outage(3001, start+2100*minute)
	s.advance(start + 2800*minute)
	outage(4001, start+2900*minute)
	said(505, start+2920*minute)
	s.advance(start + 3050*minute) // resolved, and could be reopened
	stop := s.stage(DefaultConfig())
	s.through()
	stop()
	stop = s.stage(DefaultConfig()) // another owner
	before := s.told()
	withdraw(&outcryv1.Retraction{PostId: "p501", Revision: 1 << 60, TimeUs: start + 3050*minute})
	withdraw(&outcryv1.Retraction{Author: 502, TimeUs: start + 3050*minute})
	withdraw(&outcryv1.Retraction{Author: 503, TimeUs: start + 1420*minute - 1}) // it said that afterwards
	withdraw(&outcryv1.Retraction{PostId: "p505", Revision: 1 << 60, TimeUs: start + 3050*minute})
	said(504, start+2120*minute)
	s.advance(start + 3051*minute)
	withdraw(&outcryv1.Retraction{PostId: "p504", Revision: 1 << 60, TimeUs: start + 3051*minute})
	s.advance(start + 3052*minute)
	s.through()
	stop()

	got := s.rows(fmt.Sprintf(`SELECT state, ' ', toString(ifNull(intDiv(toUnixTimestamp64Micro(official_at) - %d, 60000000), -1)), ' ', official_text, ' ', official_url
		FROM incidents_current ORDER BY started_at`, start))
	want := []string{"resolved 20  ", "resolved 720  ", "resolved 1420 we are aware, says 503 https://example.com/503", "resolved 2120  ", "resolved 2920  "}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("incidents (-want +got):\n%s", diff)
	}
	revisions := map[string]int64{}
	for id, i := range s.told() {
		revisions[fmt.Sprint((i.GetOfficialAtUs()-start)/minute)] = i.GetRevision() - before[id].GetRevision()
		if said503 := i.GetOfficialAtUs() == start+1420*minute; (i.GetOfficialText() != "") != said503 || (i.GetOfficialUrl() != "") != said503 {
			t.Errorf("incidents.v1 still says %q of %s", i.GetOfficialText()+i.GetOfficialUrl(), id)
		}
	}
	// The last one's machine is still there, and says so; the fourth was acknowledged.
	if diff := gocmp.Diff(map[string]int64{"20": 0, "720": 0, "1420": 0, "2120": 1, "2920": 1}, revisions); diff != "" {
		t.Errorf("revisions more than before (-want +got):\n%s", diff)
	}
}

// What an operator had said of an outage is read when the outage is over: soon afterwards, when the owner before had died, and so long afterwards that another
// incident has come and gone, and the tables alone know it. It is its official word, once, and nothing is opened again.
func TestAcknowledgedAfterwards(t *testing.T) {
	s := newTale(t, "acknowledged")
	said := func(id uint64, at int64) {
		m := outageMention(id, at)
		m.Label, m.OfficialAuthor, m.Text = outcryv1.Label_LABEL_OFFICIAL, true, fmt.Sprint("we are aware, says ", id)
		s.tell(&outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: m}})
	}
	restart := func(stop func()) func() {
		s.through()
		stop()
		return s.stage(DefaultConfig())
	}
	s.advance(start - 600*minute)
	s.outage(1, start)
	stop := s.stage(DefaultConfig())
	s.advance(start + 150*minute) // resolved, and could be reopened
	stop = restart(stop)
	said(501, start+20*minute)
	s.advance(start + 151*minute)
	stop = restart(stop)
	if got := s.rows(fmt.Sprintf("SELECT concat(state, ' ', official_text) FROM incidents_current WHERE official_at = fromUnixTimestamp64Micro(%d, 'UTC')", start+20*minute)); len(got) != 1 || got[0] != "resolved we are aware, says 501" {
		t.Errorf("soon afterwards the incident is %q", got)
	}
	s.outage(1001, start+400*minute)
	s.advance(start + 700*minute)
	s.outage(2001, start+900*minute)
	s.advance(start + 905*minute) // the third is open
	stop = restart(stop)
	said(502, start+10*minute)  // of the first, and earlier than what is known
	said(503, start+30*minute)  // later
	said(504, start+410*minute) // of the second
	said(505, start+250*minute) // of none
	s.advance(start + 907*minute)
	stop = restart(stop)
	said(502, start+10*minute) // told again
	s.advance(start + 908*minute)
	s.through()
	stop()

	got := s.rows(fmt.Sprintf(`SELECT state, ' ', toString(ifNull(intDiv(toUnixTimestamp64Micro(official_at) - %d, 60000000), -1)), ' ', official_text, ' ', toString(reopened), ' ',
		toString(ifNull(lead_seconds * 1000000 = toUnixTimestamp64Micro(official_at) - toUnixTimestamp64Micro(detected_at), 0)) FROM incidents_current ORDER BY started_at`, start))
	want := []string{"resolved 10 we are aware, says 502 0 1", "resolved 410 we are aware, says 504 0 1", "confirmed -1  0 0"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("incidents (-want +got):\n%s", diff)
	}
	if got := s.rows("SELECT max(n) FROM (SELECT count() AS n FROM incident_events FINAL GROUP BY incident, revision)"); got[0] != "1" {
		t.Errorf("a revision was written %s times", got[0])
	}
	published := map[string]int64{}
	r, err := s.bus.Reader(t.Context(), topics.Incidents, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for msgs, err := r.Fetch(t.Context()); len(msgs) > 0 || err != nil; msgs, err = r.Fetch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range msgs {
			var i outcryv1.Incident
			if err := proto.Unmarshal(m.Value, &i); err != nil {
				t.Fatal(err)
			}
			published[i.GetId()] = i.GetOfficialAtUs()
		}
	}
	for _, row := range s.rows("SELECT concat(id, ' ', toString(ifNull(toUnixTimestamp64Micro(official_at), 0))) FROM incidents_current") {
		id, at, _ := strings.Cut(row, " ")
		if fmt.Sprint(published[id]) != at {
			t.Errorf("%s: the official word is at %s in the tables, at %d on incidents.v1", id, at, published[id])
		}
	}
}
