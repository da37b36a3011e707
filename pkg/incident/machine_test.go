package incident

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"outcry.dev/pkg/detect"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// random plays a random history of some days with outages, official words and recoveries, the same for the same seed; between its parts
// it calls a function.
func random(p *player, seed uint64, between func(*rand.Rand)) {
	rng := rand.New(rand.NewPCG(seed, 5))
	p.play("feed 0.05/min 26h")
	for range 40 {
		switch rng.IntN(7) {
		case 0:
			p.play("official We are looking into it.")
		case 1:
			p.play(fmt.Sprintf("feed %d/min %dm label=recovered", 1+rng.IntN(3), 1+rng.IntN(10)))
		case 2:
			p.play(fmt.Sprintf("feed 3/min %dm copy", 1+rng.IntN(20)))
		case 3, 4:
			p.play(fmt.Sprintf("feed %d/min %dm symptom=%s lang=%s", 1+rng.IntN(12), 1+rng.IntN(15),
				[]string{"login", "calls", "loading"}[rng.IntN(3)], []string{"en", "de", "pt"}[rng.IntN(3)]))
		case 5:
			p.play(fmt.Sprintf("feed 0.05/min %dm", 10+rng.IntN(200)))
		case 6:
			p.play(fmt.Sprintf("advance %dm", 1+rng.IntN(90)))
		}
		between(rng)
	}
}

func TestARestoredMachinePublishesTheSame(t *testing.T) {
	published, incidents := 0, map[string]bool{}
	for seed := range uint64(6) {
		whole, moved := newPlayer(t, "whole"), newPlayer(t, "moved")
		random(whole, seed, func(*rand.Rand) {})
		restarts := rand.New(rand.NewPCG(seed, 6))
		random(moved, seed, func(*rand.Rand) {
			if restarts.IntN(3) == 0 {
				moved.restart()
			}
		})
		if len(whole.all) != len(moved.all) {
			t.Fatalf("seed %d: %d published, with restarts %d", seed, len(whole.all), len(moved.all))
		}
		for k, i := range whole.all {
			if !proto.Equal(i, moved.all[k]) {
				t.Fatalf("seed %d, publication %d:\nwhole    %v\nrestored %v", seed, k, i, moved.all[k])
			}
			incidents[fmt.Sprint(seed, i.Id)] = true
		}
		published += len(whole.all)
		check(t, whole)
	}
	if published < 150 || len(incidents) < 10 {
		t.Errorf("only %d publications of %d incidents: the histories try too little", published, len(incidents))
	}
}

// check asserts what holds for every history.
func check(t *testing.T, p *player) {
	open, revision := "", map[string]int64{}
	var before *outcryv1.Incident
	for _, i := range p.all {
		if open != "" && i.Id != open {
			t.Errorf("%s opens while %s is open", i.Id, open)
		}
		open = i.Id
		if i.State == resolved || i.State == dismissed {
			open = ""
		}
		if i.Revision != revision[i.Id]+1 {
			t.Errorf("%s: revision %d after %d", i.Id, i.Revision, revision[i.Id])
		}
		revision[i.Id] = i.Revision
		if i.StartedAtUs > i.DetectedAtUs || i.DetectedAtUs > i.DecidedAtUs || i.StartedAtUs < i.DetectedAtUs-lookBack-minuteMicros || i.StartedAtUs%minuteMicros != 0 {
			t.Errorf("%s: started %d, detected %d, decided %d", i.Id, i.StartedAtUs, i.DetectedAtUs, i.DecidedAtUs)
		}
		if i.ResolvedAtUs > 0 != (i.State == resolved) || i.State == confirmed && i.ConfirmedAtUs == 0 {
			t.Errorf("%s: %v with resolved at %d, confirmed at %d", i.Id, i.State, i.ResolvedAtUs, i.ConfirmedAtUs)
		}
		if i.People < 1 || i.PeakPerMinute < 1 || i.Confidence < 0 || i.Confidence > 1 || i.Explanation == "" || len(i.Evidence) == 0 || len(i.Evidence) > 5 {
			t.Errorf("%s: %v", i.Id, i)
		}
		if i.OfficialAtUs > 0 && i.OfficialAtUs < i.StartedAtUs-beforeStart {
			t.Errorf("%s: official word of %d long before the start %d", i.Id, i.OfficialAtUs, i.StartedAtUs)
		}
		if before != nil && before.Id == i.Id && before.State == i.State && before.Severity == i.Severity && before.OfficialAtUs == i.OfficialAtUs &&
			i.DecidedAtUs-before.DecidedAtUs < minuteMicros {
			t.Errorf("%s: updated twice within a minute for nothing but people", i.Id)
		}
		before = i
	}
}

func TestWhatDoesNotEndIsTheNewUsual(t *testing.T) {
	p := newPlayer(t, "endless")
	p.cfg.MaxOpen = 3 * time.Hour
	p.machine = New("skype", p.cfg)
	p.play("feed 0.05/min 40h")
	p.play("feed 2/min 4h")
	p.play("expect state=resolved incidents=1 has=usual")
	if p.machine.Open() {
		t.Error("still open: the baseline cannot learn")
	}
	p.play("feed 2/min 90h")
	p.play("expect none")
}

