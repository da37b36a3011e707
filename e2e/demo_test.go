package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDemoHearsTheSkypeOutageAndNothingElse(t *testing.T) {
	w := newWorld(t)
	out := w.run("demo")
	for _, want := range []string{"1 incident.", "skype (", "detected ", "after Outcry", "people ", "symptoms ", "/services/skype"} {
		if !strings.Contains(out, want) {
			t.Errorf("the demonstration does not say %q:\n%s", want, out)
		}
	}
	w.nothingLeft()
}

func TestCtrlCAtAnyTimeLeavesNothing(t *testing.T) {
	for _, after := range []time.Duration{100 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			w := newWorld(t)
			p := w.start(nil, "demo")
			time.Sleep(after)
			family := append(children(p.Process.Pid), p.Process.Pid)
			p.interrupt()
			w.nothingLeft()
			for _, pid := range family {
				if syscall.Kill(pid, 0) == nil {
					t.Errorf("process %d is still running", pid)
				}
			}
		})
	}
}

// nothingLeft fails if the temporary folder holds anything.
func (w *world) nothingLeft() {
	w.t.Helper()
	left, err := os.ReadDir(w.get("TMPDIR"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range left {
		w.t.Errorf("left behind: %s", filepath.Join(w.get("TMPDIR"), e.Name()))
	}
}

func TestUnreadableLinesDoNotStopTheRun(t *testing.T) {
	w := newWorld(t)
	posts := `{"id":"1","source":"twitter","author":"a","text":"skype is down","created_at":"2020-01-01T00:00:00Z"}
this is not JSON
{"id":"2","source":"twitter","text":"no author","created_at":"2020-01-01T00:00:01Z"}

{"id":"3","source":"twitter","author":"b","text":"is skype down?","created_at":"2020-01-01T00:00:02Z"}
`
	_, said, err := w.try([]byte(posts), "replay", "--keep", w.get("OUTCRY_DATA_DIR"), "-")
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(said))
	}
	if !strings.Contains(said, "2 posts, 0 deletes, 2 unreadable") {
		t.Errorf("the summary is wrong:\n%s", said)
	}
	for _, want := range []string{"origin=- line=2", "origin=- line=3", `field \"author\" is missing`} {
		if !strings.Contains(said, want) {
			t.Errorf("the log does not say %q:\n%s", want, said)
		}
	}
	if n := ingested(w); n != 2 {
		t.Errorf("%d posts were counted, want 2", n)
	}
}
