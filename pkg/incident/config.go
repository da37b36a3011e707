package incident

import (
	"errors"
	"fmt"
	"time"
)

// Config says when an incident changes its state. Durations are of event time.
type Config struct {
	// ConfirmAfter is how long the alarm must hold before a suspected incident is confirmed.
	ConfirmAfter time.Duration `koanf:"confirm_after"`
	// RecoverAfter is how long it must be calm before an incident is recovering.
	RecoverAfter time.Duration `koanf:"recover_after"`
	// ResolveAfter is how long it must be calm before an incident is resolved; longer than RecoverAfter.
	ResolveAfter time.Duration `koanf:"resolve_after"`
	// ReopenWithin is how long after its resolution an alarm reopens an incident instead of opening another.
	ReopenWithin time.Duration `koanf:"reopen_within"`
	// MaxOpen is how long an incident stays open; what lasts longer is the new usual.
	MaxOpen time.Duration `koanf:"max_open"`
	// UpdateEvery is the least time between two updates that change neither state, severity nor official word.
	UpdateEvery time.Duration `koanf:"update_every"`
	// MajorPeople and CriticalPeople are the distinct people from which on an incident is major and critical.
	MajorPeople    int `koanf:"major_people"`
	CriticalPeople int `koanf:"critical_people"`
	// MaxPeople is up to how many distinct people an incident counts exactly; beyond, it estimates.
	MaxPeople int `koanf:"max_people"`
}

// DefaultConfig suits services with tens to millions of users on public networks.
func DefaultConfig() Config {
	return Config{
		ConfirmAfter:   2 * time.Minute,
		RecoverAfter:   10 * time.Minute,
		ResolveAfter:   30 * time.Minute,
		ReopenWithin:   2 * time.Hour,
		MaxOpen:        72 * time.Hour,
		UpdateEvery:    time.Minute,
		MajorPeople:    50,
		CriticalPeople: 500,
		MaxPeople:      100_000,
	}
}

// Validate returns all faults at once.
func (c Config) Validate() error {
	var faults []error
	duration := func(name string, d, least, most time.Duration) {
		if d < least || d > most {
			faults = append(faults, fmt.Errorf("%s is %v; set %v to %v", name, d, least, most))
		}
	}
	duration("confirm_after", c.ConfirmAfter, 0, time.Hour)
	duration("recover_after", c.RecoverAfter, time.Minute, 6*time.Hour)
	duration("resolve_after", c.ResolveAfter, time.Minute, 24*time.Hour)
	duration("reopen_within", c.ReopenWithin, 0, 24*time.Hour)
	duration("max_open", c.MaxOpen, time.Hour, 30*24*time.Hour)
	duration("update_every", c.UpdateEvery, 0, time.Hour)
	if c.ResolveAfter < c.RecoverAfter {
		faults = append(faults, fmt.Errorf("resolve_after is %v, shorter than recover_after, %v; set it at least as long", c.ResolveAfter, c.RecoverAfter))
	}
	if c.MajorPeople < 1 || c.CriticalPeople < c.MajorPeople {
		faults = append(faults, fmt.Errorf("major_people is %d and critical_people %d; set both to 1 or more, the second not below the first", c.MajorPeople, c.CriticalPeople))
	}
	if c.MaxPeople < 1000 || c.MaxPeople > 10_000_000 {
		faults = append(faults, fmt.Errorf("max_people is %d; set 1000 to 10000000", c.MaxPeople))
	}
	return errors.Join(faults...)
}
