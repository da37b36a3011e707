package root

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

var noon = time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC)

// failing is an incident that began some minutes after noon. named is "aws=20 …": people who name others.
func failing(service string, minute, people int, named ...outcryv1.NameCount) *outcryv1.Incident {
	at := noon.Add(time.Duration(minute) * time.Minute)
	i := &outcryv1.Incident{Id: service + "-" + at.Format("20060102T1504"), Service: service, State: outcryv1.Incident_STATE_CONFIRMED,
		StartedAtUs: at.UnixMicro(), People: int64(people)}
	for n := range named {
		i.Named = append(i.Named, &named[n])
	}
	return i
}

func naming100(service string, people int64) outcryv1.NameCount {
	return outcryv1.NameCount{Name: service, People: people}
}

var graph = Graph{"slack": {"aws"}, "canva": {"aws"}, "ring": {"aws", "amazon"}, "fortnite": {"epic-games"}, "epic-games": {"aws"},
	"mint-mobile": {"t-mobile"}, "spotify": {"google-cloud"}}

func TestAttribute(t *testing.T) {
	dismissed := failing("aws", 0, 40)
	dismissed.State = outcryv1.Incident_STATE_DISMISSED
	campaign := failing("slack", 2, 40)
	campaign.Coordinated = true
	over := failing("aws", 0, 40)
	over.ResolvedAtUs = noon.Add(20 * time.Minute).UnixMicro()
	for _, row := range []struct {
		name      string
		incidents []*outcryv1.Incident
		want      []string // consequence < root
	}{
		{"a cloud and what runs on it", []*outcryv1.Incident{failing("aws", 0, 80), failing("slack", 3, 90), failing("canva", 5, 40), failing("ring", 8, 30)},
			[]string{"slack<aws", "canva<aws", "ring<aws"}},
		{"through a third", []*outcryv1.Incident{failing("aws", 0, 80), failing("fortnite", 3, 90), failing("epic-games", 4, 40)},
			[]string{"fortnite<aws", "epic-games<aws"}},
		{"users notice before they hear of the cloud", []*outcryv1.Incident{failing("slack", 0, 90), failing("canva", 1, 90), failing("aws", 6, 30)},
			[]string{"slack<aws", "canva<aws"}},
		{"people say what is behind it, the catalog does not know", []*outcryv1.Incident{failing("rogers", 0, 300), failing("interac", 20, 100, naming100("rogers", 20))},
			[]string{"interac<rogers"}},
		{"unrelated, at once", []*outcryv1.Incident{failing("spotify", 0, 300), failing("chase", 2, 100)}, nil},
		{"unrelated, and few name both", []*outcryv1.Incident{failing("spotify", 0, 300, naming100("chase", 2)), failing("chase", 2, 100, naming100("spotify", 4))}, nil},
		{"an alternative that people turn to is no cause", []*outcryv1.Incident{failing("whatsapp", 0, 900, naming100("telegram", 90)), failing("telegram", 30, 50, naming100("whatsapp", 25))},
			[]string{"telegram<whatsapp"}},
		{"long after", []*outcryv1.Incident{failing("aws", 0, 80), failing("slack", 130, 90)}, nil},
		{"people say what a provider took with it, the catalog does not know", []*outcryv1.Incident{failing("aws", 0, 380, naming100("substack", 6)), failing("substack", 2, 37)},
			[]string{"substack<aws"}},
		{"people name an alternative that fails by itself", []*outcryv1.Incident{failing("whatsapp", 0, 900, naming100("telegram", 90)), failing("telegram", 30, 50)}, nil},
		{"long before", []*outcryv1.Incident{failing("slack", 0, 90), failing("aws", 30, 80)}, nil},
		{"after it was over", []*outcryv1.Incident{over, failing("slack", 30, 90)}, nil},
		{"a cause that a person dismissed", []*outcryv1.Incident{dismissed, failing("slack", 2, 90)}, nil},
		{"a campaign", []*outcryv1.Incident{failing("aws", 0, 80), campaign}, nil},
		{"the same service twice", []*outcryv1.Incident{failing("aws", 0, 80), failing("aws", 40, 90)}, nil},
		{"nothing", nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			attributions := Attribute(row.incidents, graph)
			if len(attributions) != len(row.incidents) {
				t.Fatalf("%d attributions of %d incidents", len(attributions), len(row.incidents))
			}
			var got, carried []string
			for n, a := range attributions {
				service := row.incidents[n].GetService()
				if a.GetRoot() != "" {
					got = append(got, service+"<"+strings.Split(a.GetRoot(), "-2026")[0])
				}
				for _, s := range a.GetConsequences() {
					carried = append(carried, s+"<"+service)
				}
				if linked := a.GetRoot() != "" || len(a.GetConsequences()) > 0; linked != (len(a.GetReasons()) > 0) || linked != (a.GetConfidence() >= least-0.025) {
					t.Errorf("%s: confidence %v for the reasons %q", service, a.GetConfidence(), a.GetReasons())
				}
			}
			slices.Sort(got)
			slices.Sort(row.want)
			slices.Sort(carried)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("roots (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got, carried); diff != "" {
				t.Errorf("consequences are not the inverse of roots:\n%s", diff)
			}
		})
	}
}

func TestReasons(t *testing.T) {
	a := Attribute([]*outcryv1.Incident{failing("aws", 0, 80), failing("slack", 3, 100, naming100("aws", 17)), failing("canva", 5, 40)}, graph)
	want := []string{"slack depends on aws; for every 100 people who report it, about 15 name it together with aws; began 3 min after it; 1 more that depend on it failed within the hour."}
	if diff := cmp.Diff(want, a[1].GetReasons()); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if got := a[0].GetReasons(); len(got) != 2 || got[0] != want[0] || !strings.HasPrefix(got[1], "canva depends on aws; began 5 min after it;") {
		t.Errorf("reasons of the root: %q", got)
	}
}

// What comes out is a function of the set: neither the order nor the circle in which services name each other matters.
func TestOrderDoesNotMatter(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	names := []string{"aws", "slack", "canva", "ring", "fortnite", "epic-games", "t-mobile", "mint-mobile"}
	for range 200 {
		var incidents []*outcryv1.Incident
		for _, s := range names {
			i := failing(s, rng.IntN(40), 5+rng.IntN(100))
			for _, other := range names {
				if rng.IntN(4) == 0 {
					i.Named = append(i.Named, &outcryv1.NameCount{Name: other, People: rng.Int64N(i.People)})
				}
			}
			incidents = append(incidents, i)
		}
		want := Attribute(incidents, graph)
		order := rng.Perm(len(incidents))
		var shuffled []*outcryv1.Incident
		for _, n := range order {
			shuffled = append(shuffled, incidents[n])
		}
		got := Attribute(shuffled, graph)
		for k, n := range order {
			if diff := cmp.Diff(want[n], got[k], protocmp.Transform()); diff != "" {
				t.Fatalf("attribution of %s (-want +got):\n%s", incidents[n].GetService(), diff)
			}
		}
		roots := map[string]string{}
		for _, a := range want {
			roots[a.GetIncident()] = a.GetRoot()
		}
		for id, root := range roots {
			if root != "" && roots[root] != "" {
				t.Fatalf("%s was caused by %s, which was caused by %s", id, root, roots[root])
			}
		}
	}
}
