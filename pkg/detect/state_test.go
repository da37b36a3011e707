package detect

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestARestoredDetectorGoesOnAlike(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 8))
		c := &chance{rng: rand.New(rand.NewPCG(seed, 9)), mean: 0.3, daily: 0.5, drift: 0.3}
		whole, moved := New(DefaultConfig()), New(DefaultConfig())
		frozen, restores := false, 0
		for at := noon.Add(Step); at.Sub(noon) < 4*24*time.Hour; at = at.Add(Step) {
			if rng.IntN(2000) == 0 {
				c.mean = []float64{0.02, 0.3, 5}[rng.IntN(3)]
				frozen = c.mean == 5
			}
			if rng.IntN(500) == 0 {
				b, err := moved.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				if len(b) >= 2048 {
					t.Fatalf("%d bytes", len(b))
				}
				moved = New(DefaultConfig())
				if err := moved.UnmarshalBinary(b); err != nil {
					t.Fatal(err)
				}
				restores++
			}
			o := c.until(at)
			if v, w := whole.Step(o, frozen), moved.Step(o, frozen); v != w {
				t.Fatalf("seed %d at %v, after %d restores:\nwhole    %+v\nrestored %+v", seed, at, restores, v, w)
			}
		}
		if restores < 20 {
			t.Fatalf("only %d restores", restores)
		}
	}
}

func TestForeignStatesAreRefused(t *testing.T) {
	d := New(DefaultConfig())
	c := &chance{rng: rand.New(rand.NewPCG(1, 1)), mean: 1}
	feed(d, c, noon, noon.Add(time.Hour))
	good, _ := d.MarshalBinary()
	for name, b := range map[string][]byte{
		"empty":         nil,
		"other version": append([]byte{99}, good[1:]...),
		"cut off":       good[:len(good)-1],
		"too long":      append(good[:len(good):len(good)], 0),
		"off the grid":  append([]byte{good[0], good[1], good[2] + 1}, good[3:]...),
		"not a number":  append(append([]byte{}, good[:len(good)-1600]...), []byte(strings.Repeat("\xff", 1600))...),
	} {
		if err := d.UnmarshalBinary(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if after, _ := d.MarshalBinary(); string(after) != string(good) {
		t.Error("a refused state changed the detector")
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	d := New(DefaultConfig())
	feed(d, &chance{rng: rand.New(rand.NewPCG(1, 1)), mean: 1}, noon, noon.Add(2*time.Hour))
	good, _ := d.MarshalBinary()
	empty, _ := New(DefaultConfig()).MarshalBinary()
	f.Add(good, int64(1), 3)
	f.Add(empty, int64(1e9), 0)
	f.Fuzz(func(t *testing.T, b []byte, gap int64, people int) {
		d := New(DefaultConfig())
		if d.UnmarshalBinary(b) != nil {
			return
		}
		if again, err := d.MarshalBinary(); err != nil || string(again) != string(b) {
			t.Fatal("decoding and encoding changes the state")
		}
		at := time.Unix(d.at, 0)
		for range 200 {
			at = at.Add(time.Duration(gap%1e6+1) * time.Second)
			v := d.Step(Observation{At: at, People: [4]int{people, people, people, people}, MinutePeople: people, Ingested: -1}, false)
			for _, w := range v.Windows {
				if !(w.Expected >= 0 && w.Score >= 0 && w.Threshold >= 5) {
					t.Fatalf("%+v", w)
				}
			}
		}
	})
}
