package quotahttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	"github.com/quotabroker/quotabroker/client/quotahttp"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

func TestAcquiresSendsAndReportsOnce(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["x-RATELIMIT-remaining"] = []string{"41"}
		w.Header().Set("Set-Cookie", "session=secret")
		w.Header().Set("X-Other", "mine")
		time.Sleep(2 * time.Second)
		_, _ = io.WriteString(w, "hello")
	}
	inWorld(t, upstream, func(t *testing.T, w *world) {
		tr := w.transport(
			quotahttp.WithApp(quotahttp.Always("app-1")),
			quotahttp.WithUser(quotahttp.Header("X-User")),
			quotahttp.WithEndpoint(quotahttp.Routes("GET /v2/people/{id}")),
			quotahttp.WithLabels(func(*http.Request) map[string]string { return map[string]string{"tenant": "eu"} }),
			quotahttp.WithAcquire(client.WithPriority(client.High)),
		)
		req := request(t, "GET", "/v2/people/123?fields=id", nil)
		req.Header.Set("X-User", "u-7")
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, resp); got != "hello" {
			t.Errorf("body %q", got)
		}
		w.reported()
		acquires, reports := w.Acquires(), w.Reports()
		if len(acquires) != 1 || len(reports) != 1 || len(w.Outstanding()) != 0 {
			t.Fatalf("%d acquires, %d reports, %v out", len(acquires), len(reports), w.Outstanding())
		}
		s := acquires[0].GetScope()
		if s.GetApi() != "linkedin" || s.GetApp() != "app-1" || s.GetUser() != "u-7" || s.GetEndpoint() != "GET /v2/people/{id}" ||
			s.GetLabels()["tenant"] != "eu" || acquires[0].GetPriority() != pb.Priority_PRIORITY_HIGH {
			t.Errorf("asked %v", acquires[0])
		}
		r := reports[0]
		if r.GetStatusCode() != 200 || r.GetResult() != pb.Result_RESULT_SENT || r.GetSinceSent().AsDuration() != 2*time.Second || r.GetSinceReceived().AsDuration() != 0 {
			t.Errorf("reported %v", r)
		}
		if len(r.GetHeaders()) != 1 || !strings.EqualFold(r.GetHeaders()[0].GetName(), "x-ratelimit-remaining") || r.GetHeaders()[0].GetValue() != "41" {
			t.Errorf("headers %v", r.GetHeaders())
		}
	})
}

// TestPeerBug22: a header that a base transport put into the map as it was on the
// wire is reported.
func TestPeerBug22(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		base := roundTripFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{"x-ratelimit-remaining": {"3"}, "RETRY-AFTER": {"1", "2"}}}, nil
		})
		fetch(t, w, quotahttp.WithBase(base)).Body.Close()
		w.reported()
		if n := len(w.Reports()[0].GetHeaders()); n != 3 {
			t.Errorf("%d headers reported, want 3", n)
		}
	})
}

func TestDenialIsAnErrorThatSaysWhy(t *testing.T) {
	up, seen := script(200)
	inWorld(t, up, func(t *testing.T, w *world) {
		w.Deny(client.Scope{}, clienttest.Denial{Bucket: "linkedin/app-1", Limit: "app-day", RetryAfter: time.Hour})
		body := &trackedBody{Reader: strings.NewReader("x")}
		err := refused(t, w.transport(), request(t, "POST", "/", body))
		var denied *client.DeniedError
		if !errors.As(err, &denied) || denied.Limit != "app-day" {
			t.Errorf("got %v", err)
		}
		if body.closes() == 0 || seen.String() != "" {
			t.Errorf("body closed %d times, upstream saw %q", body.closes(), seen)
		}
	})
}

func TestBrokerAway(t *testing.T) {
	up, seen := script(200)
	inWorld(t, up, func(t *testing.T, w *world) {
		w.GoAway()
		err := refused(t, w.transport(), request(t, "GET", "/", nil))
		var away *client.UnavailableError
		if !errors.As(err, &away) || seen.String() != "" {
			t.Errorf("denied by default: %v, upstream saw %q", err, seen)
		}
		tr := w.transport(quotahttp.WithAcquire(client.WithBrokerAway(client.Allow)))
		resp, err := tr.RoundTrip(request(t, "GET", "/", nil))
		if err != nil || read(t, resp) != "OK" {
			t.Errorf("allowed when told: %v", err)
		}
	})
}

