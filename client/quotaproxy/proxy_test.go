package quotaproxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	"github.com/quotabroker/quotabroker/client/quotahttp"
	"github.com/quotabroker/quotabroker/client/quotaproxy"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func TestPassesOnWithAPermit(t *testing.T) {
	var got *http.Request
	var sent string
	upstream := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, sent = r, string(b)
		w.Header().Set("X-RateLimit-Remaining", "9")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "made")
	}
	complete := func(c *quotaproxy.Config) {
		c.Upstream.Path = "/base"
		c.Endpoint = quotahttp.Routes("POST /base/v2/people/{id}")
	}
	inWorld(t, upstream, complete, func(t *testing.T, w *world) {
		r := request(t, "POST", "/v2/people/7?x=1", strings.NewReader("body"))
		r.Header.Set("X-User", "u-7")
		r.Header.Set("Authorization", "Bearer token")
		r.Header.Set("Connection", "X-Hop")
		r.Header.Set("X-Hop", "for the proxy")
		r.Header.Set("X-Forwarded-For", "10.0.0.1")
		r.Header.Set("X-Forwarded-Host", "inside")
		resp, body := w.do(t, r)
		if resp.status != http.StatusCreated || body != "made" || resp.header.Get("X-RateLimit-Remaining") != "9" {
			t.Errorf("answer %v %q", resp, body)
		}
		if got.Host != "upstream.example" || got.URL.RequestURI() != "/base/v2/people/7?x=1" || sent != "body" {
			t.Errorf("upstream got %s%s %q", got.Host, got.URL, sent)
		}
		if got.Header.Get("X-User") != "u-7" || got.Header.Get("Authorization") != "Bearer token" {
			t.Errorf("what is the upstream's was lost: %v", got.Header)
		}
		for _, name := range []string{"X-Hop", "Connection", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
			if v := got.Header.Get(name); v != "" {
				t.Errorf("%s went upstream: %q", name, v)
			}
		}
		a := w.Acquires()[0].GetScope()
		if a.GetApi() != "linkedin" || a.GetApp() != "app-1" || a.GetUser() != "u-7" || a.GetEndpoint() != "POST /base/v2/people/{id}" {
			t.Errorf("asked for %v", a)
		}
		if reports := w.Reports(); len(reports) != 1 || reports[0].GetStatusCode() != 201 || len(reports[0].GetHeaders()) != 1 {
			t.Errorf("reported %v", reports)
		}
	})
}

func TestUserThatDoesNotGoUpstream(t *testing.T) {
	var got http.Header
	upstream := func(_ http.ResponseWriter, r *http.Request) { got = r.Header }
	inWorld(t, upstream, func(c *quotaproxy.Config) { c.DropUser = true }, func(t *testing.T, w *world) {
		r := request(t, "GET", "/", nil)
		r.Header.Set("X-User", "u-7")
		w.do(t, r)
		if _, there := got["X-User"]; there || w.Acquires()[0].GetScope().GetUser() != "u-7" {
			t.Errorf("upstream got %v, the broker %v", got, w.Acquires()[0])
		}
	})
}

func TestWithoutAUserHeader(t *testing.T) {
	inWorld(t, ok, func(c *quotaproxy.Config) { c.UserHeader = "" }, func(t *testing.T, w *world) {
		r := request(t, "GET", "/", nil)
		r.Header.Set("X-User", "u-7")
		if resp, _ := w.do(t, r); resp.status != http.StatusOK || w.Acquires()[0].GetScope().GetUser() != "" {
			t.Errorf("%d for %v", resp.status, w.Acquires()[0])
		}
	})
}

func TestHoldsUntilThePermitComes(t *testing.T) {
	inWorld(t, ok, nil, func(t *testing.T, w *world) {
		w.CoolDown(client.Scope{}, clienttest.Denial{RetryAfter: 20 * time.Second})
		began := time.Now()
		if resp, body := w.do(t, request(t, "GET", "/", nil)); resp.status != http.StatusOK || body != "ok" || time.Since(began) != 20*time.Second {
			t.Errorf("after %v: %d %q", time.Since(began), resp.status, body)
		}
	})
}

