package aggregator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outcry.dev/pkg/root"
	outcryv1 "outcry.dev/schemas/outcry/v1"
)

// A cloud fails and two services with it, while their mentions are in different partitions and have different owners: the incidents say so,
// also when the owners change in between and what was found is found again from the beginning.
func TestRootsAcrossOwners(t *testing.T) {
	const partitions = 3
	s := newSite(t, startBroker(t), fmt.Sprintf("roots_%d", rand.Uint64()), partitions)
	s.providers = root.Graph{"slack": {"aws"}, "canva": {"aws"}}
	where := map[string]int{"aws": 0, "slack": 1, "canva": 2, "spotify": 1}
	log := make([][]*outcryv1.MentionRecord, partitions)
	advance := func(to int64) {
		for p := range log {
			log[p] = append(log[p], &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Progress{Progress: &outcryv1.Progress{PostsPartitions: 1, WatermarkUs: to}}})
		}
	}
	advance(start - 600*minute)
	id := uint64(0)
	for step := range int64(60) {
		for service, delay := range map[string]int64{"aws": 0, "slack": 12, "canva": 24, "spotify": 30} {
			if step < delay {
				continue
			}
			id++
			m := outageMention(id, start+step*stepUS+second)
			m.Service = service
			if service != "aws" && service != "spotify" && step%4 == 0 {
				m.Also = []string{"aws"}
			}
			log[where[service]] = append(log[where[service]], &outcryv1.MentionRecord{Record: &outcryv1.MentionRecord_Mention{Mention: m}})
		}
		advance(start + (step+1)*stepUS)
	}
	advance(start + 600*minute)
	stop := s.stage(DefaultConfig())
	stopOther := s.stage(DefaultConfig())
	s.write(log, 1, 0)
	question := `SELECT service, ' < ', substring(root, 1, position(root, '-2010') - 1), ' ', arrayStringConcat(arraySort(consequences), ','), ' ',
		if(notEmpty(root_reasons) AND root_confidence >= 0.6, 'for a reason', 'by itself') FROM incidents_current ORDER BY service`
	want := []string{"aws <  canva,slack for a reason", "canva < aws  for a reason", "slack < aws  for a reason", "spotify <   by itself"}
	eventually(t, "the incidents say what caused them", func() bool {
		return gocmp.Equal(want, s.rows(question)) && s.caughtUp(log)
	})
	stop()
	stopOther()
	revisions := s.rows("SELECT id, ' ', revision FROM incidents_current ORDER BY id")
	stop = s.stage(DefaultConfig()) // reads incidents.v1 from its beginning
	eventually(t, "incidents.v1 is read again", func() bool {
		committed, err := s.bus.Committed(t.Context(), RootsGroup, "incidents.v1")
		if err != nil {
			t.Fatal(err)
		}
		offsets, err := s.bus.Offsets(t.Context(), "incidents.v1")
		if err != nil {
			t.Fatal(err)
		}
		return committed[0] == offsets[0].Next
	})
	stop()
	if diff := gocmp.Diff(revisions, s.rows("SELECT id, ' ', revision FROM incidents_current ORDER BY id")); diff != "" {
		t.Errorf("reading again changed incidents (-before +after):\n%s", diff)
	}
	if diff := gocmp.Diff(want, s.rows(question)); diff != "" {
		t.Errorf("incidents (-want +got):\n%s", diff)
	}
}
