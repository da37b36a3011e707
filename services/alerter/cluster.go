package alerter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"outcry.dev/services/alerter/alert"
)

const (
	postedAtOnce = 256              // alerts in a request
	endedFor     = 15 * time.Minute // that an end is told again, as Prometheus does
	silentFactor = 4                // an alert that is not told again for so many times resend_every is over
	shortestLife = 4 * time.Minute  // as Prometheus's: an alerter that stalls for a moment ends no alert, which would page twice
	postTimeout  = 10 * time.Second
	longestPause = 30 * time.Second // between two attempts at a member that fails
)

// cluster tells alerts to every member of an Alertmanager cluster elsewhere.
type cluster struct {
	resend  time.Duration
	client  *http.Client
	metrics *metrics
	log     *slog.Logger
	members []*member
	stop    context.CancelFunc
	running sync.WaitGroup
}

// member is one Alertmanager. Each gets everything, however long it takes.
type member struct {
	*cluster
	address string
	mu      sync.Mutex
	known   map[string]alert.Alert // that fire or have just ended
	unsent  map[string]bool
	wake    chan struct{}
}

func newCluster(addresses []string, resend time.Duration, m *metrics, log *slog.Logger) *cluster {
	c := &cluster{resend: resend, metrics: m, log: log, client: &http.Client{Timeout: postTimeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 2, IdleConnTimeout: 5 * time.Minute, ForceAttemptHTTP2: true}}}
	for _, a := range addresses {
		c.members = append(c.members, &member{cluster: c, address: strings.TrimRight(a, "/"), known: map[string]alert.Alert{},
			unsent: map[string]bool{}, wake: make(chan struct{}, 1)})
	}
	return c
}

func (c *cluster) Start(ctx context.Context, known ...alert.Alert) error {
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	known = slices.DeleteFunc(slices.Clone(known), func(a alert.Alert) bool { return !a.EndsAt.IsZero() && time.Since(a.EndsAt) > endedFor })
	if err := c.Put(ctx, known...); err != nil {
		return err
	}
	for _, m := range c.members {
		c.running.Go(func() { m.run(ctx) })
	}
	return nil
}

func (c *cluster) Put(_ context.Context, alerts ...alert.Alert) error {
	for _, m := range c.members {
		m.mu.Lock()
		for _, a := range alerts {
			key := fingerprint(a)
			m.known[key], m.unsent[key] = a, true
		}
		m.mu.Unlock()
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

func (c *cluster) Stop() error {
	if c.stop != nil {
		c.stop()
	}
	c.running.Wait()
	c.client.CloseIdleConnections()
	return nil
}

func fingerprint(a alert.Alert) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
		b.WriteString(k + "\xff" + a.Labels[k] + "\xff")
	}
	return b.String()
}

func (m *member) run(ctx context.Context) {
	again := time.NewTicker(m.resend)
	defer again.Stop()
	pause := time.Duration(0)
	for {
		err := m.flush(ctx)
		var retry <-chan time.Time
		if err != nil && ctx.Err() == nil {
			pause = min(max(2*pause, time.Second), longestPause)
			m.log.Warn("cannot tell alerts to an alertmanager; trying again", "address", m.address, "in", pause, "error", err)
			retry = time.After(pause)
		} else {
			pause = 0
		}
		if retry != nil { // not at each change: it fails
			select {
			case <-ctx.Done():
				return
			case <-retry:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		case <-again.C:
			m.all()
		}
	}
}

// all has everything told again, and forgets what ended long ago.
func (m *member) all() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, a := range m.known {
		if !a.EndsAt.IsZero() && time.Since(a.EndsAt) > endedFor && !m.unsent[key] {
			delete(m.known, key)
			continue
		}
		m.unsent[key] = true
	}
}

func (m *member) flush(ctx context.Context) error {
	for {
		m.mu.Lock()
		keys := slices.Sorted(maps.Keys(m.unsent))
		keys = keys[:min(len(keys), postedAtOnce)]
		batch := make([]alert.Alert, 0, len(keys))
		ends := time.Now().Add(max(silentFactor*m.resend, shortestLife))
		for _, k := range keys {
			a := m.known[k]
			if a.EndsAt.IsZero() {
				a.EndsAt = ends
			}
			batch = append(batch, a)
			delete(m.unsent, k)
		}
		m.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if err := m.post(ctx, batch); err != nil {
			m.metrics.posts.WithLabelValues("failed").Inc()
			m.mu.Lock()
			for _, k := range keys {
				m.unsent[k] = true
			}
			m.mu.Unlock()
			return err
		}
		m.metrics.posts.WithLabelValues("ok").Inc()
	}
}

func (m *member) post(ctx context.Context, alerts []alert.Alert) error {
	body, err := json.Marshal(alerts)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.address+"/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		return redacted(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "outcry")
	resp, err := m.client.Do(req)
	if err != nil {
		return redacted(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d%s", resp.StatusCode, excerpt(answer))
	}
	return nil
}
