package store

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// Mention is a row of mentions.
type Mention struct {
	*outcryv1.Mention
	// CountedAtUS is the event time in microseconds from which the mention counts in decisions; 0 where it came too late for any.
	CountedAtUS int64
	// Partition and Offset of the first delivery in mentions.v1.
	Partition int
	Offset    int64
}

// SourceMinute is a row of source_minutes.
type SourceMinute struct {
	outcry         *outcryv1.SourceCount
	PostsPartition int
	FirstOffset    int64
	Version        uint64
	// WrittenAt is of the wall clock; zero stands for the time of the insert.
	WrittenAt time.Time
}

// NewSourceMinute returns the row for one count of a Progress record.
func NewSourceMinute(c *outcryv1.SourceCount, p *outcryv1.Progress, version uint64) SourceMinute {
	return SourceMinute{outcry: c, PostsPartition: int(p.GetPostsPartition()), FirstOffset: p.GetFirstOffset(), Version: version}
}

// SourceSilence is a row of source_silences.
type SourceSilence struct {
	Source string
	// Since is the first minute without a post; Until the first with one again, zero while the silence lasts.
	Since, Until   time.Time
	UsualPerMinute float64
	Version        uint64
}

// SpikeWindow is a row of spike_windows.
type SpikeWindow struct {
	Service        string
	End            time.Time
	Window         time.Duration
	Observed       int
	Expected       float64
	Lower, Upper   float64
	Threshold      float64
	Score          float64
	Alarm          bool
	HistoryMinutes int
	// StandardError of Observed, relative to it; 0 where it was counted one by one.
	StandardError float64
	Version       uint64
}

// Incident is a row of incidents and of incident_events.
type Incident struct {
	*outcryv1.Incident
	// Verdict is the word of the person who made the change, nil where Outcry made it.
	Verdict *outcryv1.Verdict
	Version uint64
}

// State is a row of aggregator_state.
type State struct {
	Partition  int
	Service    string
	NextOffset int64
	State      []byte
	Version    uint64
}

// InsertMentions writes evidence; the counts in service_minutes follow by themselves.
func (s *Store) InsertMentions(ctx context.Context, rows []Mention) error {
	return insert(ctx, s, `mentions (service, time, id, label, score, symptom, model_version, source, post_id, author, text, lang, url,
		reply_to, repost_of, place, official_author, text_fingerprint, also, places, revision, counted_at, mentions_partition, mentions_offset, version)`,
		rows, func(b driver.Batch, m *Mention) error {
			return b.Append(m.GetService(), micros(m.GetTimeUs()), m.GetId(), m.GetLabel().Name(), m.GetScore(), m.GetSymptom().Name(),
				m.GetModelVersion(), m.GetSource(), m.GetPostId(), m.GetAuthor(), m.GetText(), m.GetLang(), m.GetUrl(), m.GetReplyTo(),
				m.GetRepostOf(), m.GetPlace(), m.GetOfficialAuthor(), m.GetTextFingerprint(), list(m.GetAlso()), list(m.GetPlaces()), m.GetRevision(), micros(m.CountedAtUS),
				uint16(m.Partition), m.Offset, mentionVersion(m))
		})
}

// mentionVersion orders the rows of one mention: a higher revision wins; within a revision the withdrawal (Withdraw sets its bit); then
// what counts in decisions over a repeated delivery that came too late for any.
func mentionVersion(m *Mention) uint64 {
	v := uint64(max(m.GetRevision(), 0)) << 2
	if m.CountedAtUS > 0 {
		v |= 1
	}
	return v
}

