package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// fresh names a database that no earlier run of a test has used.
func fresh(name string) string { return fmt.Sprintf("%s_%d", name, rand.Uint64()) }

// rows returns the rows of a query, one line each.
func rows(t *testing.T, s *store.Store, query string) (out []string) {
	t.Helper()
	must(t, s.Query(t.Context(), query, func([]string) error { return nil }, func(values []any) error {
		out = append(out, fmt.Sprint(values...))
		return nil
	}))
	return out
}

func since(t *testing.T, s *store.Store, partition int, before int64, at time.Time, services ...string) (out []store.Mention) {
	t.Helper()
	must(t, s.MentionsSince(t.Context(), partition, before, at.UnixMicro(), services, func(m store.Mention) { out = append(out, m) }))
	return out
}

func full(id uint64) store.Mention {
	m := mention(id, 100+id, clock(16, 0, 0).Add(time.Duration(id)*time.Second+123*time.Microsecond), outcryv1.Label_LABEL_OUTAGE)
	m.ModelVersion, m.Lang, m.ReplyTo, m.RepostOf, m.Place = "v7", "de", "r1", "p0", "Oslo"
	m.OfficialAuthor, m.TextFingerprint, m.Revision, m.Partition, m.Offset = true, 1<<63+id, 3, 5, int64(1000+id)
	m.Also, m.Places = []string{"msn-messenger"}, []string{"no/oslo", "no"}
	m.CountedAtUS = m.GetTimeUs() + 7
	return m
}

func TestMentionsComeBackAsWritten(t *testing.T) {
	s := open(t, "mentions_round_trip")
	want := []store.Mention{full(1), full(2)}
	for range 3 { // every insert may be repeated
		must(t, s.InsertMentions(t.Context(), want))
	}
	if diff := cmp.Diff(want, since(t, s, 5, 2000, clock(16, 0, 0)), protocmp.Transform()); diff != "" {
		t.Errorf("mentions (-want +got):\n%s", diff)
	}
	if got := rows(t, s, "SELECT count() FROM mentions_current"); got[0] != "2" {
		t.Errorf("%s current mentions, want 2", got)
	}
	if got := rows(t, s, "SELECT people, ' ', posts FROM service_minute_counts"); len(got) != 1 || got[0] != "2 2" {
		t.Errorf("people and posts: %v, want 2 2", got)
	}
	one, err := s.Delivered(t.Context(), 5, 1002, "p1", 1)
	if diff := cmp.Diff(&want[0], one, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("earlier delivery (%v, -want +got):\n%s", err, diff)
	}
	for _, absent := range []struct {
		before int64
		post   string
		id     uint64
	}{{1001, "p1", 1}, {2000, "p2", 1}, {2000, "p1", 2}} {
		if m, err := s.Delivered(t.Context(), 5, absent.before, absent.post, absent.id); m != nil || err != nil {
			t.Errorf("%v: delivered %v, %v; want nothing", absent, m, err)
		}
	}
}

// A mention that comes late counts behind those that were in time, and by id, as the decisions take it; what another partition delivered, what
// was delivered later, and what counts in no decision is left out.
func TestMentionsSinceAreInTheOrderOfDecisions(t *testing.T) {
	s := open(t, "mentions_since")
	row := func(id uint64, at, counted time.Time, offset int64, service string) store.Mention {
		m := mention(id, id, at, outcryv1.Label_LABEL_OUTAGE)
		m.CountedAtUS, m.Offset, m.Service, m.Partition = counted.UnixMicro(), offset, service, 2
		return m
	}
	step := clock(16, 0, 10)
	never := row(7, step, step, 7, "skype")
	never.CountedAtUS = 0
	elsewhere := row(8, step, step, 8, "skype")
	elsewhere.Partition = 3
	must(t, s.InsertMentions(t.Context(), []store.Mention{
		row(1, step.Add(2*time.Second), step, 1, "skype"),
		row(9, clock(15, 58, 0), step, 2, "skype"),
		row(4, clock(15, 59, 0), step, 3, "gmail"),
		row(3, clock(15, 57, 0), clock(16, 0, 20), 4, "skype"),
		row(5, clock(15, 59, 59), clock(15, 59, 50), 5, "skype"), // before
		row(6, step, step, 60, "skype"),                          // delivered later
		never, elsewhere,
	}))
	ids := func(list []store.Mention) (out []uint64) {
		for _, m := range list {
			out = append(out, m.GetId())
		}
		return out
	}
	if got, want := ids(since(t, s, 2, 60, clock(16, 0, 0))), []uint64{4, 9, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("mentions %v, want %v", got, want)
	}
	if got, want := ids(since(t, s, 2, 61, clock(15, 0, 0), "skype", "viber")), []uint64{5, 6, 9, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("mentions of two services %v, want %v", got, want)
	}
}

