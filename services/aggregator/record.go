package aggregator

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

const (
	// maxTimeUS is 2100-01-01: the tables hold times up to 2106.
	maxTimeUS = 4_102_444_800_000_000
	// maxRevision is the revision up to which a delete withdraws.
	maxRevision = 1 << 60
)

// decode reads a record and refuses what the tables or the windows could not hold: it would be refused again after every restart.
func decode(value []byte) (*outcryv1.MentionRecord, error) {
	r := &outcryv1.MentionRecord{}
	if err := proto.Unmarshal(value, r); err != nil {
		return nil, err
	}
	switch record := r.GetRecord().(type) {
	case *outcryv1.MentionRecord_Mention:
		return r, checkMention(record.Mention)
	case *outcryv1.MentionRecord_Retraction:
		x := record.Retraction
		if !within(x.GetTimeUs(), maxTimeUS) || !within(x.GetRevision(), maxRevision) {
			return nil, fmt.Errorf("retraction at time_us %d of revision %d", x.GetTimeUs(), x.GetRevision())
		}
		if x.GetAuthor() != 0 && x.GetPostId() != "" {
			return nil, errors.New("retraction of a post and of an account at once")
		}
		return r, nil
	case *outcryv1.MentionRecord_Progress:
		return r, checkProgress(record.Progress)
	case *outcryv1.MentionRecord_Verdict:
		return r, verdict.Validate(record.Verdict)
	case *outcryv1.MentionRecord_Attribution:
		return r, checkAttribution(record.Attribution)
	}
	return nil, errors.New("record of an unknown kind")
}

func checkMention(m *outcryv1.Mention) error {
	switch {
	case m.GetService() == "" || strings.HasPrefix(m.GetService(), reserved):
		return fmt.Errorf("mention of service %q", m.GetService())
	case outcryv1.Label_name[int32(m.GetLabel())] == "" || m.GetLabel() == outcryv1.Label_LABEL_UNSPECIFIED:
		return fmt.Errorf("mention with the unknown label %d", m.GetLabel())
	case outcryv1.Symptom_name[int32(m.GetSymptom())] == "":
		return fmt.Errorf("mention with the unknown symptom %d", m.GetSymptom())
	case !within(m.GetTimeUs(), maxTimeUS) || !within(m.GetRevision(), maxRevision):
		return fmt.Errorf("mention at time_us %d of revision %d", m.GetTimeUs(), m.GetRevision())
	}
	return nil
}

func checkProgress(p *outcryv1.Progress) error {
	if p.GetPostsPartitions() < 1 || p.GetPostsPartitions() > math.MaxUint16 || !within(int64(p.GetPostsPartition()), int64(p.GetPostsPartitions())-1) {
		return fmt.Errorf("progress of partition %d of %d", p.GetPostsPartition(), p.GetPostsPartitions())
	}
	if !within(p.GetWatermarkUs(), maxTimeUS) || !within(p.GetFirstOffset(), p.GetNextOffset()) {
		return fmt.Errorf("progress to time_us %d over offsets %d to %d", p.GetWatermarkUs(), p.GetFirstOffset(), p.GetNextOffset())
	}
	for _, c := range p.GetSources() {
		if !within(c.GetMinute(), maxTimeUS/60_000_000) || min(c.GetPosts(), c.GetDeletes(), c.GetUnreadable()) < 0 {
			return fmt.Errorf("progress with the count of minute %d", c.GetMinute())
		}
	}
	return nil
}

func checkAttribution(a *outcryv1.Attribution) error {
	for _, id := range []string{a.GetIncident(), a.GetRoot()} {
		if _, err := verdict.ServiceOf(id); err != nil && (id != "" || id == a.GetIncident()) {
			return fmt.Errorf("attribution: %w", err)
		}
	}
	if !(a.GetConfidence() >= 0 && a.GetConfidence() <= 1) {
		return fmt.Errorf("attribution with the confidence %v", a.GetConfidence())
	}
	return nil
}

// within tells whether 0 ≤ x ≤ most.
func within(x, most int64) bool { return x >= 0 && x <= most }
