package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v3"

	"outcry.dev/pkg/embedded/clickhouse"
	"outcry.dev/pkg/store"
	"outcry.dev/services/api"
)

func (a *app) benchAPICommand() *cli.Command {
	return &cli.Command{
		Name:  "api",
		Usage: "measure how fast the api answers, over synthetic counts",
		Description: `Fills a database of its own with counts by the minute, works its days out as the api does once they are over and quiet, starts the api on loopback and
asks it, as a client in the same process:

  series  a day by minute of a service and a day chosen at random, at a fixed rate, whether or not earlier answers have come; the time of an
          answer counts from when it was due
  again   the same requests once more
  embeds  the same few charts as pages, from memory, as fast as they come

It prints the latencies of the first two with the processor time of a request, in this process and in the embedded ClickHouse, and what of it a client costs
with a server that only hands out the same bytes; and the requests/s of the third. What the api may keep in memory is api.minutes_mb: with 0 nearly every
request is one to ClickHouse. Where clickhouse.address is set that server is used; the database is dropped in the end.

Examples:
  outcry bench api
  outcry bench api --services 100 --days 3 --seconds 5 --json
  OUTCRY_API_MINUTES_MB=0 outcry bench api`,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "services", Value: 1000, Usage: "`NUMBER` of services"},
			&cli.IntFlag{Name: "days", Value: 30, Usage: "`NUMBER` of days"},
			&cli.IntFlag{Name: "rate", Value: 200, Usage: "`NUMBER` of requests a second for series"},
			&cli.IntFlag{Name: "seconds", Value: 20, Usage: "`NUMBER` of seconds for each part"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`NUMBER` from which the choice follows"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: a.benchAPI,
	}
}

// benchAPIResult is what --json prints.
type benchAPIResult struct {
	Services     int       `json:"services"`
	Days         int       `json:"days"`
	FillSeconds  float64   `json:"fill_seconds"`
	CloseSeconds float64   `json:"close_seconds"`
	Series       latencies `json:"series"`
	Again        latencies `json:"series_again"`
	// ClientCPU is what the client and a server that only hands out the same bytes use for a request, which is in CPU of the others too.
	ClientCPU     float64 `json:"client_cpu_ms"`
	EmbedsASecond float64 `json:"embed_requests_per_second"`
}

