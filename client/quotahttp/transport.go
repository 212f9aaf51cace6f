package quotahttp

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/quotabroker/quotabroker/client"
)

// Transport is an http.RoundTripper that sends only with a permit. It is safe for
// concurrent use. Make one with [New] for each API.
type Transport struct {
	client   *client.Client
	api      string
	base     http.RoundTripper
	app      Part
	user     Part
	endpoint Part
	labels   func(*http.Request) map[string]string
	attempts int
	maxPause time.Duration
	acquire  []client.AcquireOption
}

// New makes a transport for one API, by its name in the broker's configuration.
// The client stays the caller's to close.
func New(c *client.Client, api string, opts ...Option) *Transport {
	t := &Transport{
		client:   c,
		api:      api,
		base:     http.DefaultTransport,
		app:      Always(""),
		user:     Always(""),
		endpoint: DefaultEndpoint,
		labels:   func(*http.Request) map[string]string { return nil },
		attempts: DefaultAttempts,
		maxPause: DefaultMaxPause,
	}
	for _, o := range opts {
		o(t)
	}
	return t
}

// maxVoid is how often a request is given another permit because the one it had
// became void before a connection was there.
const maxVoid = 3

// RoundTrip implements http.RoundTripper. Its errors are those of
// [client.Client.Acquire], and those of the base transport.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		closeBody(req)
		return nil, errors.New("quotahttp: the request has no URL")
	}
	scope := t.scope(req)
	out := req
	for sent, void := 1, 0; ; {
		a := t.try(out, scope, sent < t.attempts && repeatable(req))
		switch {
		case a.void && void < maxVoid && replayable(req):
			void++
		case a.err == nil && a.retry.Advised && t.hasTime(req.Context(), a.retry.After):
			sent++
		default:
			return a.result(req)
		}
		next, err := replay(req)
		if err != nil {
			return a.result(req)
		}
		if out = next; !t.pause(req.Context(), &a) {
			closeBody(out)
			return nil, context.Cause(req.Context())
		}
	}
}

// CloseIdleConnections closes those of the base transport, if it can.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// scope is whose call a request is.
func (t *Transport) scope(req *http.Request) client.Scope {
	return client.Scope{
		API: t.api, App: t.app(req), User: t.user(req), Endpoint: t.endpoint(req), Labels: t.labels(req),
	}
}

// hasTime reports whether a retry may be waited for.
func (t *Transport) hasTime(ctx context.Context, after time.Duration) bool {
	if end, ok := ctx.Deadline(); ok {
		return after < time.Until(end)
	}
	return after <= t.maxPause
}

// pause throws away what an attempt got and waits as advised, and reports whether
// the context lasted. Those that wait for the same instant all wake at it; the
// broker then lets them go one by one.
func (t *Transport) pause(ctx context.Context, a *attempt) bool {
	if a.resp != nil {
		discard(a.resp.Body)
	}
	timer := time.NewTimer(a.retry.After)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