// TestRequestIsNotModified is the first rule of a RoundTripper.
func TestRequestIsNotModified(t *testing.T) {
	up, _ := script(429, 200)
	inWorld(t, up, func(t *testing.T, w *world) {
		w.Advise(429, client.Retry{Advised: true})
		req := request(t, "PUT", "/v2/people/1", strings.NewReader("body"))
		req.Header.Set("X-User", "u")
		before := req.Clone(req.Context())
		body := req.Body
		resp, err := w.transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		read(t, resp)
		if !reflect.DeepEqual(req.Header, before.Header) || *req.URL != *before.URL || req.Body != body || req.Context() != before.Context() || req.ContentLength != before.ContentLength {
			t.Errorf("the request was changed")
		}
		if resp.Request != req {
			t.Errorf("the response is of another request")
		}
	})
}

// TestResponseXorError is the second: whatever the base returns.
func TestResponseXorError(t *testing.T) {
	broken := errors.New("broken")
	body := &trackedBody{Reader: strings.NewReader("")}
	for name, base := range map[string]roundTripFunc{
		"neither": func(*http.Request) (*http.Response, error) { return nil, nil }, //nolint:nilnil // that is the case
		"both":    func(*http.Request) (*http.Response, error) { return &http.Response{Body: body}, broken },
		"error":   func(*http.Request) (*http.Response, error) { return nil, broken },
	} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			if err := refused(t, w.transport(quotahttp.WithBase(base)), request(t, "GET", "/", nil)); err == nil {
				t.Errorf("%s: neither a response nor an error", name)
			}
			w.reported()
			if r := w.Reports(); len(r) != 1 || r[0].GetResult() != pb.Result_RESULT_UNKNOWN || r[0].GetStatusCode() != 0 {
				t.Errorf("%s: a base of which nothing is known may have sent it; reported %v", name, r)
			}
		})
	}
	if body.closes() != 1 {
		t.Errorf("the body of a response with an error was closed %d times", body.closes())
	}
	inWorld(t, nil, func(t *testing.T, w *world) {
		body := &trackedBody{Reader: strings.NewReader("")}
		err := refused(t, w.transport(), &http.Request{Body: body})
		if err == nil || body.closes() != 1 || len(w.Acquires()) != 0 {
			t.Errorf("no URL: %v", err)
		}
	})
	inWorld(t, nil, func(t *testing.T, w *world) {
		base := roundTripFunc(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: http.StatusOK}, nil })
		resp := fetch(t, w, quotahttp.WithBase(base))
		if resp.Body == nil {
			t.Fatal("a response always has a body")
		}
		defer resp.Body.Close()
	})
}

// TestNotSentIsGivenBack: without a connection nothing was written.
func TestNotSentIsGivenBack(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dial = func(context.Context) (net.Conn, error) { return nil, errors.New("connection refused") }
		body := &trackedBody{Reader: strings.NewReader("x")}
		if err := refused(t, w.transport(), request(t, "POST", "/", body)); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("got %v", err)
		}
		w.reported()
		if d, r := len(w.Releases()), len(w.Reports()); d != 1 || r != 0 || body.closes() == 0 {
			t.Errorf("%d released, %d reported, body closed %d times", d, r, body.closes())
		}
	})
}

// TestMayHaveBeenSentStaysSpent: the connection broke, or the caller left.
func TestMayHaveBeenSentStaysSpent(t *testing.T) {
	upstream := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/break" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	for _, path := range []string{"/break", "/hang"} {
		inWorld(t, upstream, func(t *testing.T, w *world) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			req := request(t, "POST", path, strings.NewReader("x")).WithContext(ctx)
			if err := refused(t, w.transport(), req); err == nil {
				t.Fatal("answered")
			}
			w.reported()
			if r := w.Reports(); len(r) != 1 || r[0].GetResult() != pb.Result_RESULT_UNKNOWN || len(w.Releases()) != 0 {
				t.Errorf("%s: reported %v, released %d", path, r, len(w.Releases()))
			}
		})
	}
}

