package classifier

import (
	"errors"
	"fmt"
	"time"
)

// Config of the stage.
type Config struct {
	MaxOutOfOrderness time.Duration `koanf:"max_out_of_orderness" doc:"How far posts of a partition may be out of order in event time before they are late."`
	IdleAfter         time.Duration `koanf:"idle_after" doc:"Silence after which a partition is no longer waited for."`
}

// DefaultConfig returns what fits one machine.
func DefaultConfig() Config {
	return Config{MaxOutOfOrderness: time.Second, IdleAfter: time.Minute}
}

// Validate reports every fault.
func (c Config) Validate() error {
	var faults []error
	if c.MaxOutOfOrderness < 0 || c.MaxOutOfOrderness > time.Hour {
		faults = append(faults, fmt.Errorf("max_out_of_orderness is %s; 0s to 1h fit", c.MaxOutOfOrderness))
	}
	if c.IdleAfter < time.Second || c.IdleAfter > time.Hour {
		faults = append(faults, fmt.Errorf("idle_after is %s; 1s to 1h fit", c.IdleAfter))
	}
	return errors.Join(faults...)
}