func TestWithdrawnTextGoes(t *testing.T) {
	p := newPlayer(t, "withdrawn")
	p.play("feed 0.05/min 40h")
	p.play("feed 6/min 5m")
	shown := p.last.Evidence[0]
	people := p.last.People
	after := p.machine.Withdraw(&outcryv1.Retraction{Source: shown.Source, PostId: shown.PostId})
	if after == nil {
		t.Fatal("nothing to publish")
	}
	for _, e := range after.Evidence {
		if e.PostId == shown.PostId {
			t.Error("the text is still shown")
		}
	}
	if after.People != people || after.Revision != p.last.Revision+1 {
		t.Errorf("%d people, revision %d; want %d, %d", after.People, after.Revision, people, p.last.Revision+1)
	}
	if p.machine.Withdraw(&outcryv1.Retraction{Source: "twitter", PostId: "no such post"}) != nil {
		t.Error("published for a post that was not shown")
	}
}

// The official word goes with its post or its account, also hours after it was said, and over a restart; when it was said stays.
func TestWithdrawnOfficialWordGoes(t *testing.T) {
	p := newPlayer(t, "withdrawn-official")
	p.play("feed 0.05/min 40h")
	p.play("feed 6/min 20m")
	p.play("official we are looking into it")
	p.play("feed 6/min 3h")
	said := p.last.OfficialAtUs
	if said == 0 || p.last.OfficialText == "" || p.last.OfficialMention == 0 {
		t.Fatalf("the official word is %q", p.last.OfficialText)
	}
	official := p.machine.official
	state, err := p.machine.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*outcryv1.Retraction{
		"the post":    {Source: official.Source, PostId: official.PostId},
		"the account": {Source: official.Source, Author: official.Author, TimeUs: said},
	} {
		m := New("skype", p.cfg)
		if err := m.UnmarshalBinary(state); err != nil {
			t.Fatal(err)
		}
		for _, x := range p.heard {
			if x.TimeUs >= m.NeedsSince() {
				m.Restore(x)
			}
		}
		if m.Withdraw(&outcryv1.Retraction{Source: official.Source, PostId: "another"}) != nil || m.Withdraw(&outcryv1.Retraction{Source: official.Source, Author: official.Author, TimeUs: said - 1}) != nil {
			t.Errorf("%s: withdrawn for another", name)
		}
		after := m.Withdraw(r)
		if after == nil || after.OfficialText != "" || after.OfficialUrl != "" || after.OfficialAtUs != said || after.Revision != p.last.Revision+1 {
			t.Errorf("%s: afterwards it is %v", name, after)
		}
		if m.Withdraw(r) != nil {
			t.Errorf("%s: published twice", name)
		}
	}
}

// An account goes with all its posts up to a time; nobody else's text does, and the person stays counted.
func TestWithdrawnAccountGoes(t *testing.T) {
	p := newPlayer(t, "withdrawn-account")
	p.play("feed 0.05/min 40h")
	p.play("feed 6/min 5m")
	var of *outcryv1.Mention
	for _, c := range p.machine.candidates {
		if c.x.Id == p.last.Evidence[0].MentionId {
			of = c.x
		}
	}
	people, texts := p.last.People, len(p.last.Evidence)
	if p.machine.Withdraw(&outcryv1.Retraction{Source: of.Source, Author: of.Author, TimeUs: of.TimeUs - 1}) != nil ||
		p.machine.Withdraw(&outcryv1.Retraction{Source: "elsewhere", Author: of.Author, TimeUs: of.TimeUs}) != nil {
		t.Error("withdrawn too early, or from another network")
	}
	after := p.machine.Withdraw(&outcryv1.Retraction{Source: of.Source, Author: of.Author, TimeUs: of.TimeUs})
	if after == nil || after.People != people || len(after.Evidence) < min(texts, 2) {
		t.Fatalf("after the account went: %v", after)
	}
	for _, e := range after.Evidence {
		if e.MentionId == of.Id {
			t.Error("its text is still shown")
		}
	}
}

func TestPeopleAreExactUpToTheLimitAndEstimatedBeyond(t *testing.T) {
	p := newPeople(1000)
	for n := range uint64(200_000) {
		x := &outcryv1.Mention{Id: n, Author: n/2 + 1, Source: []string{"twitter", "bluesky"}[n/2%2], Symptom: outcryv1.Symptom(1 + n/2%4)}
		p.add(x)
		if distinct := int64(n/2 + 1); distinct <= 1000 && p.count() != distinct {
			t.Fatalf("%d people, %d counted", distinct, p.count())
		}
	}
	if n := p.count(); n < 88_000 || n > 112_000 {
		t.Errorf("100000 people, %d estimated", n)
	}
	if len(p.said) > 1000 {
		t.Errorf("%d people kept", len(p.said))
	}
	if s := p.symptoms(); len(s) != 4 || s[0].People < 20_000 || s[3].People > 30_000 {
		t.Errorf("four equal symptoms: %v", s)
	}
	if s := p.named(func(p person) uint16 { return p.source }); len(s) != 2 || s[0].People < 44_000 || s[0].People > 56_000 {
		t.Errorf("two equal sources: %v", s)
	}
}

