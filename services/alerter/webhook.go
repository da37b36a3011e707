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

	"outcry.dev/pkg/store"
	outcryv1 "outcry.dev/schemas/outcry/v1"
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
	host    string
	signers []*standardwebhooks.Webhook // none without a secret
	client  *http.Client
	metrics *metrics
	logged  *deliveries
	gone    goneMark
	log     *slog.Logger
	first   time.Duration // until the first repetition, before jitter
	slots   chan struct{} // one for each request under way
}

func newWebhook(cfg Webhook, dataDir string, m *metrics, logged *deliveries, log *slog.Logger) (*webhook, error) {
	w := &webhook{cfg: cfg, metrics: m, logged: logged, gone: markOf(cfg, dataDir), log: log, first: time.Second, slots: make(chan struct{}, maxRequests)}
	if u, err := url.Parse(cfg.URL); err == nil {
		w.host = u.Host
	}
	for _, secret := range cfg.secrets() {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, errors.New("alerter.webhook.secret is not base64")
		}
		w.signers = append(w.signers, signer)
	}
	dialer := &net.Dialer{Timeout: cfg.Timeout}
	proxy := http.ProxyFromEnvironment
	if !cfg.AllowPrivate {
		dialer.ControlContext = refusePrivate
		proxy = nil // it would resolve names where the guard does not see it
	}
	w.client = &http.Client{
		Timeout: cfg.Timeout,
		// The answer to a redirect is an answer like any other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  proxy,
			DialContext:            dialer.DialContext,
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

var (
	// errRefused marks an answer after which sending again is of no use.
	errRefused = errors.New("the receiver refused it")
	// errGone marks a receiver that wants nothing any more.
	errGone = errors.New("the receiver has gone (410): nothing is sent until alerter.webhook.url changes or `outcry alerts enable` is run")
)

// refusedByUs is of the class of errRefused, but no receiver was asked.
type refusedByUs struct{ err error }

func (r refusedByUs) Error() string {
	var op *net.OpError // "dial tcp …: " tells a person nothing
	if errors.As(r.err, &op) {
		return op.Err.Error()
	}
	return redacted(r.err).Error()
}
func (r refusedByUs) Unwrap() []error { return []error{errRefused, r.err} }

// send returns nil once the receiver has taken the change. Faults that waiting can mend are waited for with growing, jittered pauses, for
// as long as the configuration says. A receiver knows repetitions by the id.
func (w *webhook) send(ctx context.Context, c change) error {
	if w.gone.set() {
		w.record(c, 0, time.Now(), 0, "disabled", errGone)
		return errGone
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.MaxInterval = w.first, 2, 5*time.Minute
	attempts := uint32(0)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		attempts++
		return struct{}{}, w.attempt(ctx, c, attempts)
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(w.cfg.GiveUpAfter), backoff.WithNotify(func(err error, pause time.Duration) {
		w.log.Warn("webhook failed; trying again", "change", c.id, "in", pause.Round(time.Millisecond), "error", err)
	}))
	if err != nil && ctx.Err() == nil && !errors.Is(err, errRefused) && !errors.Is(err, errGone) {
		w.record(c, attempts, time.Now(), 0, "given_up", err)
	}
	return err
}

func (w *webhook) attempt(ctx context.Context, c change, number uint32) error {
	// The slot is given back between attempts, so that an incident that fails for hours holds nobody up.
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	start := time.Now()
	err := w.request(ctx, c.id, start, c.body)
	took := time.Since(start)
	w.metrics.seconds.Observe(took.Seconds())
	result, row := "retry", "retry"
	switch {
	case err == nil:
		result, row = "ok", "ok"
	case errors.Is(err, errGone):
		result, row = "final", "disabled"
		if err := w.gone.put(); err != nil {
			w.log.Error("cannot keep that the webhook has gone", "error", err)
		}
		w.log.Error("the webhook is disabled: its receiver has gone (410)", "host", w.host)
	case errors.Is(err, errRefused):
		result, row = "final", "refused"
	}
	w.metrics.attempts.WithLabelValues(result).Inc()
	w.record(c, number, start, took, row, err)
	return err
}

// record puts an attempt in the delivery log.
func (w *webhook) record(c change, attempt uint32, at time.Time, took time.Duration, result string, err error) {
	row := store.Delivery{Time: at, Channel: channelWebhook, Receiver: w.host, Integration: channelWebhook, Delivery: c.id, Attempt: attempt,
		Result: result, Took: took, Incident: c.incident.GetId(), Service: c.incident.GetService(), Revision: uint64(c.incident.GetRevision()),
		Firing: open(c.incident), Test: c.incident.GetTest()}
	if err != nil {
		row.Error = err.Error()
	}
	w.logged.add(row)
}

func open(i *outcryv1.Incident) bool {
	return i.GetState() != outcryv1.Incident_STATE_RESOLVED && i.GetState() != outcryv1.Incident_STATE_DISMISSED
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
	var signatures []string // of every secret, so that either side can change to another when it likes
	for _, s := range w.signers {
		signature, err := s.Sign(id, now, body)
		if err != nil {
			return backoff.Permanent(fmt.Errorf("%w: sign: %w", errRefused, err))
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) > 0 {
		req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	resp, err := w.client.Do(req)
	if errors.Is(err, errPrivate) {
		return backoff.Permanent(refusedByUs{err})
	}
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
	case status == http.StatusGone:
		return backoff.Permanent(errGone)
	case status >= 300 && status < 400:
		return backoff.Permanent(fmt.Errorf("%w: it redirects (status %d), which is not followed: set alerter.webhook.url to where it leads", errRefused, status))
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
