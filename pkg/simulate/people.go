package simulate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// region is one row of world/regions.txt: people who share a language and a clock.
type region struct {
	name      string
	country   string // what a service's "where" refers to
	lang      string
	utcOffset time.Duration
	summer    string  // rule of daylight saving: eu, us or none
	weight    float64 // its people among all, in 2010
	weightNow float64 // and in the 2020s
	places    []string
}

func (w *world) addRegion(f []string) error {
	if len(f) != 8 {
		return fmt.Errorf("%d columns instead of 8", len(f))
	}
	hours, err := strconv.ParseFloat(f[3], 64)
	if err != nil {
		return err
	}
	r := region{name: f[0], country: f[1], lang: f[2], utcOffset: time.Duration(hours * float64(time.Hour)), summer: f[4], places: list(f[7])}
	if r.weight, err = strconv.ParseFloat(f[5], 64); err != nil {
		return err
	}
	if r.weightNow, err = strconv.ParseFloat(f[6], 64); err != nil {
		return err
	}
	if r.summer != "eu" && r.summer != "us" && r.summer != "none" {
		return fmt.Errorf("region %s has the unknown rule of daylight saving %q", r.name, r.summer)
	}
	w.regions = append(w.regions, r)
	return nil
}

// local is the wall clock of the region, by today's rules of the European Union and the United States. Package time would need the
// system's zone files, hence input.
func (r *region) local(t time.Time) time.Time {
	offset := r.utcOffset
	switch year := t.UTC().Year(); r.summer {
	case "eu": // last Sundays of March and October, 01:00 UTC everywhere
		if from, to := lastSunday(year, time.March).Add(time.Hour), lastSunday(year, time.October).Add(time.Hour); !t.Before(from) && t.Before(to) {
			offset += time.Hour
		}
	case "us": // second Sunday of March and first of November, 02:00 local
		from := firstSunday(year, time.March).AddDate(0, 0, 7).Add(2*time.Hour - r.utcOffset)
		to := firstSunday(year, time.November).Add(time.Hour - r.utcOffset)
		if !t.Before(from) && t.Before(to) {
			offset += time.Hour
		}
	}
	return t.UTC().Add(offset)
}

func firstSunday(year int, m time.Month) time.Time {
	first := time.Date(year, m, 1, 0, 0, 0, 0, time.UTC)
	return first.AddDate(0, 0, (7-int(first.Weekday()))%7)
}

func lastSunday(year int, m time.Month) time.Time {
	last := time.Date(year, m+1, 0, 0, 0, 0, 0, time.UTC)
	return last.AddDate(0, 0, -int(last.Weekday()))
}

// hourly is how much people post at each local hour; its mean is 1. Low at night, a step at lunch, highest in the evening.
var hourly = normalised([24]float64{
	0.62, 0.38, 0.23, 0.15, 0.12, 0.16, 0.32, 0.62, 0.88, 1.00, 1.06, 1.12, 1.22, 1.20, 1.12, 1.10, 1.13, 1.20, 1.30, 1.42, 1.55, 1.60, 1.42, 1.02,
})

func normalised(h [24]float64) [24]float64 {
	sum := 0.0
	for _, v := range h {
		sum += v
	}
	for i := range h {
		h[i] *= 24 / sum
	}
	return h
}

// activity is the region's posting rate at an instant, relative to its mean.
func (r *region) activity(t time.Time) float64 {
	local := r.local(t)
	hour, share := local.Hour(), float64(local.Minute())/60
	level := hourly[hour]*(1-share) + hourly[(hour+1)%24]*share
	if day := local.Weekday(); day == time.Saturday || day == time.Sunday {
		// Weekends start late and are a little quieter.
		if local.Hour() < 10 {
			level *= 0.8
		}
		level *= 0.95
	}
	return level
}

// names are the parts of handles, by language.
type names struct {
	first map[string][]string
	last  []string
}

func (n *names) add(f []string) error {
	if len(f) != 2 {
		return fmt.Errorf("%d columns instead of 2", len(f))
	}
	if f[0] == "*" {
		n.last = list(f[1])
		return nil
	}
	if n.first == nil {
		n.first = map[string][]string{}
	}
	n.first[f[0]] = list(f[1])
	return nil
}

// author is one person: everything about them follows from the region and the number.
type author struct {
	region *region
	key    uint64 // of all that is particular to the person
	handle string
	source int
	voice  voice
}

// handle writes the number as a name. Different numbers of a region give different handles; the region's index keeps regions apart.
func (n *names) handle(regionIndex int, r *region, number uint64, key uint64) string {
	first := n.first[r.lang]
	a := first[number%uint64(len(first))]
	number /= uint64(len(first))
	b := n.last[number%uint64(len(n.last))]
	number /= uint64(len(n.last))
	var sb strings.Builder
	sb.WriteString(a)
	separator := [...]string{"", "_", ""}[key%3]
	if key>>8%4 == 0 && separator == "" {
		b = strings.ToUpper(b[:1]) + b[1:]
	}
	sb.WriteString(separator)
	sb.WriteString(b)
	// The rest is written so that it stays unique: the region in the last digits.
	if tail := number*100 + uint64(regionIndex); tail > 0 {
		if key>>16%5 == 0 {
			sb.WriteByte('_')
		}
		sb.WriteString(strconv.FormatUint(tail, 10))
	}
	return sb.String()
}

// rank draws a person's number among n, heavy-tailed: a third of the posts come from few people, whose ranks follow Zipf's law with
// exponent 1, shifted (Mandelbrot) so that nobody fills the stream alone; the others come from anybody. u and v are uniform in [0, 1).
func rank(n uint64, u, v float64) uint64 {
	if v >= 0.33 {
		return uint64(u * float64(n))
	}
	const shift = 20
	r := shift*math.Pow(float64(n+shift)/shift, u) - shift
	return min(uint64(r), n-1)
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): unrelated bits from related numbers.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