func TestTheHighestRevisionIsCurrent(t *testing.T) {
	s := open(t, "revisions")
	first := mention(1, 101, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)
	edit := store.Mention{Mention: proto.CloneOf(first.Mention), CountedAtUS: first.CountedAtUS}
	edit.Revision, edit.Text = 2, "edited"
	tooLate := first // delivered again when it counts in no decision any more
	tooLate.CountedAtUS = 0
	for _, m := range []store.Mention{first, edit, tooLate, first} {
		must(t, s.InsertMentions(t.Context(), []store.Mention{m}))
	}
	if got := rows(t, s, "SELECT text FROM mentions_current"); len(got) != 1 || got[0] != "edited" {
		t.Errorf("texts are %q, want the edited one alone", got)
	}
	again := open(t, "revisions_late")
	for _, m := range []store.Mention{first, tooLate} {
		must(t, again.InsertMentions(t.Context(), []store.Mention{m}))
	}
	if got := since(t, again, 0, 10, clock(15, 0, 0)); len(got) != 1 || got[0].CountedAtUS != first.CountedAtUS {
		t.Errorf("mentions that count: %v, want the first delivery", got)
	}
}

// The text goes and the counts stay, whatever is delivered again and in whatever order withdrawals come.
func TestWithdrawnTextsStayAway(t *testing.T) {
	s, ctx := open(t, "withdrawn"), t.Context()
	texts := func() []string {
		return rows(t, s, "SELECT post_id, ' ', text, url FROM mentions_current ORDER BY id")
	}
	var list []store.Mention
	for id := uint64(1); id <= 4; id++ {
		m := mention(id, 100+id, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)
		m.Text, m.Url = fmt.Sprint("text ", id), ""
		list = append(list, m)
	}
	other := list[0]
	other.Mention = proto.CloneOf(other.Mention)
	other.Id, other.Service = 11, "gmail" // the same post names it too
	must(t, s.InsertMentions(ctx, append(list, other)))
	counts := "SELECT service, ' ', people, ' ', posts FROM service_minute_counts ORDER BY service"
	before := rows(t, s, counts)
	const all = 1 << 60
	withdraw := func(r ...*outcryv1.Retraction) { must(t, s.Withdraw(ctx, r)) }
	for range 2 {
		// An edit and a delete in one batch: the delete reaches further, wherever it stands.
		withdraw(&outcryv1.Retraction{Source: "twitter", PostId: "p1", Revision: 0}, &outcryv1.Retraction{Source: "twitter", PostId: "p1", Revision: all},
			&outcryv1.Retraction{Source: "twitter", PostId: "p1", Revision: 1}, &outcryv1.Retraction{Source: "mastodon", PostId: "p2", Revision: all},
			&outcryv1.Retraction{Source: "twitter", PostId: "p3", Revision: 1}, &outcryv1.Retraction{Source: "twitter", PostId: "unknown'); --", Revision: all})
	}
	if diff := cmp.Diff([]string{"p1 ", "p2 text 2", "p3 ", "p4 text 4", "p1 "}, texts()); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	must(t, s.InsertMentions(ctx, append(list, other))) // delivered again
	edit := list[2]
	edit.Mention = proto.CloneOf(edit.Mention)
	edit.Revision, edit.Text = 1, "an edit that was withdrawn"
	must(t, s.InsertMentions(ctx, []store.Mention{edit}))
	if diff := cmp.Diff([]string{"p1 ", "p2 text 2", "p3 ", "p4 text 4", "p1 "}, texts()); diff != "" {
		t.Errorf("texts after a repeated delivery (-want +got):\n%s", diff)
	}
	edit.Revision, edit.Text = 2, "a later edit"
	must(t, s.InsertMentions(ctx, []store.Mention{edit}))
	withdraw(&outcryv1.Retraction{Source: "twitter", PostId: "p3", Revision: 1})
	if got := texts()[2]; got != "p3 a later edit" {
		t.Errorf("the text after a later edit is %q", got)
	}
	withdraw(&outcryv1.Retraction{Source: "twitter", PostId: "p3", Revision: all})
	if got := texts()[2]; got != "p3 " {
		t.Errorf("the text after the delete of the later edit is %q", got)
	}
	if diff := cmp.Diff(before, rows(t, s, counts)); diff != "" {
		t.Errorf("counts changed (-before +after):\n%s", diff)
	}
	for _, m := range since(t, s, 0, 1, clock(15, 0, 0)) {
		if m.GetPostId() == "p1" && (m.CountedAtUS != list[0].CountedAtUS || m.GetAuthor() != 101) {
			t.Errorf("a withdrawn mention counts as %v", m)
		}
	}
}

