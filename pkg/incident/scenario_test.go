package incident

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"outcry.dev/pkg/detect"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// A scenario is a text in testdata, one command a line, played into a detector and a machine from midnight of 20 December 2010 on:
//
//	feed RATE DURATION [label=L] [symptom=S] [lang=L] [place=P] [source=S] [people=N] [also=SERVICE] [repost] [copy] [reply]
//	     people report at an even rate (posts a minute), each a new person unless only N people write in turn
//	official TEXT      the operator's account writes
//	over TEXT          the operator's account writes that it is over
//	late DURATION official|over TEXT
//	                   what the operator's account wrote so long ago is read now
//	advance DURATION   silence
//	dismiss|confirm|acknowledge|note TEXT…
//	                   a person says so of the incident published last
//	restart            the machine is saved, restored, and refilled
//	expect none        no incident was published since the last expect
//	expect FIELD=VALUE… of the incident published last; people>=N, people<=N, revisions<=N (since the last expect), has=WORD (explanation)
//
// Blank lines and lines that begin with # are for the reader.
type player struct {
	t        *testing.T
	where    string
	cfg      Config
	at       time.Time
	detector *detect.Detector
	machine  *Machine
	heard    []*outcryv1.Mention
	open     []*outcryv1.Mention // within the longest window
	next     uint64
	last     *outcryv1.Incident
	fresh    int // published since the last expect
	all      []*outcryv1.Incident
}

var midnight = time.Date(2010, 12, 20, 0, 0, 0, 0, time.UTC)

func newPlayer(t *testing.T, where string) *player {
	cfg := DefaultConfig()
	p := &player{t: t, where: where, cfg: cfg, at: midnight, detector: detect.New(detect.DefaultConfig()), machine: New("skype", cfg)}
	p.detector.Begin(midnight)
	return p
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.scenario")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".scenario"), func(t *testing.T) {
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			p := newPlayer(t, name)
			lines := bufio.NewScanner(file)
			for n := 1; lines.Scan(); n++ {
				p.where = fmt.Sprintf("%s:%d (%s)", name, n, p.at.Format("2 Jan 15:04:05"))
				p.play(lines.Text())
			}
		})
	}
}

func (p *player) play(line string) {
	words := strings.Fields(line)
	if len(words) == 0 || words[0][0] == '#' {
		return
	}
	switch words[0] {
	case "feed":
		p.feed(p.number(words[1]), p.duration(words[2]), words[3:])
	case "advance":
		p.step(p.at.Add(p.duration(words[1])))
	case "official", "over", "late":
		x := p.mention(nil)
		if words[0] == "late" {
			x.TimeUs -= p.duration(words[1]).Microseconds()
			words = words[2:]
		}
		x.Label, x.OfficialAuthor, x.Text = outcryv1.Label_LABEL_OFFICIAL, true, strings.Join(words[1:], " ")
		if words[0] == "over" {
			x.Label = outcryv1.Label_LABEL_RECOVERED
		}
		p.hear(x)
	case "dismiss", "confirm", "acknowledge", "note":
		p.next++
		p.publish(p.machine.Judge(&outcryv1.Verdict{Id: strconv.FormatUint(p.next, 10), Incident: p.last.GetId(),
			Kind: outcryv1.ParseVerdictKind(words[0]), Who: "ana", Text: strings.Join(words[1:], " ")}, p.at))
	case "restart":
		p.restart()
	case "expect":
		p.expect(words[1:])
	default:
		p.t.Fatalf("%s: no command %q", p.where, words[0])
	}
}

// feed lets people write in the middle of equal parts of the duration.
func (p *player) feed(rate float64, d time.Duration, options []string) {
	begin, n := p.at, int(rate*d.Minutes()+0.5)
	for i := range n {
		at := begin.Add(time.Duration((float64(i) + 0.5) / float64(n) * float64(d)))
		p.step(at.Truncate(detect.Step))
		p.at = at
		p.hear(p.mention(options))
	}
	p.step(begin.Add(d))
}

func (p *player) mention(options []string) *outcryv1.Mention {
	p.next++
	id := strconv.FormatUint(p.next, 10)
	x := &outcryv1.Mention{
		Id: p.next, Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, Score: 0.9, Symptom: outcryv1.Symptom_SYMPTOM_LOGIN,
		Source: "twitter", PostId: id, Author: 1000 + p.next, TimeUs: p.at.UnixMicro(), Lang: "en",
		Text: "number " + id + " cannot sign in to skype here since this morning", TextFingerprint: mix(p.next),
	}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "label":
			x.Label = outcryv1.ParseLabel(value)
		case "symptom":
			x.Symptom = outcryv1.ParseSymptom(value)
		case "lang":
			x.Lang = value
		case "place":
			x.Place = value
		case "source":
			x.Source = value
		case "people":
			x.Author = 1 + p.next%uint64(p.number(value))
		case "also":
			x.Also = []string{value}
		case "repost":
			x.RepostOf = "1"
		case "copy":
			x.Text, x.TextFingerprint = "the very same words about skype being down, posted again and again", 42
		case "reply":
			x.ReplyTo, x.Text = "1", "@skype same"
		default:
			p.t.Fatalf("%s: no option %q", p.where, o)
		}
	}
	return x
}

