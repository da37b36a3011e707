package aggregator

import (
	"errors"
	"fmt"
	"time"
)

// Config of the stage.
type Config struct {
	AllowedLateness time.Duration `koanf:"allowed_lateness" doc:"How late in event time a mention may come and still count in the decisions that follow; later ones are counted in the tables only."`
	FlushRows       int           `koanf:"flush_rows" doc:"Rows that are written to ClickHouse at once, 1 to 1000000."`
	FlushEvery      time.Duration `koanf:"flush_every" doc:"How long rows wait for others; a changed incident does not wait."`
}

// DefaultConfig returns what fits one machine.
func DefaultConfig() Config {
	return Config{AllowedLateness: 5 * time.Minute, FlushRows: 20_000, FlushEvery: time.Second}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if c.AllowedLateness < 0 || c.AllowedLateness > time.Hour {
		faults = append(faults, fmt.Errorf("allowed_lateness is %s; 0s to 1h fit", c.AllowedLateness))
	}
	if c.FlushRows < 1 || c.FlushRows > 1_000_000 {
		faults = append(faults, fmt.Errorf("flush_rows is %d; 1 to 1000000 fit", c.FlushRows))
	}
	if c.FlushEvery < 10*time.Millisecond || c.FlushEvery > 10*time.Minute {
		faults = append(faults, fmt.Errorf("flush_every is %s; 10ms to 10m fit", c.FlushEvery))
	}
	return errors.Join(faults...)
}
