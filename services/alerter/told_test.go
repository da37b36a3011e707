package alerter

import (
	"path/filepath"
	"slices"
	"testing"

	"outcry.dev/services/alerter/alert"
)

// What was told is known after a restart, and forgotten with the alert. A folder from before that was kept is taken for told, where a cluster was.
func TestWhatWasToldIsKnownAgain(t *testing.T) {
	label := func(id string) map[string]string { return map[string]string{"incident": id, "alertname": alert.Outage} }
	old := []alert.Alert{{Labels: label("old")}}
	open := func(path string, members ...string) *told {
		t.Helper()
		got, err := (&Alerter{cfg: Config{Alertmanagers: members}}).openTold(path, old)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = got.close() })
		return got
	}
	has := func(tl *told) (out []string) {
		for _, id := range []string{"old", "a", "b", "c"} {
			if tl.Has(label(id)) {
				out = append(out, id)
			}
		}
		return out
	}
	path := filepath.Join(t.TempDir(), "alerter", "told.log")
	first := open(path)
	if err := first.Add(label("a"), label("b"), label("a")); err != nil {
		t.Fatal(err)
	}
	second := open(path, "http://am:9093") // not new any more
	if got := has(second); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after a restart: %q", got)
	}
	if err := second.keep([]alert.Alert{{Labels: label("b")}, {Labels: label("c")}}); err != nil {
		t.Fatal(err)
	}
	if err := second.Add(label("c")); err != nil {
		t.Fatal(err)
	}
	if got := has(open(path)); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("after another one: %q", got)
	}
	if got := has(open(filepath.Join(t.TempDir(), "told.log"), "http://am:9093")); !slices.Equal(got, []string{"old"}) {
		t.Errorf("of a folder from before: %q", got)
	}
}
