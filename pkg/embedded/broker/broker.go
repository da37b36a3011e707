package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake" // the only pure-Go broker that speaks the whole protocol, groups included, and keeps a log on disk

	"outcry.dev/pkg/embedded/internal/dirlock"
)

// Config says where the broker keeps its log and where it listens.
type Config struct {
	// DataDir holds topics, records and committed offsets over a restart. Empty keeps everything in memory, records included.
	DataDir string
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
	// SyncWrites waits for the disk at every write. Without it an acknowledged record survives the death of the process,
	// but not of the machine. Needs DataDir.
	SyncWrites bool
	// RetentionBytes is the size at which a partition is trimmed of what every group has read. 0 is 32 MiB, or 4 MiB in memory.
	RetentionBytes int64
	// TLS is how clients must speak to it; nil: in the clear. Users are who may, each with a password, by PLAIN and SCRAM; nil: everybody. Both are
	// for trying clients, and nothing is trimmed then.
	TLS   *tls.Config
	Users map[string]string
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var faults []error
	if c.Port < 0 || c.Port > 65535 {
		faults = append(faults, fmt.Errorf("broker port %d is outside 0 to 65535", c.Port))
	}
	if c.SyncWrites && c.DataDir == "" {
		faults = append(faults, errors.New("broker has no data folder to sync writes to"))
	}
	if c.RetentionBytes < 0 {
		faults = append(faults, fmt.Errorf("broker cannot retain %d bytes", c.RetentionBytes))
	}
	return errors.Join(faults...)
}

func (c Config) retentionBytes() int64 {
	switch {
	case c.RetentionBytes > 0:
		return c.RetentionBytes
	case c.DataDir == "":
		return 4 << 20
	default:
		return 32 << 20
	}
}

// Broker is a running Kafka broker.
type Broker struct {
	cluster *kfake.Cluster
	addrs   []string
	lock    *dirlock.Lock // nil in memory
	trimmer *trimmer      // nil where clients must show who they are
	close   sync.Once
	err     error
}

// Start opens the log and listens. The broker answers when Start returns; it runs until Close.
//
// A topic exists once a client has created it: neither producing to it nor asking for it makes one.
func Start(cfg Config, log *slog.Logger) (*Broker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	options := []kfake.Opt{
		kfake.Ports(cfg.Port),
		kfake.ClusterID("outcry"),
		kfake.WithLogger(logger{log}),
		kfake.BrokerConfigs(settings(cfg)),
	}
	if cfg.TLS != nil {
		options = append(options, kfake.TLS(cfg.TLS))
	}
	if cfg.Users != nil {
		options = append(options, kfake.EnableSASL())
		for name, password := range cfg.Users {
			for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
				options = append(options, kfake.Superuser(mechanism, name, password))
			}
		}
	}
	b := &Broker{}
	if cfg.DataDir != "" {
		lock, err := dirlock.Acquire(cfg.DataDir)
		if err != nil {
			return nil, fmt.Errorf("start the embedded broker: %w", err)
		}
		b.lock = lock
		options = append(options, kfake.DataDir(filepath.Join(cfg.DataDir, "log")))
		if cfg.SyncWrites {
			options = append(options, kfake.SyncWrites())
		}
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded broker on 127.0.0.1:%d: %w", cfg.Port, err), b.unlock())
	}
	b.cluster = cluster
	b.addrs = cluster.ListenAddrs()
	if cfg.TLS != nil || cfg.Users != nil {
		return b, nil
	}
	if b.trimmer, err = startTrimmer(b.addrs, cfg.retentionBytes(), log); err != nil {
		cluster.Close()
		return nil, errors.Join(err, b.unlock())
	}
	debug.FreeOSMemory() // reading the log leaves garbage of its size
	return b, nil
}

// settings differ from Kafka's own defaults for reasons that doc.go gives.
func settings(cfg Config) map[string]string {
	const century = "3153600000000" // milliseconds
	return map[string]string{
		"log.segment.bytes":         strconv.FormatInt(max(1<<16, cfg.retentionBytes()/4), 10), // what is deleted at once, and read at once at start
		"log.cleaner.backoff.ms":    century,
		"log.retention.ms":          "-1",
		"offsets.retention.minutes": "52560000", // a century
		// Everybody is on this machine: who has been silent for a second is dead.
		"group.min.session.timeout.ms": "1000",
	}
}

// Addrs are the bootstrap addresses, as host:port.
func (b *Broker) Addrs() []string { return append([]string(nil), b.addrs...) }

// Close ends the connections, writes what a fast start needs, and gives the data folder free. Later calls return the first's result.
func (b *Broker) Close() error {
	b.close.Do(func() {
		if b.trimmer != nil {
			b.trimmer.stop()
		}
		b.cluster.Close()
		b.err = b.unlock()
	})
	return b.err
}

func (b *Broker) unlock() error {
	if b.lock == nil {
		return nil
	}
	return b.lock.Release()
}