// Withdraw removes the text of the mentions of posts, up to a revision of each, and of accounts, up to a time. The counts stay, and a later
// delivery of such a revision does not bring the text back.
func (s *Store) Withdraw(ctx context.Context, retractions []*outcryv1.Retraction) error {
	var posts, accounts []*outcryv1.Retraction
	for _, r := range retractions {
		if r.GetAuthor() != 0 {
			accounts = append(accounts, r)
		} else {
			posts = append(posts, r)
		}
	}
	if err := s.withdrawAccounts(ctx, accounts); err != nil {
		return err
	}
	posts = farthest(posts)
	for len(posts) > 0 {
		n := min(len(posts), 1000)
		sources, ids, revisions := make([]string, n), make([]string, n), make([]int64, n)
		for i, r := range posts[:n] {
			sources[i], ids[i], revisions[i] = r.GetSource(), r.GetPostId(), r.GetRevision()
		}
		posts = posts[n:]
		err := s.exec(ctx, "withdraw texts", `
			INSERT INTO mentions (service, time, id, label, score, symptom, model_version, source, post_id, author, text, lang, url,
				reply_to, repost_of, place, official_author, text_fingerprint, also, places, revision, counted_at, mentions_partition, mentions_offset,
				received_at, version)
			WITH indexOf(arrayZip(?, ?), (m.source, m.post_id)) AS place_in_list, arrayElement(?, place_in_list) AS up_to,
				toUInt64(bitShiftLeft(toUInt64(up_to), 2) + 2 + (m.counted_at > toDateTime64(0, 6, 'UTC'))) AS withdrawn
			SELECT service, time, id, label, score, symptom, model_version, source, post_id, author, '', lang, '',
				reply_to, repost_of, m.place, official_author, text_fingerprint, also, m.places, revision, counted_at, mentions_partition, mentions_offset,
				received_at, withdrawn
			FROM mentions AS m FINAL
			WHERE post_id IN (?) AND place_in_list > 0 AND revision <= up_to AND m.version < withdrawn`, sources, ids, revisions, ids)
		if err != nil {
			return err
		}
	}
	return nil
}

// withdrawAccounts removes the text of all mentions of authors up to a time.
func (s *Store) withdrawAccounts(ctx context.Context, accounts []*outcryv1.Retraction) error {
	for len(accounts) > 0 {
		n := min(len(accounts), 1000)
		sources, authors, until := make([]string, n), make([]uint64, n), make([]int64, n)
		for i, r := range accounts[:n] {
			sources[i], authors[i], until[i] = r.GetSource(), r.GetAuthor(), r.GetTimeUs()
		}
		accounts = accounts[n:]
		err := s.exec(ctx, "withdraw the texts of accounts", `
			INSERT INTO mentions (service, time, id, label, score, symptom, model_version, source, post_id, author, text, lang, url,
				reply_to, repost_of, place, official_author, text_fingerprint, also, places, revision, counted_at, mentions_partition, mentions_offset,
				received_at, version)
			SELECT service, time, id, label, score, symptom, model_version, source, post_id, author, '', lang, '',
				reply_to, repost_of, place, official_author, text_fingerprint, also, places, revision, counted_at, mentions_partition, mentions_offset,
				received_at, bitOr(version, 2)
			FROM mentions AS m FINAL
			WHERE author IN (?) AND (text != '' OR url != '') AND arrayExists((s, a, t) -> s = m.source AND a = m.author AND toUnixTimestamp64Micro(m.time) <= t, ?, ?, ?)`,
			authors, sources, authors, until)
		if err != nil {
			return err
		}
	}
	return nil
}