// TestRevokedWhileItWaitsForAConnection: the permit became void before anything
// was written, so it is given back, and the request goes out with another.
func TestRevokedWhileItWaitsForAConnection(t *testing.T) {
	up, seen := script(200)
	inWorld(t, up, func(t *testing.T, w *world) {
		connect := w.dial
		first := true
		w.dial = func(ctx context.Context) (net.Conn, error) {
			if first {
				first = false
				time.Sleep(time.Second)
				w.CoolDown(client.Scope{API: "linkedin"}, clienttest.Denial{RetryAfter: 10 * time.Second})
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return connect(ctx)
		}
		began := time.Now()
		resp, err := w.transport(quotahttp.WithAttempts(1)).RoundTrip(request(t, "POST", "/", strings.NewReader("once")))
		if err != nil {
			t.Fatal(err)
		}
		read(t, resp)
		w.reported()
		if got := time.Since(began); got != 11*time.Second {
			t.Errorf("sent after %v, want the end of the cool-down", got)
		}
		if d, r := len(w.Releases()), len(w.Reports()); d != 1 || r != 1 || seen.String() != "POST / once" {
			t.Errorf("%d released, %d reported, upstream saw %q", d, r, seen)
		}
	})
}

// TestLapsedWhileItWaitsForAConnection is the same without a way to send the body
// again, and ends.
func TestLapsedWhileItWaitsForAConnection(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.dial = func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		began := time.Now()
		err := refused(t, w.transport(), request(t, "POST", "/", &trackedBody{Reader: strings.NewReader("x")}))
		if !errors.Is(err, client.ErrLapsed) || time.Since(began) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		err = refused(t, w.transport(), request(t, "GET", "/", nil))
		if !errors.Is(err, client.ErrLapsed) || time.Since(began) != 25*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		w.reported()
		if d, r := len(w.Releases()), len(w.Reports()); d != 5 || r != 0 {
			t.Errorf("%d released, %d reported", d, r)
		}
	})
}

// TestSlowResponseOutlivesItsPermit: send_within is for sending.
func TestSlowResponseOutlivesItsPermit(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Minute)
		_, _ = io.WriteString(w, "late")
	}
	inWorld(t, upstream, func(t *testing.T, w *world) {
		resp, err := w.transport().RoundTrip(request(t, "GET", "/", nil))
		if err != nil || read(t, resp) != "late" {
			t.Errorf("got %v", err)
		}
		untraced := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return w.base.RoundTrip(r.WithContext(context.Background()))
		})
		resp, err = w.transport(quotahttp.WithBase(untraced)).RoundTrip(request(t, "GET", "/", nil))
		if err != nil || read(t, resp) != "late" {
			t.Errorf("a base that says nothing of connections: %v", err)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	up, _ := script(200)
	inWorld(t, up, func(t *testing.T, w *world) {
		tr := w.transport()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				resp, err := tr.RoundTrip(request(t, "GET", "/v2/people/1", nil))
				if err != nil {
					t.Error(err)
					return
				}
				read(t, resp)
			})
		}
		wg.Wait()
		w.reported()
		if a, r := len(w.Acquires()), len(w.Reports()); a != 50 || r != 50 {
			t.Errorf("%d acquires, %d reports", a, r)
		}
	})
}

func TestProtocolSwitchStaysWritable(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	}
	inWorld(t, upstream, func(t *testing.T, w *world) {
		w.Ask(pb.ReportBody_REPORT_BODY_ALWAYS)
		req := request(t, "GET", "/", nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		resp, err := w.transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(resp.Body.(io.Writer), "ping\n"); err != nil {
			t.Error(err)
		}
		if got := read(t, resp); got != "ping\n" {
			t.Errorf("echoed %q", got)
		}
	})
}

func TestCloseIdleConnections(t *testing.T) {
	up, _ := script(200)
	inWorld(t, up, func(t *testing.T, w *world) {
		dials := 0
		w.base.DialContext = countDials(&dials, w.base.DialContext)
		c := &http.Client{Transport: w.transport()}
		for range 2 {
			resp, err := c.Do(request(t, "GET", "/", nil))
			if err != nil {
				t.Fatal(err)
			}
			read(t, resp)
			synctest.Wait()
			c.CloseIdleConnections()
		}
		if dials != 2 {
			t.Errorf("%d connections, want a new one each time", dials)
		}
		w.transport(quotahttp.WithBase(roundTripFunc(nil))).CloseIdleConnections() // has none to close
	})
}
