package polite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// WebSocket is one connection. Not safe for concurrent use.
type WebSocket struct {
	conn   *websocket.Conn
	ctx    context.Context // of the connection, which it ends
	cancel context.CancelCauseFunc
	idle   time.Duration
	timer  *time.Timer
	limit  int64
	buf    bytes.Buffer
}

// Options of a WebSocket.
type Options struct {
	Header http.Header
	// Idle is the silence, pings included, after which the connection is given up.
	Idle time.Duration
	// Limit of a message in bytes; longer ones are read past.
	Limit int64
	// Client dials; nil is [Client]'s.
	Client *http.Client
}

// LongFrameError is a message beyond the limit; the connection goes on after it.
type LongFrameError struct {
	// Begin is how the message begins.
	Begin []byte
	Limit int64
}

func (e *LongFrameError) Error() string { return fmt.Sprintf("message of more than %d bytes", e.Limit) }

// Dial connects. There is no permessage-deflate: some servers answer an offer of it with 400, and what a message unpacks to has no limit. An
// answer that is no upgrade is a *StatusError. The connection ends with ctx, or by Close.
func Dial(ctx context.Context, address string, o Options) (*WebSocket, error) {
	client := o.Client
	if client == nil {
		client = Client()
	}
	w := &WebSocket{idle: o.Idle, limit: o.Limit}
	dialCtx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	conn, resp, err := websocket.Dial(dialCtx, address, &websocket.DialOptions{ //nolint:bodyclose // closed below where there is one
		HTTPClient: client, HTTPHeader: o.Header, CompressionMode: websocket.CompressionDisabled,
		OnPingReceived: func(context.Context, []byte) bool { w.alive(); return true },
	})
	if err != nil {
		// The library leaves the first bytes of the body to be read.
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols && resp.StatusCode != 0 {
			if status := Check(resp, time.Now()); status != nil {
				return nil, status
			}
			return nil, fmt.Errorf("the server answered %s in place of opening a WebSocket; is that the address of one?", resp.Status)
		}
		return nil, fmt.Errorf("dial: %w", err)
	}
	conn.SetReadLimit(-1) // Read keeps the limit, and the connection
	w.conn = conn
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(w.idle, func() { w.cancel(fmt.Errorf("%w (%s)", ErrIdle, w.idle)) })
	w.timer.Stop() // it runs during reads only: a caller who is busy is no silence
	return w, nil
}

// alive is called by Read only, and by the library within it.
func (w *WebSocket) alive() { w.timer.Reset(w.idle) }

// Read returns the next message, and whether it is binary. The bytes are valid until the next call. Where a message is too long it is read
// past, and the error is a *LongFrameError.
func (w *WebSocket) Read() (message []byte, binary bool, err error) {
	w.alive()
	defer w.timer.Stop()
	kind, r, err := w.conn.Reader(w.ctx)
	if err != nil {
		return nil, false, w.cause(err)
	}
	w.buf.Reset()
	n, err := w.buf.ReadFrom(io.LimitReader(r, w.limit+1))
	if err != nil {
		return nil, false, w.cause(err)
	}
	if n <= w.limit {
		return w.buf.Bytes(), kind == websocket.MessageBinary, nil
	}
	begin := bytes.Clone(w.buf.Bytes()[:min(1024, w.buf.Len())])
	w.buf = bytes.Buffer{} // it may have grown large
	part := make([]byte, 32<<10)
	for {
		if _, err := r.Read(part); errors.Is(err, io.EOF) {
			return nil, false, &LongFrameError{Begin: begin, Limit: w.limit}
		} else if err != nil {
			return nil, false, w.cause(err)
		}
		w.alive()
	}
}

// cause says why the connection ended: silence, the server's word, or the network.
func (w *WebSocket) cause(err error) error {
	if cause := context.Cause(w.ctx); cause != nil && w.ctx.Err() != nil {
		return cause
	}
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return &CloseError{Code: int(closed.Code), Reason: Line(closed.Reason)}
	}
	return fmt.Errorf("read: %w", err)
}

// CloseError is a server's goodbye.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the server closed the connection with %d %s", e.Code, e.Reason))
}

// Write sends a text message.
func (w *WebSocket) Write(message []byte) error {
	ctx, stop := context.WithTimeout(w.ctx, 30*time.Second)
	defer stop()
	if err := w.conn.Write(ctx, websocket.MessageText, message); err != nil {
		return w.cause(err)
	}
	return nil
}

// Close ends the connection at once.
func (w *WebSocket) Close() {
	w.timer.Stop()
	w.cancel(context.Canceled)
	_ = w.conn.CloseNow()
}
