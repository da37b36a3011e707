package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/bus"
	"outcry.dev/pkg/embedded/broker"
	"outcry.dev/pkg/topics"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/ingest"
	"outcry.dev/services/ingest/polite"
	"outcry.dev/services/ingest/source"
)

func (a *app) sourcesCommand() *cli.Command {
	return &cli.Command{
		Name:  "sources",
		Usage: "what is listened to, and how that goes",
		Description: `Lists every source that is configured here or was ever listened to, as the processes that run them tell it through Kafka:

  state   live, connecting, waiting (the connection is gone and will be made again), done, stopped; gone where whoever ran it has
          been silent for half a minute; new where nobody has run it yet
  lag     how much later than its own time the latest post came
  rate    events a second, over about the last minute
  cursor  where it goes on: what comes before is safe in Kafka

It asks kafka.brokers, or the engines of an ` + "`outcry up`" + ` that runs with this data_dir, or what that has left there.

Examples:
  outcry sources
  outcry sources --json | jq 'select(.state != "live")'`,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print a JSON object a source"}},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := wantArgs(cmd, 0, 0, "options"); err != nil {
				return err
			}
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			return a.sources(ctx, cfg, cmd.Bool("json"))
		},
	}
}

// silent is how long after the last word of its owner a source counts as gone.
const silent = 30 * time.Second

// sourceLine is what is printed of a source.
type sourceLine struct {
	Source     string     `json:"source"`
	State      string     `json:"state"`
	Configured bool       `json:"configured"`
	Since      *time.Time `json:"since,omitempty"`
	Peer       string     `json:"peer,omitempty"`
	LagSeconds *float64   `json:"lag_seconds,omitempty"`
	Rate       float64    `json:"events_per_second"`
	Posts      int64      `json:"posts"`
	Deletes    int64      `json:"deletes"`
	Unreadable int64      `json:"unreadable"`
	LastEvent  *time.Time `json:"last_event,omitempty"`
	Cursor     string     `json:"cursor,omitempty"`
	LastError  string     `json:"last_error,omitempty"`
	LastErrAt  *time.Time `json:"last_error_at,omitempty"`
	Reconnects int64      `json:"reconnects"`
	Gaps       int64      `json:"gaps"`
	LastGap    string     `json:"last_gap,omitempty"`
	Note       string     `json:"note,omitempty"`
	Owner      string     `json:"owner,omitempty"`
	Told       *time.Time `json:"told_at,omitempty"`
}

