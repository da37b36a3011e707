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
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"outcry.dev/pkg/store"
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
	told    *told
	logged  *deliveries
	members []*member
	stop    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	known map[string]alert.Alert // that fire or have just ended, by their labels
	// beginning counts the requests under way that tell of an alert that fires.
	beginning map[string]int
}

// member is one Alertmanager. Each gets everything, however long it takes.
type member struct {
	*cluster
	address string
	host    string
	unsent  map[string]bool // true for what is news, not told once more
	has     map[string]bool // what it was told that fires; its goroutine's own
	wake    chan struct{}
}

func newCluster(addresses []string, resend time.Duration, t *told, logged *deliveries, m *metrics, log *slog.Logger) *cluster {
	c := &cluster{resend: resend, told: t, logged: logged, metrics: m, log: log, known: map[string]alert.Alert{}, beginning: map[string]int{},
		client: &http.Client{Timeout: postTimeout, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 2, IdleConnTimeout: 5 * time.Minute, ForceAttemptHTTP2: true}}}
	for _, a := range addresses {
		m := &member{cluster: c, address: strings.TrimRight(a, "/"), unsent: map[string]bool{}, has: map[string]bool{}, wake: make(chan struct{}, 1)}
		if u, err := url.Parse(a); err == nil {
			m.host = u.Host
		}
		c.members = append(c.members, m)
	}
	return c
}

func (c *cluster) Start(ctx context.Context, known ...alert.Alert) error {
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	known = slices.DeleteFunc(slices.Clone(known), func(a alert.Alert) bool { return overFor(a, endedFor) && (!a.Doubt || c.told.Has(a.Labels)) })
	if err := c.Put(ctx, known...); err != nil {
		return err
	}
	for _, m := range c.members {
		c.running.Go(func() { m.run(ctx) })
	}
	return nil
}

// overFor says whether an alert ended longer ago than d.
func overFor(a alert.Alert, d time.Duration) bool {
	return !a.EndsAt.IsZero() && time.Since(a.EndsAt) > d
}

func (c *cluster) Put(_ context.Context, alerts ...alert.Alert) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range alerts {
		c.put(a)
	}
	return nil
}

// put has every member told of an alert. The caller holds the lock.
func (c *cluster) put(a alert.Alert) {
	key := fingerprint(a.Labels)
	c.known[key] = a
	for _, m := range c.members {
		m.unsent[key] = true
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

func (c *cluster) Stop() error {
	if c.stop != nil {
		c.stop()
	}
	c.running.Wait()
	c.client.CloseIdleConnections()
	return nil
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
		waits := func(o *member) bool { _, ok := o.unsent[key]; return ok }
		switch over := overFor(a, endedFor); {
		case !over && !waits(m):
			m.unsent[key] = false
		case over && m.beginning[key] == 0 && !slices.ContainsFunc(m.members, waits):
			delete(m.known, key)
		}
	}
}

func (m *member) flush(ctx context.Context) error {
	for {
		now := time.Now()
		batch := m.take(now)
		if len(batch) == 0 {
			return nil
		}
		err := m.post(ctx, batch)
		m.record(batch, now, err)
		result := "ok"
		if err != nil {
			result = "failed"
		} else if err := m.told.Add(begun(batch, now)...); err != nil {
			m.log.Error("cannot keep which alerts were told: after a restart they may be told again", "error", err)
		}
		m.metrics.posts.WithLabelValues(result).Inc()
		m.posted(batch, now, err == nil)
		if err != nil {
			return err
		}
	}
}

// posting is an alert on its way to a member.
type posting struct {
	alert.Alert
	news bool
}

// record puts what is news in the delivery log.
func (m *member) record(batch []posting, at time.Time, err error) {
	row := store.Delivery{Time: at, Channel: channelPage, Receiver: m.host, Integration: "alertmanager", Result: "ok", Took: time.Since(at)}
	if err != nil {
		row.Result, row.Error = "retry", err.Error()
	}
	for _, a := range batch {
		key := fingerprint(a.Labels)
		had := m.has[key]
		row.Firing = a.EndsAt.After(at)
		if err == nil && row.Firing {
			m.has[key] = true
		} else if err == nil {
			delete(m.has, key)
		}
		if a.Annotations[alert.Superseded] != "" || !a.news || row.Firing && had {
			continue // it is told once more, or as another
		}
		row.Incident, row.Service, row.Test = a.Labels["incident"], a.Labels["service"], a.Labels["test"] == "true"
		m.logged.add(row)
	}
}

// take returns what the member is to be told next.
func (m *member) take(now time.Time) (batch []posting) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(m.unsent)) {
		// An alert that takes the place of another stands behind it: they go together.
		if len(batch) >= postedAtOnce && m.known[key].Labels["incident"] != batch[len(batch)-1].Labels["incident"] {
			break
		}
		a := m.known[key]
		// What ended before anybody was told of it is told now. Where another member is just being told of the beginning, that is left to it.
		if a.Doubt && !a.EndsAt.After(now) && m.beginning[key] == 0 && !m.told.Has(a.Labels) {
			if late, ok := alert.Late(a, now); ok {
				a = late
				m.put(a)
			}
		}
		news := m.unsent[key]
		delete(m.unsent, key)
		if a.EndsAt.IsZero() {
			a.EndsAt = now.Add(max(silentFactor*m.resend, shortestLife))
		}
		batch = append(batch, posting{a, news})
	}
	for _, labels := range begun(batch, now) {
		m.beginning[fingerprint(labels)]++
	}
	return batch
}

// posted notes what became of what take returned at a moment.
func (m *member) posted(batch []posting, at time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, labels := range begun(batch, at) {
		key := fingerprint(labels)
		if m.beginning[key]--; m.beginning[key] == 0 {
			delete(m.beginning, key)
		}
	}
	if ok {
		return
	}
	for _, a := range batch {
		if key := fingerprint(a.Labels); m.known[key].Labels != nil { // otherwise it ended long ago
			m.unsent[key] = m.unsent[key] || a.news
		}
	}
}

// begun returns the labels of the alerts that fire at a moment.
func begun(batch []posting, at time.Time) (labels []map[string]string) {
	for _, a := range batch {
		if a.EndsAt.After(at) {
			labels = append(labels, a.Labels)
		}
	}
	return labels
}

func (m *member) post(ctx context.Context, alerts []posting) error {
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