// WithdrawOfficial takes the official word from incidents that are over where retractions withdraw its post, of the services whose mentions are in one partition of
// mentions.v1. When it was said stays. While ClickHouse is away it waits, until ctx ends.
func (s *Store) WithdrawOfficial(ctx context.Context, partition int, retractions []*outcryv1.Retraction) error {
	for chunk := range slices.Chunk(retractions, 1000) {
		withdrawn, args := withdrawnBy(partition, chunk)
		// The version stays, and of rows of one version the last one counts: to whoever reads them nothing has happened.
		err := s.exec(ctx, "withdraw official words", `
			INSERT INTO incidents
			SELECT * REPLACE ('' AS official_text, '' AS official_url)
			FROM incidents AS i FINAL
			WHERE i.state IN ('resolved', 'dismissed') AND (i.official_text != '' OR i.official_url != '') AND i.official_mention IN (`+withdrawn+`)`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// ClosedIncidentsOf returns the ids, in order, of the incidents that are over and have shown posts that retractions withdraw, as evidence or as the official word, of
// the services whose mentions are in one partition of mentions.v1. While ClickHouse is away it waits, until ctx ends.
func (s *Store) ClosedIncidentsOf(ctx context.Context, partition int, retractions []*outcryv1.Retraction) (ids []string, err error) {
	for chunk := range slices.Chunk(retractions, 1000) {
		withdrawn, args := withdrawnBy(partition, chunk)
		var found []string
		err := s.query(ctx, "look for closed incidents that show what is withdrawn", func() { found = nil }, func(rows driver.Rows) error {
			var id string
			err := rows.Scan(&id)
			found = append(found, id)
			return err
		}, `WITH (SELECT groupUniqArray(id) FROM (`+withdrawn+`)) AS withdrawn
			SELECT id FROM incidents FINAL WHERE state IN ('resolved', 'dismissed') AND (hasAny(evidence, withdrawn) OR has(withdrawn, official_mention)) ORDER BY id`, args...)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// withdrawnBy is the query for the ids of the mentions that retractions withdraw, of whatever revision, and its arguments.
func withdrawnBy(partition int, retractions []*outcryv1.Retraction) (query string, args []any) {
	postSources, posts := []string{""}, []string{""} // never empty: an empty list is no SQL
	accountSources, authors, until := []string{""}, []uint64{0}, []int64{0}
	for _, r := range retractions {
		if r.GetAuthor() != 0 {
			accountSources, authors, until = append(accountSources, r.GetSource()), append(authors, r.GetAuthor()), append(until, r.GetTimeUs())
			continue
		}
		postSources, posts = append(postSources, r.GetSource()), append(posts, r.GetPostId())
	}
	return `SELECT id FROM mentions AS m WHERE mentions_partition = ? AND (post_id IN (?) AND has(arrayZip(?, ?), (toString(source), post_id)) OR
			author IN (?) AND arrayExists((s, a, t) -> s = m.source AND a = m.author AND toUnixTimestamp64Micro(m.time) <= t, ?, ?, ?))`,
		[]any{uint16(partition), posts, postSources, posts, authors, accountSources, authors, until}
}

// HeldPosts returns the ids of at most so many posts of a network whose text or address is stored: those after an id, in the order of ids.
func (s *Store) HeldPosts(ctx context.Context, network, after string, most int) (ids []string, err error) {
	err = s.query(ctx, "read which posts are held", func() { ids = nil }, func(rows driver.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	}, `SELECT DISTINCT post_id FROM mentions FINAL WHERE source = ? AND post_id > ? AND (text != '' OR url != '') ORDER BY post_id LIMIT ?`, network, after, most)
	return ids, err
}

// farthest keeps, of several retractions of a post, the one that reaches the highest revision.
func farthest(posts []*outcryv1.Retraction) []*outcryv1.Retraction {
	type key struct{ source, id string }
	place := make(map[key]int, len(posts))
	var out []*outcryv1.Retraction
	for _, r := range posts {
		k := key{r.GetSource(), r.GetPostId()}
		i, known := place[k]
		switch {
		case !known:
			place[k] = len(out)
			out = append(out, r)
		case out[i].GetRevision() < r.GetRevision():
			out[i] = r
		}
	}
	return out
}

// InsertSourceMinutes writes denominators. Of several rows of a stretch the last one counts, even where their versions are equal.
func (s *Store) InsertSourceMinutes(ctx context.Context, rows []SourceMinute) error {
	rows = lastOfEach(rows)
	return insert(ctx, s, "source_minutes (source, minute, posts_partition, first_offset, posts, deletes, unreadable, written_at, version)",
		rows, func(b driver.Batch, r *SourceMinute) error {
			c, written := r.outcry, r.WrittenAt
			if written.IsZero() {
				written = time.Now()
			}
			return b.Append(c.GetSource(), time.Unix(c.GetMinute()*60, 0).UTC(), uint16(r.PostsPartition), r.FirstOffset,
				uint64(c.GetPosts()), uint64(c.GetDeletes()), uint64(c.GetUnreadable()), written.UTC(), r.Version)
		})
}

func lastOfEach(rows []SourceMinute) []SourceMinute {
	type key struct {
		source         string
		minute, first  int64
		postsPartition int
	}
	place := make(map[key]int, len(rows))
	out := make([]SourceMinute, 0, len(rows))
	for _, r := range rows {
		k := key{r.outcry.GetSource(), r.outcry.GetMinute(), r.FirstOffset, r.PostsPartition}
		if i, known := place[k]; known {
			out[i] = r
			continue
		}
		place[k] = len(out)
		out = append(out, r)
	}
	return out
}

// Counted returns what source_minutes holds of the stretches of a partition of posts.v1 that begin within [from, to), with zeros for the
// counts: written, they take them back.
func (s *Store) Counted(ctx context.Context, postsPartition int32, from, to int64) (list []*outcryv1.Progress, err error) {
	err = s.query(ctx, "read what was counted", func() { list = nil }, func(rows driver.Rows) error {
		var source string
		var minute, first int64
		if err := rows.Scan(&source, &minute, &first); err != nil {
			return err
		}
		list = append(list, &outcryv1.Progress{PostsPartition: postsPartition, FirstOffset: first,
			Sources: []*outcryv1.SourceCount{{Source: source, Minute: minute}}})
		return nil
	}, `SELECT toString(source), intDiv(toInt64(toUnixTimestamp(minute)), 60), first_offset FROM source_minutes FINAL
		WHERE posts_partition = ? AND first_offset >= ? AND first_offset < ?`, uint16(postsPartition), from, to)
	return list, err
}

// InsertSourceSilences writes which sources fell silent, and which are heard again.
func (s *Store) InsertSourceSilences(ctx context.Context, rows []SourceSilence) error {
	return insert(ctx, s, "source_silences (source, since, until, usual_per_minute, version)", rows,
		func(b driver.Batch, r *SourceSilence) error {
			var until *time.Time
			if !r.Until.IsZero() {
				until = &r.Until
			}
			return b.Append(r.Source, r.Since, until, r.UsualPerMinute, r.Version)
		})
}

// InsertSpikeWindows writes what was observed and expected.
func (s *Store) InsertSpikeWindows(ctx context.Context, rows []SpikeWindow) error {
	return insert(ctx, s, `spike_windows (service, window_end, window_seconds, observed, expected, lower, upper, threshold, score, alarm,
		history_minutes, standard_error, version)`, rows, func(b driver.Batch, r *SpikeWindow) error {
		return b.Append(r.Service, r.End, uint32(r.Window.Seconds()), uint64(r.Observed), r.Expected, r.Lower, r.Upper, r.Threshold,
			r.Score, r.Alarm, uint32(r.HistoryMinutes), r.StandardError, r.Version)
	})
}

// InsertIncidents writes the state of incidents and the change that led to it.
func (s *Store) InsertIncidents(ctx context.Context, rows []Incident) error {
	err := insert(ctx, s, "incident_events (incident, service, revision, at, state, severity, people, explanation, actor, verdict, note, root, consequences, version)",
		rows, func(b driver.Batch, r *Incident) error {
			actor := "outcry"
			if r.Verdict != nil {
				actor = r.Verdict.GetWho()
			}
			return b.Append(r.GetId(), r.GetService(), uint64(r.GetRevision()), micros(r.GetDecidedAtUs()), r.GetState().Name(),
				r.GetSeverity().Name(), uint64(r.GetPeople()), r.GetExplanation(), actor, r.Verdict.GetKind().Name(), r.Verdict.GetText(),
				r.GetRoot(), list(r.GetConsequences()), r.Version)
		})
	if err != nil {
		return err
	}
	return insert(ctx, s, `incidents (id, service, state, severity, started_at, detected_at, confirmed_at, recovering_at, resolved_at,
		official_at, lead_seconds, decided_at, revision, people, peak_per_minute, expected_per_minute, symptoms, places, languages,
		sources, root, consequences, root_confidence, root_reasons, confidence, explanation, evidence, official_text, official_url, official_mention,
		reopened, coordinated, posts, copies, named, verdicts.id, verdicts.kind, verdicts.who, verdicts.text, verdicts.at, version)`,
		rows, func(b driver.Batch, r *Incident) error {
			symptoms := map[string]uint64{}
			for _, c := range r.GetSymptoms() {
				symptoms[c.GetSymptom().Name()] = uint64(c.GetPeople())
			}
			evidence := make([]uint64, 0, len(r.GetEvidence()))
			for _, e := range r.GetEvidence() {
				evidence = append(evidence, e.GetMentionId())
			}
			var lead *float64
			if r.GetOfficialAtUs() != 0 {
				seconds := float64(r.GetOfficialAtUs()-r.GetDetectedAtUs()) / 1e6
				lead = &seconds
			}
			words := wordsOf(r.GetVerdicts())
			return b.Append(r.GetId(), r.GetService(), r.GetState().Name(), r.GetSeverity().Name(), micros(r.GetStartedAtUs()),
				micros(r.GetDetectedAtUs()), optional(r.GetConfirmedAtUs()), optional(r.GetRecoveringAtUs()), optional(r.GetResolvedAtUs()),
				optional(r.GetOfficialAtUs()), lead, micros(r.GetDecidedAtUs()), uint64(r.GetRevision()), uint64(r.GetPeople()),
				uint64(r.GetPeakPerMinute()), r.GetExpectedPerMinute(), symptoms, counts(r.GetPlaces()), counts(r.GetLanguages()),
				counts(r.GetSources()), r.GetRoot(), list(r.GetConsequences()), r.GetRootConfidence(), list(r.GetRootReasons()),
				r.GetConfidence(), r.GetExplanation(), evidence, r.GetOfficialText(), r.GetOfficialUrl(), r.GetOfficialMention(),
				uint32(r.GetReopened()), r.GetCoordinated(), uint64(r.GetPosts()), uint64(r.GetCopies()), counts(r.GetNamed()), words.ids, words.kinds, words.who,
				words.texts, words.at, r.Version)
		})
}

// words are verdicts as columns.
type words struct {
	ids, kinds, who, texts []string
	at                     []time.Time
}

func wordsOf(verdicts []*outcryv1.Verdict) words {
	w := words{[]string{}, []string{}, []string{}, []string{}, []time.Time{}}
	for _, v := range verdicts {
		w.ids, w.kinds, w.who = append(w.ids, v.GetId()), append(w.kinds, v.GetKind().Name()), append(w.who, v.GetWho())
		w.texts, w.at = append(w.texts, v.GetText()), append(w.at, micros(v.GetAtUs()))
	}
	return w
}

func (w words) verdicts(incident string) (out []*outcryv1.Verdict) {
	for n, id := range w.ids {
		out = append(out, &outcryv1.Verdict{Id: id, Incident: incident, Kind: outcryv1.ParseVerdictKind(w.kinds[n]), Who: w.who[n], Text: w.texts[n],
			AtUs: w.at[n].UnixMicro()})
	}
	return out
}

// Service is a row of catalog.
type Service struct {
	ID, Name, Category   string
	Countries, Providers []string
	Web, StatusPage      string
}

// InsertCatalog writes the services that are listened for. What another catalog had and this one lacks stays.
func (s *Store) InsertCatalog(ctx context.Context, rows []Service) error {
	version := uint64(time.Now().Unix())
	return insert(ctx, s, "catalog (service, name, category, countries, providers, web, status_page, version)", rows,
		func(b driver.Batch, r *Service) error {
			return b.Append(r.ID, r.Name, r.Category, list(r.Countries), list(r.Providers), r.Web, r.StatusPage, version)
		})
}

// list is never nil, which the client takes for NULL.
func list(in []string) []string { return append([]string{}, in...) }

// InsertState writes where a partition stands, as one block: all of it is there afterwards, or nothing.
func (s *Store) InsertState(ctx context.Context, rows []State) error {
	return insert(ctx, s, "aggregator_state (mentions_partition, service, next_offset, state, version)", rows,
		func(b driver.Batch, r *State) error {
			return b.Append(uint16(r.Partition), r.Service, r.NextOffset, string(r.State), r.Version)
		})
}

// States returns the state rows of a partition of mentions.v1.
func (s *Store) States(ctx context.Context, partition int) ([]State, error) {
	var out []State
	err := s.query(ctx, "read aggregator_state", func() { out = nil }, func(rows driver.Rows) error {
		r := State{Partition: partition}
		var state string
		if err := rows.Scan(&r.Service, &r.NextOffset, &state, &r.Version); err != nil {
			return err
		}
		r.State = []byte(state)
		out = append(out, r)
		return nil
	}, "SELECT service, next_offset, state, version FROM aggregator_state FINAL WHERE mentions_partition = ? ORDER BY service", partition)
	return out, err
}

// MentionsSince calls f for the mentions that a partition of mentions.v1 delivered before an offset and that count in decisions at or
// after an event time, in the order in which decisions take them: those of some services, or of all where services is nil.
func (s *Store) MentionsSince(ctx context.Context, partition int, before, countedSinceUS int64, services []string, f func(Mention)) error {
	where, args := "counted_at >= ?", []any{micros(countedSinceUS)}
	if services != nil {
		where, args = where+" AND service IN (?)", append(args, services)
	}
	collected, err := s.deliveries(ctx, "read open windows", partition, before, where, args...)
	if err != nil {
		return err
	}
	for _, m := range collected {
		f(m)
	}
	return nil
}

// Delivered returns the row of a mention that a partition of mentions.v1 delivered before an offset, or nil.
func (s *Store) Delivered(ctx context.Context, partition int, before int64, postID string, id uint64) (*Mention, error) {
	rows, err := s.deliveries(ctx, "look for an earlier delivery", partition, before, "post_id = ? AND id = ?", postID, id)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// deliveries reads rows in the order in which decisions take them: what came late counts from the step in which it came.
func (s *Store) deliveries(ctx context.Context, what string, partition int, before int64, where string, args ...any) (out []Mention, err error) {
	err = s.query(ctx, what, func() { out = nil }, func(rows driver.Rows) error {
		m := Mention{Mention: &outcryv1.Mention{}, Partition: partition}
		var label, symptom string
		var at, counted time.Time
		err := rows.Scan(&m.Service, &at, &m.Id, &label, &m.Score, &symptom, &m.ModelVersion, &m.Source, &m.PostId, &m.Author, &m.Text,
			&m.Lang, &m.Url, &m.ReplyTo, &m.RepostOf, &m.Place, &m.OfficialAuthor, &m.TextFingerprint, &m.Also, &m.Places, &m.Revision, &counted, &m.Offset)
		m.TimeUs, m.CountedAtUS = at.UnixMicro(), counted.UnixMicro()
		m.Label, m.Symptom = outcryv1.ParseLabel(label), outcryv1.ParseSymptom(symptom)
		out = append(out, m)
		return err
	}, `SELECT service, time, id, toString(label), score, symptom, model_version, source, post_id, author, text, lang, url, reply_to,
			repost_of, place, official_author, text_fingerprint, also, places, revision, counted_at, mentions_offset
		FROM mentions FINAL
		WHERE mentions_partition = ? AND mentions_offset < ? AND `+where+`
		ORDER BY counted_at, greatest(time, counted_at), id`, append([]any{partition, before}, args...)...)
	return out, err
}

// micros turns microseconds since 1970 into a time, within what a DateTime64 column can hold.
func micros(us int64) time.Time { return time.UnixMicro(us).UTC() }

func optional(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := micros(us)
	return &t
}

func counts(in []*outcryv1.NameCount) map[string]uint64 {
	out := make(map[string]uint64, len(in))
	for _, c := range in {
		out[c.GetName()] = uint64(c.GetPeople())
	}
	return out
}