func (a *app) sources(ctx context.Context, cfg Config, asJSON bool) error {
	configured, err := configuredSources(cfg, a)
	if err != nil {
		return err
	}
	states, err := a.sourceStates(ctx, cfg)
	if err != nil {
		return err
	}
	lines := sourceLines(configured, states, time.Now())
	if asJSON {
		out := json.NewEncoder(a.stdout)
		for _, l := range lines {
			if err := out.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "source\tstate\tlag\trate/s\tposts\tlast event\tcursor\tlast error")
	for _, l := range lines {
		lag, last := "-", "-"
		if l.LagSeconds != nil {
			lag = time.Duration(*l.LagSeconds * float64(time.Second)).Round(100 * time.Millisecond).String()
		}
		if l.LastEvent != nil {
			last = l.LastEvent.Format(time.RFC3339)
		}
		state := l.State
		if !l.Configured {
			state += " (not configured)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%d\t%s\t%s\t%s\n", l.Source, state, lag, l.Rate, l.Posts, last, cmp.Or(l.Cursor, "-"), cmp.Or(l.LastError, "-"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, l := range lines {
		for _, note := range l.notes() {
			fmt.Fprintf(a.stdout, "\n%s: %s\n", l.Source, note)
		}
	}
	return nil
}

// notes are what a person should know of a source besides.
func (l *sourceLine) notes() (notes []string) {
	if l.Note != "" {
		notes = append(notes, l.Note)
	}
	if l.Unreadable > 0 {
		notes = append(notes, fmt.Sprintf("%d unreadable since its process began; dead.v1 has them, with the reasons", l.Unreadable))
	}
	if l.Gaps > 0 {
		notes = append(notes, fmt.Sprintf("%d gaps, in which posts were missed; the last one: %s", l.Gaps, l.LastGap))
	}
	return notes
}

// configuredSources are those that a live ingest would run.
func configuredSources(cfg Config, a *app) ([]source.Source, error) {
	c, err := loadCatalog(cfg)
	if err != nil {
		return nil, err
	}
	all, err := cfg.Ingest.Sources(source.Deps{Log: a.logger(cfg.Log), Catalog: c})
	if err != nil {
		return nil, fmt.Errorf("ingest: %w", err)
	}
	return all, nil
}

// probeTime is how long a source may take to answer a probe.
const probeTime = 20 * time.Second

// examineSources asks each configured source whether it would work.
func (a *app) examineSources(ctx context.Context, cfg Config, check func(what string, f func() (string, error))) {
	all, err := configuredSources(cfg, a)
	if err != nil {
		check("sources", func() (string, error) { return "", err })
		return
	}
	if len(all) == 0 {
		check("sources", func() (string, error) { return "none is enabled", nil })
	}
	for _, s := range all {
		check("source "+s.Name(), func() (string, error) {
			p, ok := s.(source.Prober)
			if !ok {
				return "enabled", nil
			}
			ctx, cancel := context.WithTimeout(ctx, probeTime)
			defer cancel()
			found, err := p.Probe(ctx)
			if err != nil {
				return "", fmt.Errorf("%w; %s", err, remedy(s.Name(), err))
			}
			return found, nil
		})
	}
}

// remedy says what may help against the failure of a probe.
func remedy(name string, err error) string {
	var answer *polite.StatusError
	if errors.As(err, &answer) && (answer.Code == http.StatusTooManyRequests || answer.Code >= 500) {
		return "the server is busy, or has had enough of requests: ask again in some minutes"
	}
	section, _, _ := strings.Cut(name, "/")
	return "check ingest." + section + " in the configuration, or leave it out there"
}

// sourceLines joins what is configured with what was told.
func sourceLines(configured []source.Source, states []*outcryv1.SourceState, now time.Time) []sourceLine {
	lines := []sourceLine{}
	known := map[string]*outcryv1.SourceState{}
	for _, s := range states {
		known[s.GetSource()] = s
	}
	for _, c := range configured {
		l := sourceLine{Source: c.Name(), State: "new"}
		if s := known[c.Name()]; s != nil {
			l = sourceLineOf(s, now)
			delete(known, c.Name())
		}
		l.Configured = true
		lines = append(lines, l)
	}
	for _, s := range states {
		if known[s.GetSource()] != nil {
			lines = append(lines, sourceLineOf(s, now))
		}
	}
	return lines
}

func sourceLineOf(s *outcryv1.SourceState, now time.Time) sourceLine {
	l := sourceLine{Source: s.GetSource(), State: s.GetState(), Since: timeOf(s.GetSinceUs()), Peer: s.GetPeer(), Rate: s.GetRate(), Posts: s.GetPosts(),
		Deletes: s.GetDeletes(), Unreadable: s.GetUnreadable(), LastEvent: timeOf(s.GetLastEventUs()), Cursor: s.GetCursor(), LastError: s.GetLastError(),
		LastErrAt: timeOf(s.GetLastErrorUs()), Reconnects: s.GetReconnects(), Gaps: s.GetGaps(), LastGap: s.GetLastGap(), Note: s.GetNote(), Owner: s.GetOwner(),
		Told: timeOf(s.GetWrittenUs())}
	if s.GetEventTimeUs() != 0 {
		lag := max(0, float64(s.GetLastEventUs()-s.GetEventTimeUs())/1e6)
		l.LagSeconds = &lag
	}
	ended := l.State == string(source.Done) || l.State == string(source.Stopped)
	if !ended && now.Sub(time.UnixMicro(s.GetWrittenUs())) > silent {
		l.State = "gone"
	}
	if ended || l.State == "gone" {
		l.Rate = 0
	}
	return l
}

func timeOf(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := time.UnixMicro(us).UTC()
	return &t
}

// sourceStates asks whichever broker there is. Without any, nothing was told.
func (a *app) sourceStates(ctx context.Context, cfg Config) ([]*outcryv1.SourceState, error) {
	log := a.logger(cfg.Log)
	kafka := kafkaConfig(cfg)
	if len(kafka.Brokers) == 0 {
		if address := runningBroker(ctx, cfg); address != "" {
			kafka.Brokers = []string{address}
		} else {
			dir := filepath.Join(cfg.DataDir, "kafka")
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			b, err := broker.Start(broker.Config{DataDir: dir}, log)
			if err != nil {
				return nil, err
			}
			defer func() { _ = b.Close() }() // it was only read from
			kafka.Brokers = b.Addrs()
		}
	}
	k := bus.New(kafka, log)
	defer k.Close()
	// A broker that has never met a stage has no topics.
	if err := k.EnsureTopics(ctx, topics.All(cfg.Kafka.Partitions)...); err != nil {
		return nil, err
	}
	return ingest.States(ctx, k)
}

// brokerFile is where a process says at which address its embedded broker answers.
const brokerFile = "broker.address"

// announceBroker writes the address of the embedded broker for other processes on this machine.
func announceBroker(cfg Config, address string) (remove func() error, err error) {
	path := filepath.Join(cfg.DataDir, brokerFile)
	if err := os.WriteFile(path, []byte(address+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("say where the embedded broker is: %w", err)
	}
	return func() error { return os.Remove(path) }, nil
}

// runningBroker returns the address of the embedded broker of a process that runs with this data folder, or "".
func runningBroker(ctx context.Context, cfg Config) string {
	b, err := os.ReadFile(filepath.Join(cfg.DataDir, brokerFile))
	address := strings.TrimSpace(string(b))
	if err != nil || checkAddress(address) != nil {
		return ""
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return "" // left by a process that was killed
	}
	_ = conn.Close()
	return address
}