// An account goes: the texts of all its posts up to then, of that network alone, and nothing else of them.
func TestWithdrawnAccounts(t *testing.T) {
	s, ctx := open(t, "withdrawn_accounts"), t.Context()
	var list []store.Mention
	for id := uint64(1); id <= 5; id++ {
		m := mention(id, 100, clock(16, int(id), 0), outcryv1.Label_LABEL_OUTAGE)
		m.Text, m.Also, m.Places = fmt.Sprint("text ", id), []string{"gmail"}, []string{"no"}
		list = append(list, m)
	}
	list[1].Author, list[2].Source, list[4].Revision = 200, "mastodon", 7
	must(t, s.InsertMentions(ctx, list))
	counts := "SELECT service, ' ', people, ' ', posts FROM service_minute_counts ORDER BY minute, source"
	before := rows(t, s, counts)
	until := list[3].GetTimeUs()
	gone := []*outcryv1.Retraction{{Source: "twitter", Author: 100, TimeUs: until}, {Source: "twitter", PostId: "p2", Revision: 1 << 60}, {Source: "x", Author: 7, TimeUs: until}}
	want := []string{"1 ", "2 ", "3 text 3", "4 ", "5 text 5"}
	for range 2 {
		must(t, s.Withdraw(ctx, gone))
		if diff := cmp.Diff(want, rows(t, s, "SELECT id, ' ', text FROM mentions_current ORDER BY id")); diff != "" {
			t.Errorf("texts (-want +got):\n%s", diff)
		}
		must(t, s.InsertMentions(ctx, list)) // delivered again
	}
	gone[0].TimeUs = list[4].GetTimeUs()
	must(t, s.Withdraw(ctx, gone))
	if got := rows(t, s, "SELECT text, url, also[1], places[1] FROM mentions_current WHERE source = 'twitter' ORDER BY id"); len(got) != 4 || got[3] != "gmailno" || got[0] != "gmailno" {
		t.Errorf("what is left: %q", got)
	}
	if diff := cmp.Diff(before, rows(t, s, counts)); diff != "" {
		t.Errorf("counts changed (-before +after):\n%s", diff)
	}
}

// What is held of a network is what was not withdrawn: by text or by address, each post once, and in parts.
func TestHeldPosts(t *testing.T) {
	s, ctx := open(t, "held"), t.Context()
	var list []store.Mention
	for id := uint64(1); id <= 7; id++ {
		m := mention(id, id, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)
		m.Source, m.PostId, m.Text, m.Url = "x", fmt.Sprint("p", id), "", fmt.Sprint("https://x.com/i/status/", id)
		list = append(list, m)
	}
	list[1].Id, list[1].PostId, list[1].Service = 8, "p1", "gmail" // the same post names it too
	list[2].Source = "mastodon"
	list[3].Text, list[3].Url = "text", ""
	list[4].Url = "" // nothing but an id
	must(t, s.InsertMentions(ctx, list))
	held := func(after string, most int, want ...string) {
		t.Helper()
		got, err := s.HeldPosts(ctx, "x", after, most)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("held after %q: %v\n%s", after, err, diff)
		}
	}
	held("", 10, "p1", "p4", "p6", "p7")
	held("", 2, "p1", "p4")
	held("p4", 2, "p6", "p7")
	held("p7", 2)
	must(t, s.Withdraw(ctx, []*outcryv1.Retraction{{Source: "x", PostId: "p1", Revision: 1 << 60}, {Source: "x", PostId: "p7", Revision: 1 << 60}}))
	must(t, s.InsertMentions(ctx, list)) // delivered again
	held("", 10, "p4", "p6")
}

// More withdrawals than fit one statement.
func TestManyWithdrawals(t *testing.T) {
	s := open(t, "many_withdrawals")
	var list []store.Mention
	var posts []*outcryv1.Retraction
	for id := range uint64(2500) {
		list = append(list, mention(id, id, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE))
		if id != 1700 {
			posts = append(posts, &outcryv1.Retraction{Source: "twitter", PostId: fmt.Sprint("p", id), Revision: 0})
		}
	}
	must(t, s.InsertMentions(t.Context(), list))
	must(t, s.Withdraw(t.Context(), posts))
	if got := rows(t, s, "SELECT id FROM mentions_current WHERE text != ''"); len(got) != 1 || got[0] != "1700" {
		t.Errorf("%d texts are left, want that of 1700", len(got))
	}
}

