package quotahttp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/client"
)

// attempt is what came of sending a request once.
type attempt struct {
	resp  *http.Response
	err   error
	retry client.Retry
	// void says that the permit became void before there was a connection, and
	// that nothing was sent.
	void bool
}

// result is the attempt as RoundTrip returns it for a request.
func (a *attempt) result(req *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	a.resp.Request = req
	return a.resp, nil
}

// try acquires, sends and reports once. It asks for advice only if it matters.
func (t *Transport) try(req *http.Request, s client.Scope, advise bool) attempt {
	permit, err := t.client.Acquire(req.Context(), s, t.acquire...)
	if err != nil {
		closeBody(req)
		return attempt{err: err}
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &wire{began: time.Now()}
	stop := permit.AfterVoid(func() {
		if w.connecting() {
			cancel(permit.Check())
		}
	})
	resp, err := t.base.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, w.trace())))
	received := time.Now()
	stop()
	if err != nil || resp == nil {
		cause := context.Cause(ctx)
		cancel(nil)
		return failed(permit, w, resp, err, cause)
	}
	resp.Body = onEnd(resp.Body, func() { cancel(nil) })
	o := outcome(permit, resp)
	o.Sent, o.Received = w.sent(), received
	return attempt{resp: resp, retry: report(req.Context(), permit, o, advise)}
}

// failed ends the permit of a request that has no response.
func failed(p *client.Permit, w *wire, resp *http.Response, err, cause error) attempt {
	if resp != nil && resp.Body != nil { // against the contract, but it happens
		_ = resp.Body.Close()
	}
	if err == nil {
		err = errors.New("quotahttp: the base transport returned neither a response nor an error")
	}
	if !w.untouched() {
		_ = p.DoneAsync(client.Outcome{Result: client.Unknown, Sent: w.sent()})
		return attempt{err: err}
	}
	_ = p.Drop()
	if errors.Is(cause, client.ErrRevoked) || errors.Is(cause, client.ErrLapsed) {
		return attempt{err: fmt.Errorf("quotahttp: not sent: %w", cause), void: true}
	}
	return attempt{err: err}
}

// outcome is what a response says, but for its times. The response keeps all of
// its body.
func outcome(p *client.Permit, resp *http.Response) client.Outcome {
	o := client.Outcome{Result: client.Sent, Status: resp.StatusCode, Headers: headers(resp.Header)}
	if p.WantsBody(resp.StatusCode) {
		o.Body, resp.Body = excerpt(resp)
	}
	return o
}

// report ends the permit, and waits for the broker's advice only where it is
// wanted and can be any. A report that fails advises nothing; the broker then
// takes the call as spent.
func report(ctx context.Context, p *client.Permit, o client.Outcome, advise bool) client.Retry {
	if !advise || o.Status < http.StatusBadRequest {
		_ = p.DoneAsync(o)
		return client.Retry{}
	}
	retry, _ := p.Done(ctx, o)
	return retry
}

// headers is a response's header as it is reported: values of one name in their
// order, and names in that of the alphabet, since net/http keeps none.
func headers(h http.Header) []client.Header {
	hs := make([]client.Header, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			hs = append(hs, client.Header{Name: name, Value: value})
		}
	}
	return hs
}
