package alerter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	maxRequests   = 16               // at a time
	answerBytes   = 64 << 10         // read of an answer, so that the connection can be used again
	excerptBytes  = 200              // of an answer, for the log
	retryAfterMax = 30 * time.Minute // what a receiver may ask for
	finishTime    = 2 * time.Second  // for a request that is under way when the process ends
)

// webhook sends signed requests. Safe for concurrent use.
type webhook struct {
	cfg     Webhook
	signer  *standardwebhooks.Webhook // nil without a secret
	client  *http.Client
	metrics *metrics
	log     *slog.Logger
	first   time.Duration // until the first repetition, before jitter
	slots   chan struct{} // one for each request under way
}

func newWebhook(cfg Webhook, m *metrics, log *slog.Logger) (*webhook, error) {
	w := &webhook{cfg: cfg, metrics: m, log: log, first: time.Second, slots: make(chan struct{}, maxRequests)}
	if cfg.Secret != "" {
		signer, err := standardwebhooks.NewWebhook(cfg.Secret.Reveal())
		if err != nil {
			return nil, errors.New("webhook.secret is not base64")
		}
		w.signer = signer
	}
	w.client = &http.Client{
		Timeout: cfg.Timeout,
		// The answer to a redirect is an answer like any other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
			TLSHandshakeTimeout:    cfg.Timeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    maxRequests,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
	return w, nil
}

func (w *webhook) close() { w.client.CloseIdleConnections() }

// errRefused marks an answer after which sending again is of no use.
var errRefused = errors.New("the receiver refused it")

// send returns nil once the receiver has taken the body. Faults that waiting can mend are waited for with growing, jittered pauses, for
// as long as the configuration says. A receiver knows repetitions by the id.
func (w *webhook) send(ctx context.Context, id string, body []byte) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.MaxInterval = w.first, 2, 5*time.Minute
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, w.attempt(ctx, id, body)
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(w.cfg.GiveUpAfter), backoff.WithNotify(func(err error, pause time.Duration) {
		w.log.Warn("webhook failed; trying again", "change", id, "in", pause.Round(time.Millisecond), "error", err)
	}))
	return err
}

func (w *webhook) attempt(ctx context.Context, id string, body []byte) error {
	// The slot is given back between attempts, so that an incident that fails for hours holds nobody up.
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	start := time.Now()
	err := w.request(ctx, id, start, body)
	w.metrics.seconds.Observe(time.Since(start).Seconds())
	result := "retry"
	switch {
	case err == nil:
		result = "ok"
	case errors.Is(err, errRefused):
		result = "final"
	}
	w.metrics.attempts.WithLabelValues(result).Inc()
	return err
}

func (w *webhook) request(ctx context.Context, id string, now time.Time, body []byte) error {
	// A request that is cut off may have been received: give it a moment before the process ends.
	ctx, cancel := lingering(ctx, finishTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(fmt.Errorf("%w: %w", errRefused, redacted(err)))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "outcry")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if w.signer != nil {
		signature, err := w.signer.Sign(id, now, body)
		if err != nil {
			return backoff.Permanent(fmt.Errorf("%w: sign: %w", errRefused, err))
		}
		req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return redacted(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, answerBytes)) // a status without its body says enough
	return judge(resp, answer, now)
}

// judge turns an answer into nil, an error after which to try again, or one that is final.
func judge(resp *http.Response, answer []byte, now time.Time) error {
	status := resp.StatusCode
	if status >= 200 && status < 300 {
		return nil
	}
	err := fmt.Errorf("status %d%s", status, excerpt(answer))
	switch {
	case status >= 300 && status < 400:
		return backoff.Permanent(fmt.Errorf("%w: it redirects (status %d), which is not followed: set webhook.url to where it leads", errRefused, status))
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return backoff.Permanent(fmt.Errorf("%w: %w", errRefused, err))
	}
	if pause, ok := retryAfter(resp.Header.Get("Retry-After"), now); ok {
		return fmt.Errorf("%w (%w)", &backoff.RetryAfterError{Duration: pause}, err)
	}
	return err
}

// retryAfter reads the header's two forms: seconds, or a date.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	if header == "" {
		return 0, false
	}
	var pause time.Duration
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		pause = at.Sub(now)
	} else {
		return 0, false
	}
	return min(max(pause, 100*time.Millisecond), retryAfterMax), true
}

// excerpt is the beginning of an answer in one line, for a person.
func excerpt(answer []byte) string {
	if len(answer) == 0 {
		return ""
	}
	more := ""
	if len(answer) > excerptBytes {
		answer, more = answer[:excerptBytes], "…"
	}
	return fmt.Sprintf(": %q%s", strings.ToValidUTF8(string(answer), "�"), more)
}

// redacted takes the address out of an error of net/http, since addresses of webhooks hold secrets.
func redacted(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// lingering returns a context that ends some time after its parent.
func lingering(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		select {
		case <-ctx.Done():
		case <-time.After(d):
			cancel()
		}
	})
	return ctx, func() {
		stop()
		cancel()
	}
}
