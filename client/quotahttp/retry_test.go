package quotahttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	"github.com/quotabroker/quotabroker/client/quotahttp"
)

func TestRetriesAsAdvised(t *testing.T) {
	up, seen := script(429, 503, 200)
	inWorld(t, up, func(t *testing.T, w *world) {
		w.Advise(429, client.Retry{Advised: true, After: 7 * time.Second})
		w.Advise(503, client.Retry{Advised: true, After: time.Second})
		began := time.Now()
		resp, err := w.transport().RoundTrip(request(t, "PUT", "/a", strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, resp); resp.StatusCode != http.StatusOK || got != "OK" {
			t.Errorf("%d %q", resp.StatusCode, got)
		}
		w.reported()
		if got := seen.String(); got != "PUT /a body|PUT /a body|PUT /a body" {
			t.Errorf("upstream saw %s", got)
		}
		if a, r := len(w.Acquires()), len(w.Reports()); a != 3 || r != 3 {
			t.Errorf("%d acquires, %d reports", a, r)
		}
		if got := time.Since(began); got != 8*time.Second {
			t.Errorf("took %v", got)
		}
	})
}

// TestNoRetry is every reason to give the caller the 429 as it came. "Too far
// away" is TestPeerBug23: a quota that is back tomorrow is not tried all day.
func TestNoRetry(t *testing.T) {
	advised := client.Retry{Advised: true, After: time.Second}
	for name, tt := range map[string]struct {
		retry    client.Retry
		attempts int
		deadline time.Duration
		method   string
		body     io.Reader
		getBody  error
		want     int
	}{
		"not advised":               {retry: client.Retry{}, want: 1},
		"as often as may be":        {retry: advised, attempts: 2, want: 2},
		"too far away":              {retry: client.Retry{Advised: true, After: 31 * time.Second}, want: 1},
		"past the deadline":         {retry: advised, deadline: time.Second, want: 1},
		"not idempotent":            {retry: advised, method: "POST", want: 1},
		"a body that is gone":       {retry: advised, method: "PUT", body: &trackedBody{Reader: strings.NewReader("x")}, want: 1},
		"a body that does not come": {retry: advised, method: "PUT", body: strings.NewReader("x"), getBody: errors.New("no"), want: 1},
		"attempts set to one":       {retry: advised, attempts: 1, want: 1},
		"far, with time for it":     {retry: client.Retry{Advised: true, After: time.Minute}, deadline: time.Hour, want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			up, seen := script(429)
			inWorld(t, up, func(t *testing.T, w *world) {
				w.Advise(429, tt.retry)
				req := request(t, tt.method, "/", tt.body)
				if tt.deadline > 0 {
					ctx, cancel := context.WithTimeout(req.Context(), tt.deadline)
					defer cancel()
					req = req.WithContext(ctx)
				}
				if tt.getBody != nil {
					req.GetBody = func() (io.ReadCloser, error) { return nil, tt.getBody }
				}
				resp, err := w.transport(quotahttp.WithAttempts(tt.attempts)).RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if got := read(t, resp); resp.StatusCode != http.StatusTooManyRequests || got != "Too Many Requests" || resp.Header.Get("Retry-After") != "7" {
					t.Errorf("the 429 did not come as it was: %v %q", resp, got)
				}
				if got := len(strings.Split(seen.String(), "|")); got != tt.want {
					t.Errorf("sent %d times, want %d", got, tt.want)
				}
				w.reported()
				if got := len(w.Reports()); got != tt.want {
					t.Errorf("reported %d times, want %d", got, tt.want)
				}
			})
		})
	}
}

func TestIdempotencyKeyAllowsARetry(t *testing.T) {
	for _, key := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		up, seen := script(429, 201)
		inWorld(t, up, func(t *testing.T, w *world) {
			w.Advise(429, client.Retry{Advised: true})
			req := request(t, "POST", "/", strings.NewReader("pay"))
			req.Header[key] = nil // marks it without sending a header, as in net/http
			resp, err := w.transport().RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			read(t, resp)
			if got := seen.String(); got != "POST / pay|POST / pay" {
				t.Errorf("upstream saw %s", got)
			}
		})
	}
}

func TestDenialOfARetry(t *testing.T) {
	up, _ := script(429)
	inWorld(t, up, func(t *testing.T, w *world) {
		w.Advise(429, client.Retry{Advised: true, After: time.Second})
		time.AfterFunc(time.Second/2, func() { w.Deny(client.Scope{}, clienttest.Denial{RetryAfter: time.Hour}) })
		err := refused(t, w.transport(), request(t, "GET", "/", nil))
		var denied *client.DeniedError
		if !errors.As(err, &denied) || denied.RetryAfter != time.Hour {
			t.Errorf("got %v", err)
		}
	})
}

func TestCallerLeavesDuringThePause(t *testing.T) {
	up, _ := script(429)
	inWorld(t, up, func(t *testing.T, w *world) {
		w.Advise(429, client.Retry{Advised: true, After: 10 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		body := &trackedBody{Reader: strings.NewReader("x")}
		req := request(t, "PUT", "/", strings.NewReader("x")).WithContext(ctx)
		req.GetBody = func() (io.ReadCloser, error) { return body, nil }
		began := time.Now()
		err := refused(t, w.transport(), req)
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second || body.closes() != 1 {
			t.Errorf("after %v: %v; the next body was closed %d times", time.Since(began), err, body.closes())
		}
	})
}

// TestDiscardedResponseFreesItsConnection, and one that never ends does not hold
// up the retry.
func TestDiscardedResponseFreesItsConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		rest  func(w http.ResponseWriter, r *http.Request)
		took  time.Duration
		conns int
	}{
		"short": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, 0, 1},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 500 * time.Millisecond, 2},
	} {
		n := 0
		upstream := func(w http.ResponseWriter, r *http.Request) {
			n++
			if n == 1 {
				w.WriteHeader(http.StatusTooManyRequests)
				tt.rest(w, r)
			}
		}
		inWorld(t, upstream, func(t *testing.T, w *world) {
			w.Advise(429, client.Retry{Advised: true})
			dials := 0
			w.base.DialContext = countDials(&dials, w.base.DialContext)
			began := time.Now()
			resp, err := w.transport().RoundTrip(request(t, "GET", "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			read(t, resp)
			synctest.Wait()
			if got := time.Since(began); got != tt.took || dials != tt.conns {
				t.Errorf("%s: took %v over %d connections, want %v over %d", name, got, dials, tt.took, tt.conns)
			}
		})
	}
}
