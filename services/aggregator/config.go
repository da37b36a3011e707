package aggregator

import (
	"errors"
	"fmt"
	"time"
)

// Config of the stage.
type Config struct {
	AllowedLateness time.Duration `koanf:"allowed_lateness" doc:"How late in event time a mention may come and still count in the decisions that follow; later ones are counted in the tables only."`
	ExactPeople     int           `koanf:"exact_people" doc:"Distinct people of one service within an hour up to which windows count one by one, 1000 to 10000000; above, they are estimated with a standard error of 0.8 %, in 6 MB a service, and spike_windows says so."`
	SilentAfter     time.Duration `koanf:"silent_after" doc:"How long a source must deliver nothing before it is silent and its services unknown, 1m to 24h; longer for one that has few posts."`
	FlushRows       int           `koanf:"flush_rows" doc:"Rows that are written to ClickHouse at once, 1 to 1000000."`
	FlushEvery      time.Duration `koanf:"flush_every" doc:"How long rows wait for others; a changed incident does not wait."`
}

// DefaultConfig returns what fits one machine.
func DefaultConfig() Config {
	return Config{AllowedLateness: 5 * time.Minute, ExactPeople: 100_000, SilentAfter: 5 * time.Minute, FlushRows: 20_000, FlushEvery: time.Second}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if c.AllowedLateness < 0 || c.AllowedLateness > time.Hour {
		faults = append(faults, fmt.Errorf("allowed_lateness is %s; 0s to 1h fit", c.AllowedLateness))
	}
	if c.ExactPeople < 1000 || c.ExactPeople > 10_000_000 {
		faults = append(faults, fmt.Errorf("exact_people is %d; 1000 to 10000000 fit", c.ExactPeople))
	}
	if c.SilentAfter < time.Minute || c.SilentAfter > 24*time.Hour {
		faults = append(faults, fmt.Errorf("silent_after is %s; 1m to 24h fit", c.SilentAfter))
	}
	if c.FlushRows < 1 || c.FlushRows > 1_000_000 {
		faults = append(faults, fmt.Errorf("flush_rows is %d; 1 to 1000000 fit", c.FlushRows))
	}
	if c.FlushEvery < 10*time.Millisecond || c.FlushEvery > 10*time.Minute {
		faults = append(faults, fmt.Errorf("flush_every is %s; 10ms to 10m fit", c.FlushEvery))
	}
	return errors.Join(faults...)
}