// Rows of one key replace each other by version, in whatever order they come.
func TestVersions(t *testing.T) {
	s, ctx := open(t, "versions"), t.Context()
	progress := &outcryv1.Progress{PostsPartition: 1, FirstOffset: 50}
	sources := func(posts int64, version uint64) {
		must(t, s.InsertSourceMinutes(ctx, []store.SourceMinute{store.NewSourceMinute(
			&outcryv1.SourceCount{Source: "twitter", Minute: 20_000_000, Posts: posts, Deletes: 2, Unreadable: 1}, progress, version)}))
	}
	sources(7, 2)
	sources(9, 1)
	sources(7, 2)
	progress = &outcryv1.Progress{PostsPartition: 1, FirstOffset: 60}
	sources(3, 1)
	if got := rows(t, s, "SELECT posts, ' ', deletes, ' ', unreadable FROM source_minute_counts"); len(got) != 1 || got[0] != "10 4 2" {
		t.Errorf("posts, deletes, unreadable: %v, want 10 4 2", got)
	}

	window := func(observed int, version uint64) store.SpikeWindow {
		return store.SpikeWindow{Service: "skype", End: clock(16, 0, 0), Window: time.Minute, Observed: observed, Version: version}
	}
	for _, w := range []store.SpikeWindow{window(5, 1), window(6, 3), window(4, 2)} {
		must(t, s.InsertSpikeWindows(ctx, []store.SpikeWindow{w}))
	}
	if got := rows(t, s, "SELECT observed FROM spike_windows FINAL"); len(got) != 1 || got[0] != "6" {
		t.Errorf("observed: %v, want 6", got)
	}

	change := func(revision int64, people int64, version uint64) store.Incident {
		i := incident("skype-1", "skype", clock(16, 0, 0), outcryv1.Incident_STATE_SUSPECTED)
		i.Revision, i.People = revision, people
		return store.Incident{Incident: i, Version: version}
	}
	// Two flushes of two changes each, and a superseded owner that comes last.
	must(t, s.InsertIncidents(ctx, []store.Incident{change(1, 10, 2<<32|1), change(2, 20, 2<<32|2)}))
	must(t, s.InsertIncidents(ctx, []store.Incident{change(3, 30, 2<<32|3), change(4, 40, 2<<32|4)}))
	must(t, s.InsertIncidents(ctx, []store.Incident{change(4, 99, 1<<32|4), change(5, 98, 1<<32|5)}))
	if got := rows(t, s, "SELECT revision, ' ', people FROM incidents_current"); len(got) != 1 || got[0] != "4 40" {
		t.Errorf("the incident stands at %v, want revision 4 with 40 people", got)
	}
	if got, want := rows(t, s, "SELECT revision, ' ', people FROM incident_events FINAL WHERE revision <= 4 ORDER BY revision"),
		[]string{"1 10", "2 20", "3 30", "4 40"}; !slices.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
}

func TestStates(t *testing.T) {
	s, ctx := open(t, "states"), t.Context()
	row := func(service, state string, next int64, version uint64) store.State {
		return store.State{Partition: 3, Service: service, NextOffset: next, State: []byte(state), Version: version}
	}
	must(t, s.InsertState(ctx, []store.State{row("", "old", 5, 1), row("b", "b old", 5, 1), row("a", "\x00\xff binary", 5, 1)}))
	must(t, s.InsertState(ctx, []store.State{row("", "new", 9, 1<<63), row("b", "b new", 9, 1<<63)}))
	must(t, s.InsertState(ctx, []store.State{row("", "superseded", 7, 2)}))
	must(t, s.InsertState(ctx, []store.State{{Partition: 4, State: []byte("another partition"), Version: 1}}))
	got, err := s.States(ctx, 3)
	must(t, err)
	want := []store.State{row("", "new", 9, 1<<63), row("a", "\x00\xff binary", 5, 1), row("b", "b new", 9, 1<<63)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if got, err := s.States(ctx, 9); err != nil || len(got) > 0 {
		t.Errorf("states of a partition that has none: %v, %v", got, err)
	}
}

// A row that the table cannot hold is an error at once: waiting would not mend it.
func TestUnfitRowIsAnError(t *testing.T) {
	s := open(t, "unfit")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ok := mention(1, 1, clock(16, 0, 0), outcryv1.Label_LABEL_OUTAGE)
	for name, label := range map[string]outcryv1.Label{"no label": 0, "a label of a later version": 77} {
		bad := mention(2, 2, clock(16, 0, 0), label)
		if err := s.InsertMentions(ctx, []store.Mention{ok, bad}); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v, want an error at once", name, err)
		}
	}
	if got := rows(t, s, "SELECT count() FROM mentions"); got[0] != "0" {
		t.Errorf("%s rows of a refused insert are there", got)
	}
}