// TestAnswers429 covers TestPeerBug21: 0.9 s is never 0.
func TestAnswers429(t *testing.T) {
	for _, tt := range []struct {
		after  time.Duration
		header string
	}{{time.Millisecond, "1"}, {900 * time.Millisecond, "1"}, {time.Second, "1"}, {1001 * time.Millisecond, "2"}, {7 * time.Hour, "25200"}} {
		inWorld(t, ok, nil, func(t *testing.T, w *world) {
			w.Deny(client.Scope{User: "u-7"}, clienttest.Denial{Bucket: "linkedin/app-1/u-7", Limit: "member-day", RetryAfter: tt.after})
			r := request(t, "GET", "/v2/people/1", nil)
			r.Header.Set("X-User", "u-7")
			resp, body := w.do(t, r)
			v := parse(t, body)
			if resp.status != http.StatusTooManyRequests || resp.header.Get("Retry-After") != tt.header || resp.header.Get("Content-Type") != "application/json" {
				t.Errorf("%v: %d, Retry-After %q", tt.after, resp.status, resp.header.Get("Retry-After"))
			}
			if v.Error != "quota" || v.Reason != client.QuotaExhausted || v.Bucket != "linkedin/app-1/u-7" || v.Limit != "member-day" || v.RetryAfterSeconds < 1 {
				t.Errorf("body %s", body)
			}
			if s := w.logs.String(); !strings.Contains(s, `"level":"INFO"`) || !strings.Contains(s, `"limit":"member-day"`) {
				t.Errorf("logged %s", s)
			}
		})
	}
}

func TestMaxWait(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{0: 30 * time.Second, 3 * time.Second: 3 * time.Second, -1: 0} {
		inWorld(t, ok, func(c *quotaproxy.Config) { c.MaxWait = wait }, func(t *testing.T, w *world) {
			w.Hold(client.Scope{})
			began := time.Now()
			resp, body := w.do(t, request(t, "GET", "/", nil))
			if got := time.Since(began); resp.status != http.StatusTooManyRequests || got != want {
				t.Errorf("MaxWait %v: %d after %v: %s", wait, resp.status, got, body)
			}
		})
	}
}

func TestUpstreams429IsPassedOn(t *testing.T) {
	sent := 0
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		sent++
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "theirs")
	}
	inWorld(t, upstream, nil, func(t *testing.T, w *world) {
		w.Advise(429, client.Retry{Advised: true})
		resp, body := w.do(t, request(t, "GET", "/", nil))
		if resp.status != http.StatusTooManyRequests || body != "theirs" || resp.header.Get("Retry-After") != "86400" || sent != 1 {
			t.Errorf("%d %q after %d", resp.status, body, sent)
		}
		if r := w.Reports()[0]; string(r.GetBodyExcerpt()) != "theirs" || len(r.GetHeaders()) != 1 {
			t.Errorf("reported %v", r)
		}
	})
	sent = 0
	inWorld(t, upstream, func(c *quotaproxy.Config) { c.Attempts = 2 }, func(t *testing.T, w *world) {
		w.Advise(429, client.Retry{Advised: true})
		if w.do(t, request(t, "GET", "/", nil)); sent != 2 {
			t.Errorf("told to try twice, sent %d times", sent)
		}
	})
}

