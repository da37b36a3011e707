package decide

import (
	"testing"

	outcryv1 "outcry.dev/schemas/outcry/v1"
)

func TestChoose(t *testing.T) {
	for _, row := range []struct {
		name       string
		p          [Labels]float32 // outage, bug, complaint, recovered, official, other
		byOperator bool
		want       outcryv1.Label
	}{
		{"the most likely", [Labels]float32{0.5, 0.2, 0.1, 0.1, 0, 0.1}, false, outcryv1.Label_LABEL_OUTAGE},
		{"a sure recovery", [Labels]float32{0.1, 0, 0, 0.8, 0, 0.1}, false, outcryv1.Label_LABEL_RECOVERED},
		{"a doubtful recovery is no outage", [Labels]float32{0.2, 0, 0, 0.65, 0, 0.15}, false, outcryv1.Label_LABEL_OTHER},
		{"the operator", [Labels]float32{0.2, 0, 0, 0, 0.6, 0.2}, true, outcryv1.Label_LABEL_OFFICIAL},
		{"somebody who sounds like it", [Labels]float32{0.15, 0, 0, 0, 0.6, 0.25}, false, outcryv1.Label_LABEL_OTHER},
		{"an operator's plain wording from an unknown account", [Labels]float32{0.05, 0, 0, 0, 0.9, 0.05}, false, outcryv1.Label_LABEL_OFFICIAL},
	} {
		if got := outcryv1.Label(Choose(row.p[:], row.byOperator) + 1); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}
