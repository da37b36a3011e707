package alerter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"outcry.dev/pkg/keyfile"
	"outcry.dev/pkg/verdict"
	outcryv1 "outcry.dev/schemas/outcry/v1"
	"outcry.dev/services/alerter/action"
)

const verdictTime = 10 * time.Second // for Kafka to take what a person says

// links serves what links in messages lead to, while the stage runs. Where links.url is empty there are none.
func (a *Alerter) links(ctx context.Context) (end func() error, err error) {
	if a.cfg.Links.URL == "" {
		return func() error { return nil }, nil
	}
	dir := filepath.Join(a.deps.DataDir, "alerter")
	if a.signer, err = newSigner(a.cfg, a.deps.DataDir); err != nil {
		return nil, err
	}
	h, err := action.NewHandler(a.signer, dir, func(ctx context.Context, incident string, kind outcryv1.Verdict_Kind, who, text string) error {
		ctx, cancel := context.WithTimeout(ctx, verdictTime)
		defer cancel()
		v, err := verdict.New(incident, kind, who, text, time.Now())
		if err != nil {
			return err
		}
		return verdict.Send(ctx, a.deps.Bus, v)
	}, a.deps.Log)
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Links.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve the links in messages at alerter.links.listen: %w", err), h.Close())
	}
	mux := http.NewServeMux()
	mux.Handle(action.Path, h)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(a.deps.Log.Handler(), slog.LevelDebug)}
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.deps.Log.Error("the links in messages lead nowhere any more", "error", err)
		}
	})
	return func() error {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTime)
		defer cancel()
		err := server.Shutdown(last)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		running.Wait()
		return errors.Join(err, h.Close())
	}, nil
}

func newSigner(cfg Config, dataDir string) (*action.Signer, error) {
	key := []byte(cfg.Links.Key.Reveal())
	if len(key) == 0 {
		var err error
		if key, err = keyfile.Get(filepath.Join(dataDir, "alerter", "links.key")); err != nil {
			return nil, fmt.Errorf("key of the links in messages: %w", err)
		}
	}
	return action.NewSigner(key, cfg.Links.URL, cfg.Links.ExpireAfter), nil
}