type latencies struct {
	Rate     int     `json:"rate"`
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"`
	P50      float64 `json:"p50_ms"`
	P90      float64 `json:"p90_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
	// CPU and EngineCPU are the processor time of a request in this process, the client included, and in the embedded ClickHouse.
	CPU       float64 `json:"cpu_ms"`
	EngineCPU float64 `json:"engine_cpu_ms"`
}

func (a *app) benchAPI(ctx context.Context, cmd *cli.Command) (err error) {
	if err := wantArgs(cmd, 0, 0, "options"); err != nil {
		return err
	}
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	services, days, rate, seconds := cmd.Int("services"), cmd.Int("days"), cmd.Int("rate"), cmd.Int("seconds")
	catalog, err := loadCatalog(cfg)
	if err != nil {
		return err
	}
	switch {
	case services < 1 || services > len(catalog.Services):
		return usagef(cmd, "--services is %d; expected 1 to %d, the services of the catalog", services, len(catalog.Services))
	case days < 1 || days > 400:
		return usagef(cmd, "--days is %d; expected 1 to 400", days)
	case rate < 1 || rate > 100_000:
		return usagef(cmd, "--rate is %d; expected 1 to 100000", rate)
	case seconds < 1 || seconds > 3600:
		return usagef(cmd, "--seconds is %d; expected 1 to 3600", seconds)
	}
	log := a.logger(cfg.Log)
	cfg.ClickHouse.Database = fmt.Sprintf("bench_api_%d", time.Now().UnixNano())
	if cfg.ClickHouse.Address == "" {
		remove, err := scratch(&cfg, "")
		if err != nil {
			return err
		}
		defer remove()
	}
	e := &engines{click: clickhouseConfig(cfg)}
	defer func() { a.closing(e) }()
	if cfg.ClickHouse.Address == "" {
		if err := e.startClickHouse(ctx, cfg, a.stderr, log); err != nil {
			return err
		}
	}
	s, err := store.Open(e.click, log)
	if err != nil {
		return err
	}
	e.closed = append(e.closed, s.Close)
	if _, err := s.Migrate(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.DropDatabase(context.WithoutCancel(ctx))) }()
	var ids []string
	for _, service := range catalog.Services[:services] {
		ids = append(ids, service.ID)
	}
	until := time.Now().UTC().Truncate(24 * time.Hour)
	fmt.Fprintf(a.stderr, "filling %d services, %d days by minute\n", services, days)
	start := time.Now()
	if err := s.Synthesize(ctx, ids, days, until); err != nil {
		return err
	}
	result := benchAPIResult{Services: services, Days: days, FillSeconds: time.Since(start).Seconds()}
	fmt.Fprintln(a.stderr, "working the days out")
	start = time.Now()
	for n := 1; n > 0; {
		if n, err = s.CloseDays(ctx, 0); err != nil {
			return err
		}
	}
	result.CloseSeconds = time.Since(start).Seconds()
	registry := prometheus.NewRegistry()
	server := api.New(api.Config{Listen: "127.0.0.1:0", PublicRead: true, MinutesMB: cfg.API.MinutesMB}, api.Deps{Store: s, Catalog: catalog, Registry: registry, Gatherer: registry, Log: log})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	address, err := server.Addr(ctx)
	if err != nil {
		return err
	}
	c := &benchClient{base: "http://" + address, server: e.server, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	defer c.client.CloseIdleConnections()
	var random *rand.Rand
	day := func() string {
		from := until.AddDate(0, 0, -1-random.IntN(days))
		return "?from=" + from.Format(time.RFC3339) + "&to=" + from.AddDate(0, 0, 1).Format(time.RFC3339)
	}
	fmt.Fprintf(a.stderr, "asking for series, %d a second\n", rate)
	series := func() string { return "/v1/services/" + ids[random.IntN(len(ids))] + "/series" + day() + "&step=1m" }
	for _, l := range []*latencies{&result.Series, &result.Again} {
		random = rand.New(rand.NewPCG(cmd.Uint64("seed"), 0))
		*l = c.atRate(ctx, rate, seconds, series)
	}
	if result.ClientCPU, err = c.alone(ctx, rate, min(seconds, 5), series()); err != nil {
		return err
	}
	fmt.Fprintln(a.stderr, "asking for embeds")
	if result.EmbedsASecond, err = c.flatOut(ctx, seconds, "/embed/services/"+ids[0]+day()+"&step=15m"); err != nil {
		return err
	}
	if cmd.Bool("json") {
		return json.NewEncoder(a.stdout).Encode(result)
	}
	fmt.Fprintf(a.stdout, "%d services, %d days by minute; filled in %.0f s, days worked out in %.0f s\n", services, days, result.FillSeconds, result.CloseSeconds)
	for _, part := range []struct {
		name string
		latencies
	}{{"series", result.Series}, {"again", result.Again}} {
		fmt.Fprintf(a.stdout, "%-7s %d requests, %d a second: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, at most %.1f ms; %d failed; processor time of a request %.2f ms here, %.2f ms in ClickHouse\n",
			part.name, part.Requests, part.Rate, part.P50, part.P90, part.P99, part.Max, part.Failed, part.CPU, part.EngineCPU)
	}
	fmt.Fprintf(a.stdout, "client  %.2f ms of processor time for a request, with a server that only hands out the same bytes\n", result.ClientCPU)
	fmt.Fprintf(a.stdout, "embeds  %.0f requests/s from memory, the client included\n", result.EmbedsASecond)
	return nil
}

type benchClient struct {
	base   string
	client *http.Client
	server *clickhouse.Server // nil where it runs elsewhere
}

// processorTimes are those of this process and of the embedded ClickHouse.
func (c *benchClient) processorTimes() (own, engine time.Duration) {
	if c.server != nil {
		engine = processorTimeOf(c.server.PID())
	}
	return processorTime(), engine
}

// alone returns the processor time of a request, in ms, to a server that only hands out what path gives.
func (c *benchClient) alone(ctx context.Context, rate, seconds int, path string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	bare := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // whoever asked has gone
	})}
	ended := make(chan error, 1)
	go func() { ended <- bare.Serve(listener) }()
	to := &benchClient{base: "http://" + listener.Addr().String(), client: c.client}
	l := to.atRate(ctx, rate, seconds, func() string { return "/" })
	if err = errors.Join(bare.Close(), <-ended); errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return l.CPU, err
}

func (c *benchClient) get(ctx context.Context, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New("status " + strconv.Itoa(resp.StatusCode) + " of " + path)
	}
	return nil
}

// atRate asks at fixed moments; the time of an answer counts from its moment, so that waiting is not left out.
func (c *benchClient) atRate(ctx context.Context, rate, seconds int, next func() string) latencies {
	l := latencies{Rate: rate, Requests: rate * seconds}
	took := make([]time.Duration, l.Requests)
	var failed atomic.Int64
	var wg sync.WaitGroup
	own, engine := c.processorTimes()
	start := time.Now()
	for i := range took {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		if ctx.Err() != nil {
			break
		}
		path := next()
		wg.Go(func() {
			if err := c.get(ctx, path); err != nil {
				failed.Add(1)
			}
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	ownAfter, engineAfter := c.processorTimes()
	l.CPU, l.EngineCPU = perRequest(ownAfter-own, l.Requests), perRequest(engineAfter-engine, l.Requests)
	l.Failed = int(failed.Load())
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[min(len(took)-1, int(share*float64(len(took))))].Microseconds()) / 1000
	}
	l.P50, l.P90, l.P99, l.Max = at(0.5), at(0.9), at(0.99), at(1)
	return l
}

// perRequest is in ms.
func perRequest(d time.Duration, requests int) float64 {
	return float64((d / time.Duration(requests)).Microseconds()) / 1000
}

// flatOut asks as fast as answers come, over several connections.
func (c *benchClient) flatOut(ctx context.Context, seconds int, path string) (float64, error) {
	if err := c.get(ctx, path); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
	defer cancel()
	var answered atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range 16 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if c.get(ctx, path) == nil {
					answered.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return float64(answered.Load()) / time.Since(start).Seconds(), nil
}
