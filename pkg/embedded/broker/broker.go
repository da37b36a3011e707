package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

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

	// trimEvery is how often the sizes are looked at; 0 is five seconds.
	trimEvery time.Duration
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
	options []kfake.Opt
	log     string // kfake's folder; empty in memory
	door    *door
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
	b := &Broker{}
	if err := b.open(cfg, log); err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded broker: %w", err), b.Close())
	}
	debug.FreeOSMemory() // reading the log leaves garbage of its size
	return b, nil
}

// open starts everything. Where it fails, Close ends what it has started.
func (b *Broker) open(cfg Config, log *slog.Logger) error {
	var err error
	if cfg.DataDir != "" {
		if b.lock, err = dirlock.Acquire(cfg.DataDir); err != nil {
			return err
		}
		b.log = filepath.Join(cfg.DataDir, "log")
		if err := compactAtRest(b.log); err != nil {
			log.Warn("the embedded broker's log was not compacted", "err", err)
		}
	}
	if b.door, err = openDoor(fmt.Sprintf("127.0.0.1:%d", cfg.Port)); err != nil {
		return err
	}
	b.options = b.kfake(cfg, log)
	if b.cluster, err = kfake.NewCluster(b.options...); err != nil {
		return err
	}
	if cfg.TLS == nil && cfg.Users == nil {
		b.trimmer, err = startTrimmer(b, cfg, log)
	}
	return err
}

// kfake is how kfake is to run.
func (b *Broker) kfake(cfg Config, log *slog.Logger) []kfake.Opt {
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(b.door.listen),
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
	if b.log != "" {
		options = append(options, kfake.DataDir(b.log))
		if cfg.SyncWrites {
			options = append(options, kfake.SyncWrites())
		}
	}
	return options
}

// reopen closes kfake, does something to its files, and starts it again. Clients are cut off and find it at the same address. It tries until it
// succeeds or ctx ends.
func (b *Broker) reopen(ctx context.Context, log *slog.Logger, between func()) {
	b.cluster.Close()
	between()
	for {
		cluster, err := kfake.NewCluster(b.options...)
		if err == nil {
			b.cluster = cluster
			debug.FreeOSMemory()
			return
		}
		log.Error("the embedded broker does not open its log again; trying on", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
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
func (b *Broker) Addrs() []string { return []string{b.door.listener.Addr().String()} }

// Close ends the connections, writes what a fast start needs, and gives the data folder free. Later calls return the first's result.
func (b *Broker) Close() error {
	b.close.Do(func() {
		if b.trimmer != nil {
			b.trimmer.stop()
		}
		if b.cluster != nil {
			b.cluster.Close()
		}
		if b.door != nil {
			b.err = b.door.close()
		}
		if b.lock != nil {
			b.err = errors.Join(b.err, b.lock.Release())
		}
	})
	return b.err
}