func TestEvidenceIsFirstHandAndDiverse(t *testing.T) {
	var c candidates
	add := func(id uint64, symptom outcryv1.Symptom, score float32, text string, change func(*outcryv1.Mention)) {
		x := &outcryv1.Mention{Id: id, Author: id, Symptom: symptom, Score: score, Text: text, TextFingerprint: mix(id), TimeUs: int64(id) * 1e6}
		if change != nil {
			change(x)
		}
		c.add(x)
	}
	for id := uint64(1); id <= 200; id++ {
		add(id, outcryv1.Symptom_SYMPTOM_LOGIN, 0.9, "I cannot sign in to skype since this morning", nil)
	}
	add(301, outcryv1.Symptom_SYMPTOM_CALLS, 0.8, "calls drop after ten seconds, everybody here has it", nil)
	add(302, outcryv1.Symptom_SYMPTOM_MESSAGING, 0.8, "messages stay grey and are never sent to anyone", nil)
	add(303, outcryv1.Symptom_SYMPTOM_LOADING, 0.99, "Skype is down, read more at http://example.com/1", nil)
	add(304, outcryv1.Symptom_SYMPTOM_LOADING, 0.99, "@you same", func(x *outcryv1.Mention) { x.ReplyTo = "1" })
	add(305, outcryv1.Symptom_SYMPTOM_CALLS, 0.99, "", nil)
	add(306, outcryv1.Symptom_SYMPTOM_CALLS, 0.99, "same text", func(x *outcryv1.Mention) { x.TextFingerprint = mix(301) })
	chosen := c.choose()
	symptoms := map[outcryv1.Symptom]int{}
	for _, e := range chosen {
		symptoms[e.Symptom]++
		if e.Text == "" || e.Text == "same text" || e.Text == "@you same" {
			t.Errorf("%q is shown", e.Text)
		}
	}
	if len(chosen) != 5 || len(symptoms) < 3 || len(c) > maxCandidates {
		t.Errorf("%d chosen from %d, of %d symptoms", len(chosen), len(c), len(symptoms))
	}
}

func TestBusyServicesStayBounded(t *testing.T) {
	m := New("skype", DefaultConfig())
	x := outcryv1.Mention{Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, Text: "this text is long enough to be remembered as a text", Score: 1}
	for n := range uint64(200_000) {
		y := proto.CloneOf(&x)
		y.Id, y.Author, y.TextFingerprint, y.TimeUs = n+1, n+1, mix(n), int64(n)*1000
		m.Add(y)
	}
	if n := cap(m.recent.outages); n > 4*maxRecent {
		t.Errorf("%d mentions kept", n)
	}
	if n := len(m.copies.current); n > maxTexts {
		t.Errorf("%d texts kept", n)
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := Config{}.Validate()
	if err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) < 5 {
		t.Errorf("the empty configuration: %v", err)
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	empty, _ := New("skype", DefaultConfig()).MarshalBinary()
	f.Add(empty)
	p := newPlayer(&testing.T{}, "seed")
	p.play("feed 0.05/min 26h")
	p.play("feed 10/min 10m")
	open, _ := p.machine.MarshalBinary()
	f.Add(open)
	p.play("advance 2h")
	closed, _ := p.machine.MarshalBinary()
	f.Add(closed)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := New("skype", DefaultConfig())
		if m.UnmarshalBinary(b) != nil {
			return
		}
		again, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		twice := New("skype", DefaultConfig())
		if err := twice.UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
		if third, _ := twice.MarshalBinary(); string(third) != string(again) {
			t.Fatal("encoding is not stable")
		}
		m.NeedsSince()
		d := detect.New(detect.DefaultConfig())
		for k := range 50 {
			at := midnight.Add(time.Duration(k) * detect.Step)
			m.Add(&outcryv1.Mention{Id: uint64(k), Author: uint64(k), Service: "skype", Label: outcryv1.Label_LABEL_OUTAGE, TimeUs: at.UnixMicro(), Text: "down"})
			m.Step(d.Step(detect.Observation{At: at, People: [4]int{k * 100, k * 100, k * 100, k * 100}, Ingested: -1}, m.Open()))
		}
	})
}

func BenchmarkAddAndStep(b *testing.B) {
	p := newPlayer(&testing.T{}, "benchmark")
	p.play("feed 0.05/min 26h")
	p.play("feed 10/min 10m")
	x := p.mention(nil)
	v := p.detector.Step(detect.Observation{At: p.at, People: [4]int{50, 200, 500, 500}, Ingested: -1}, true)
	for b.Loop() {
		x = proto.CloneOf(x)
		x.TimeUs += 1000
		x.Id++
		x.Author++
		p.machine.Add(x)
		v.At = time.UnixMicro(x.TimeUs)
		p.machine.Step(v)
	}
}
