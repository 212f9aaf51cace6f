package quotahttp

import (
	"io"
	"net/http"
	"time"
)

// repeatable reports whether a request may be sent twice.
func repeatable(req *http.Request) bool {
	return idempotent(req) && replayable(req)
}

// idempotent reports whether sending a request twice does no more than sending it
// once (RFC 9110, 9.2.2), or its maker says that the upstream sees to that.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	_, key := req.Header["Idempotency-Key"]
	_, xkey := req.Header["X-Idempotency-Key"]
	return key || xkey
}

// replayable reports whether a request's body, if it has one, can be had again.
func replayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

// replay is the request with its body from the start; the body of before is the
// base transport's, and closed.
func replay(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	again := *req
	again.Body = body
	return &again, nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// Bounds of what is done for the connection of a response that nobody wants.
const (
	maxDiscard  = 64 << 10
	maxDiscards = 250 * time.Millisecond
)

// discard reads a body to its end, if that is near, so that its connection can be
// used again.
func discard(body io.ReadCloser) {
	enough := time.AfterFunc(maxDiscards, func() { _ = body.Close() })
	defer enough.Stop()
	_, _ = io.CopyN(io.Discard, body, maxDiscard)
	_ = body.Close()
}
