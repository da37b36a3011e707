package verdict

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

var noon = time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC)

func TestServiceOf(t *testing.T) {
	for id, want := range map[string]string{
		"skype-20101222T1612":                       "skype",
		"bell-canada-20260915T0001":                 "bell-canada",
		"skype":                                     "",
		"-20101222T1612":                            "",
		"skype-20101222T161":                        "",
		"Skype-20101222T1612":                       "",
		"a/b-20101222T1612":                         "",
		"skype-20101222T1612\n":                     "",
		strings.Repeat("a", 300) + "-20101222T1612": "",
	} {
		got, err := ServiceOf(id)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("service of %q is %q (%v), want %q", id, got, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	good, err := New("skype-20101222T1612", outcryv1.Verdict_KIND_DISMISS, "ana", "a joke", noon)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := New("skype-20101222T1612", outcryv1.Verdict_KIND_DISMISS, "ana", "a joke", noon)
	other, _ := New("skype-20101222T1612", outcryv1.Verdict_KIND_DISMISS, "ana", "a joke", noon.Add(time.Microsecond))
	if again.GetId() != good.GetId() || other.GetId() == good.GetId() {
		t.Errorf("ids %s, %s and %s: the same words at the same time are one verdict, others are another", good.GetId(), again.GetId(), other.GetId())
	}
	for name, f := range map[string]func(v *outcryv1.Verdict){
		"no id":         func(v *outcryv1.Verdict) { v.Id = "" },
		"no incident":   func(v *outcryv1.Verdict) { v.Incident = "" },
		"no kind":       func(v *outcryv1.Verdict) { v.Kind = 0 },
		"unknown kind":  func(v *outcryv1.Verdict) { v.Kind = 77 },
		"nobody":        func(v *outcryv1.Verdict) { v.Who = "" },
		"long":          func(v *outcryv1.Verdict) { v.Text = strings.Repeat("a", MaxText+1) },
		"not text":      func(v *outcryv1.Verdict) { v.Text = "\xff" },
		"before 1970":   func(v *outcryv1.Verdict) { v.AtUs = -1 },
		"after 2100":    func(v *outcryv1.Verdict) { v.AtUs = 1 << 62 },
		"an empty note": func(v *outcryv1.Verdict) { v.Kind, v.Text = outcryv1.Verdict_KIND_NOTE, "" },
	} {
		v := proto.CloneOf(good)
		f(v)
		if Validate(v) == nil {
			t.Errorf("%s: no fault found", name)
		}
	}
	bad := &outcryv1.Verdict{}
	if n := strings.Count(Validate(bad).Error(), "\n") + 1; n != 5 {
		t.Errorf("%d faults of an empty verdict, want all 5: %v", n, Validate(bad))
	}
}

// A verdict goes where the mentions of its service go.
func TestMessage(t *testing.T) {
	v, err := New("bell-canada-20260915T0001", outcryv1.Verdict_KIND_CONFIRM, "ana", "", noon)
	if err != nil {
		t.Fatal(err)
	}
	m, err := message(v)
	if err != nil || string(m.Key) != "bell-canada" {
		t.Fatalf("key %q (%v), want the service", m.Key, err)
	}
	var r outcryv1.MentionRecord
	if err := proto.Unmarshal(m.Value, &r); err != nil || !proto.Equal(r.GetVerdict(), v) {
		t.Errorf("read back %v (%v)", r.GetVerdict(), err)
	}
}
