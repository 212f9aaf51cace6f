package quotaproxy

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/status"

	"github.com/quotabroker/quotabroker/client"
)

// refusal is what the proxy answers by itself.
type refusal struct {
	status int
	after  time.Duration

	// Error is a word for programs, Message a line for people.
	Error   string `json:"error"`
	Message string `json:"message"`
	// Reason, Bucket and Limit are what the broker says of a denial.
	Reason string `json:"reason,omitempty"`
	Bucket string `json:"bucket,omitempty"`
	Limit  string `json:"limit,omitempty"`
	// RetryAfterSeconds is the same as the Retry-After header.
	RetryAfterSeconds int64 `json:"retry_after_seconds,omitempty"`
}

// fail answers a request that got no response from the upstream.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, err error) {
	v := refusalOf(err)
	level := slog.LevelWarn
	switch {
	case r.Context().Err() != nil:
		level = slog.LevelDebug // the client left; nobody reads the answer
	case v.status == http.StatusTooManyRequests:
		level = slog.LevelInfo
	}
	p.config.Log.LogAttrs(r.Context(), level, "not answered by the upstream",
		slog.String("api", p.config.API), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", v.status), slog.String("bucket", v.Bucket), slog.String("limit", v.Limit),
		slog.Any("error", err))
	p.answer(w, r, v)
}

// refusalOf is the answer to an error of the transport. What an upstream's error
// says of this side's network is for the log, not for the client.
func refusalOf(err error) refusal {
	var denied *client.DeniedError
	var away *client.UnavailableError
	var invalid *client.InvalidScopeError
	switch {
	case errors.As(err, &denied):
		return refusal{
			status: http.StatusTooManyRequests, after: max(denied.RetryAfter, 1),
			Error: "quota", Message: denied.Error(), Reason: denied.Reason, Bucket: denied.Bucket, Limit: denied.Limit,
		}
	case errors.As(err, &away):
		return refusal{
			status: http.StatusServiceUnavailable, after: max(away.RetryAfter, 1),
			Error: "broker_away", Message: "the quota broker is away, and nothing is sent uncounted",
		}
	case errors.Is(err, client.ErrClosed), errors.Is(err, context.Canceled):
		return refusal{
			status: http.StatusServiceUnavailable, after: 1,
			Error: "closing", Message: "the proxy is going down",
		}
	case errors.Is(err, client.ErrLapsed), errors.Is(err, client.ErrRevoked), isTimeout(err):
		return refusal{status: http.StatusGatewayTimeout, Error: "upstream_timeout", Message: "the upstream did not answer in time"}
	case errors.As(err, &invalid):
		return refusal{status: http.StatusBadRequest, Error: "bad_scope", Message: invalid.Error()}
	case isStatus(err):
		return refusal{
			status: http.StatusInternalServerError,
			Error:  "broker", Message: "the quota broker refused: " + status.Convert(err).Message(),
		}
	default:
		return refusal{status: http.StatusBadGateway, Error: "upstream", Message: "the upstream could not be reached, or broke off"}
	}
}

// isStatus reports whether an error is a broker's, which no upstream's is.
func isStatus(err error) bool {
	_, ok := status.FromError(err)
	return ok
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// answer writes a refusal.
func (p *Proxy) answer(w http.ResponseWriter, r *http.Request, v refusal) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if v.after > 0 {
		v.RetryAfterSeconds = int64((v.after + time.Second - 1) / time.Second)
		h.Set("Retry-After", strconv.FormatInt(v.RetryAfterSeconds, 10))
	}
	w.WriteHeader(v.status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.config.Log.DebugContext(r.Context(), "the client left before its answer", slog.Any("error", err))
	}
}