func (p *player) hear(x *outcryv1.Mention) {
	p.heard = append(p.heard, x)
	p.machine.Add(x)
	// The windows count people as the aggregator does: no reposts, no copies.
	if x.Label == outcryv1.Label_LABEL_OUTAGE && x.RepostOf == "" && x.TextFingerprint != 42 {
		p.open = append(p.open, x)
	}
}

// step judges every step of the grid up to a time.
func (p *player) step(until time.Time) {
	for at := p.at.Truncate(detect.Step).Add(detect.Step); !at.After(until); at = at.Add(detect.Step) {
		o := detect.Observation{At: at, Ingested: -1}
		for len(p.open) > 0 && at.UnixMicro()-p.open[0].TimeUs > time.Hour.Microseconds() {
			p.open = p.open[1:]
		}
		known := map[uint64]bool{}
		for i := len(p.open) - 1; i >= 0; i-- {
			if x := p.open[i]; !known[x.Author] {
				known[x.Author] = true
				for k, w := range detect.Windows {
					if x.TimeUs >= at.Add(-w).UnixMicro() {
						o.People[k]++
					}
				}
			}
		}
		if at.Unix()%60 == 0 {
			o.MinutePeople = o.People[0]
		}
		p.publish(p.machine.Step(p.detector.Step(o, p.machine.Open())))
		p.at = at
	}
	if until.After(p.at) {
		p.at = until
	}
}

func (p *player) publish(i *outcryv1.Incident) {
	if i == nil {
		return
	}
	if p.last != nil && p.last.Id == i.Id && i.Revision != p.last.Revision+1 {
		p.t.Errorf("%s: revision %d after %d", p.where, i.Revision, p.last.Revision)
	}
	p.last = i
	p.fresh++
	p.all = append(p.all, i)
}

func (p *player) restart() {
	state, err := p.machine.MarshalBinary()
	if err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
	p.machine = New("skype", p.cfg)
	if err := p.machine.UnmarshalBinary(state); err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
	since := p.machine.NeedsSince()
	for _, x := range p.heard {
		if x.TimeUs >= since {
			p.machine.Restore(x)
		}
	}
}

func (p *player) expect(wants []string) {
	if wants[0] == "none" {
		if p.fresh > 0 {
			p.t.Errorf("%s: published %v: %s", p.where, p.last.State.Name(), p.last.Explanation)
		}
		p.fresh = 0
		return
	}
	i := p.last
	if i == nil {
		p.t.Fatalf("%s: no incident", p.where)
	}
	clock := func(us int64) string {
		if us == 0 {
			return "none"
		}
		return time.UnixMicro(us).UTC().Format("15:04")
	}
	ids := map[string]bool{}
	for _, i := range p.all {
		ids[i.Id] = true
	}
	for _, want := range wants {
		op := "="
		for _, o := range []string{">=", "<="} {
			if strings.Contains(want, o) {
				op = o
			}
		}
		name, value, _ := strings.Cut(want, op)
		got := map[string]string{
			"state": i.State.Name(), "severity": i.Severity.Name(), "id": i.Id,
			"people": fmt.Sprint(i.People), "peak": fmt.Sprint(i.PeakPerMinute), "revisions": fmt.Sprint(p.fresh), "incidents": fmt.Sprint(len(ids)),
			"started": clock(i.StartedAtUs), "detected": clock(i.DetectedAtUs), "confirmed": clock(i.ConfirmedAtUs), "resolved": clock(i.ResolvedAtUs),
			"official": clock(i.OfficialAtUs), "evidence": fmt.Sprint(len(i.Evidence)), "confidence": fmt.Sprint(i.Confidence), "has": value,
			"reopened": fmt.Sprint(i.Reopened), "coordinated": fmt.Sprint(i.Coordinated), "verdicts": fmt.Sprint(len(i.Verdicts)),
		}[name]
		if len(i.Symptoms) > 0 && name == "symptom" {
			got = i.Symptoms[0].Symptom.Name()
		}
		if len(i.Languages) > 0 && name == "lang" {
			got = i.Languages[0].Name
		}
		ok := got == value
		switch {
		case name == "has":
			ok, got = strings.Contains(i.Explanation, value), i.Explanation
		case op == ">=":
			ok = p.number(got) >= p.number(value)
		case op == "<=":
			ok = p.number(got) <= p.number(value)
		}
		if !ok {
			p.t.Errorf("%s: %s is %s, want %s", p.where, name, got, want)
		}
	}
	p.fresh = 0
}

func (p *player) number(s string) float64 {
	x, err := strconv.ParseFloat(strings.TrimSuffix(s, "/min"), 64)
	if err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
	return x
}

func (p *player) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
	return d
}