// TestClientThatLeavesCostsNothing, with a body too: it is noticed while the call
// still waits.
func TestClientThatLeavesCostsNothing(t *testing.T) {
	for method, body := range map[string]string{"GET": "", "POST": strings.Repeat("x", 60_000)} {
		inWorld(t, ok, nil, func(t *testing.T, w *world) {
			w.Hold(client.Scope{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			w.left(t, request(t, method, "/", strings.NewReader(body)).WithContext(ctx))
			w.Grant()
			time.Sleep(time.Minute)
			if n := w.Grants(); n != 0 {
				t.Errorf("%s: %d granted", method, n)
			}
			if s := w.logs.String(); strings.Contains(s, "WARN") {
				t.Errorf("%s: an operator is told of a client that left: %s", method, s)
			}
		})
	}
}

// TestSlowUploadHoldsNoPermit: a short body is read before one is asked for.
func TestSlowUploadHoldsNoPermit(t *testing.T) {
	var sent string
	upstream := func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sent = string(b)
	}
	inWorld(t, upstream, nil, func(t *testing.T, w *world) {
		pr, pw := io.Pipe()
		go func() {
			_, _ = io.WriteString(pw, "slow ")
			time.Sleep(time.Minute)
			if n := len(w.Acquires()); n != 0 {
				t.Errorf("asked for %d permits before the body was there", n)
			}
			_, _ = io.WriteString(pw, "body")
			_ = pw.Close()
		}()
		r := request(t, "POST", "/", pr)
		r.ContentLength = 9
		if resp, _ := w.do(t, r); resp.status != http.StatusOK || sent != "slow body" || w.Reports()[0].GetResult() != pb.Result_RESULT_SENT {
			t.Errorf("%d, upstream got %q", resp.status, sent)
		}
	})
}

func TestBodyThatBreaksOff(t *testing.T) {
	inWorld(t, ok, nil, func(t *testing.T, w *world) {
		r := request(t, "POST", "/", io.MultiReader(strings.NewReader("half"), brokenReader{}))
		r.ContentLength = 9
		w.left(t, r)
		if n := len(w.Acquires()); n != 0 {
			t.Errorf("asked for %d permits", n)
		}
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestLongBodiesAreStreamed(t *testing.T) {
	var sent int
	upstream := func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sent = len(b)
	}
	inWorld(t, upstream, nil, func(t *testing.T, w *world) {
		for _, r := range []*http.Request{
			request(t, "POST", "/", strings.NewReader(strings.Repeat("x", 200_000))),
			request(t, "POST", "/", io.NopCloser(strings.NewReader(strings.Repeat("x", 200_000)))), // of unknown length
		} {
			sent = 0
			if resp, _ := w.do(t, r); resp.status != http.StatusOK || sent != 200_000 {
				t.Errorf("%d, upstream got %d bytes", resp.status, sent)
			}
		}
	})
}

func TestBadUsers(t *testing.T) {
	inWorld(t, ok, nil, func(t *testing.T, w *world) {
		for name, values := range map[string][]string{
			"long":    {strings.Repeat("u", 257)},
			"twice":   {"u-7", "u-8"},
			"latin-1": {"caf\xe9"},
			"tab":     {"u\t7"},
		} {
			r := request(t, "GET", "/", nil)
			r.Header["X-User"] = values
			resp, body := w.do(t, r)
			if v := parse(t, body); resp.status != http.StatusBadRequest || v.Error != "bad_user" || !strings.Contains(v.Message, "X-User") {
				t.Errorf("%s: %d %s", name, resp.status, body)
			}
		}
		if n := len(w.Acquires()); n != 0 {
			t.Errorf("asked for %d permits", n)
		}
	})
}

func TestStreamsAreNotHeldBack(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "tick")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Minute)
		}
	}
	inWorld(t, upstream, nil, func(t *testing.T, w *world) {
		began := time.Now()
		resp, err := w.http.Do(request(t, "GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for i := range 3 {
			if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil || time.Since(began) != time.Duration(i)*time.Minute {
				t.Errorf("tick %d after %v: %v", i, time.Since(began), err)
			}
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
	})
}

func TestAcceptEncodingIsNarrowed(t *testing.T) {
	for asked, want := range map[string]string{
		"":                        "",
		"gzip, deflate, br, zstd": "gzip",
		"br;q=1.0, GZIP ; q=0.5":  "gzip",
		"br":                      "identity",
		"gzip;q=0, br":            "identity",
		"gzip; q = 0.000":         "identity",
		"*":                       "identity",
	} {
		var got string
		upstream := func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Accept-Encoding") }
		inWorld(t, upstream, nil, func(t *testing.T, w *world) {
			r := request(t, "GET", "/", nil)
			if asked != "" {
				r.Header.Set("Accept-Encoding", asked)
			}
			if w.do(t, r); got != want {
				t.Errorf("%q went upstream as %q, want %q", asked, got, want)
			}
		})
	}
}
