package detect

import (
	"errors"
	"fmt"
	"math"
)

// Config is what a user chooses about detection.
type Config struct {
	// FalseAlarmsPerMonth is the false-alarm budget of one service: how many alarms a month (30.44 days) chance may raise. More than 0,
	// at most 1,000.
	FalseAlarmsPerMonth float64 `koanf:"false_alarms_per_month"`
	// MinPeople is the number of distinct people below which nothing is an alarm, however unlikely. 1 to 1,000,000.
	MinPeople int `koanf:"min_people"`
}

// DefaultConfig allows each service one false alarm in ten months: with hundreds of services that is still one a day.
func DefaultConfig() Config { return Config{FalseAlarmsPerMonth: 0.1, MinPeople: 5} }

// Validate returns all faults at once.
func (c Config) Validate() error {
	var faults []error
	if !(c.FalseAlarmsPerMonth > 0 && c.FalseAlarmsPerMonth <= 1000) || math.IsNaN(c.FalseAlarmsPerMonth) {
		faults = append(faults, fmt.Errorf("false_alarms_per_month is %v; set more than 0 and at most 1000, for example 0.1", c.FalseAlarmsPerMonth))
	}
	if c.MinPeople < 1 || c.MinPeople > 1_000_000 {
		faults = append(faults, fmt.Errorf("min_people is %d; set 1 to 1000000, for example 5", c.MinPeople))
	}
	return errors.Join(faults...)
}
