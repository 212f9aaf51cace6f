package rest_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/test/bufconn"

	"github.com/quotabroker/quotabroker/server/rest"
)

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
	return w
}

func TestHandler(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "a_total", Help: "A."})
	registry.MustRegister(counter)
	counter.Add(3)
	var ready atomic.Bool
	full := rest.Handler(rest.Options{Ready: ready.Load, Metrics: registry})

	for _, c := range []struct {
		name         string
		h            http.Handler
		ready        bool
		method, path string
		code         int
		body         string
	}{
		{"alive before it serves", full, false, "GET", "/healthz", 200, "alive\n"},
		{"alive by HEAD", full, false, "HEAD", "/healthz", 200, "alive\n"},
		{"not ready", full, false, "GET", "/readyz", 503, "not serving\n"},
		{"ready", full, true, "GET", "/readyz", 200, "serving\n"},
		{"never ready without being told", rest.Handler(rest.Options{}), true, "GET", "/readyz", 503, "not serving\n"},
		{"metrics of the registry", full, true, "GET", "/metrics", 200, "a_total 3\n"},
		{"no metrics without a registry", rest.Handler(rest.Options{}), true, "GET", "/metrics", 404, ""},
		{"only reading", full, true, "POST", "/healthz", 405, ""},
		{"only reading", full, true, "DELETE", "/metrics", 405, ""},
		{"nothing else", full, true, "GET", "/debug/pprof/", 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ready.Store(c.ready)
			w := get(c.h, c.method, c.path)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("%s %s: %d %q, want %d with %q", c.method, c.path, w.Code, w.Body, c.code, c.body)
			}
		})
	}
}

// broken is a collector that cannot tell its metric.
type broken struct{}

func (broken) Describe(chan<- *prometheus.Desc) {}

func (broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(prometheus.NewDesc("b", "B.", nil, nil), errors.New("out of order"))
}

func TestMetricsThatFailAreLogged(t *testing.T) {
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	registry.MustRegister(broken{})
	h := rest.Handler(rest.Options{Metrics: registry, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if w := get(h, "GET", "/metrics"); w.Code != http.StatusInternalServerError {
		t.Errorf("code %d, want 500", w.Code)
	}
	if !strings.Contains(log.String(), "out of order") {
		t.Errorf("log %q does not say why", log.String())
	}
}

// serve runs a server in a bubble and returns a dialler of it.
func serve(t *testing.T, h http.Handler, log *slog.Logger) func() net.Conn {
	lis := bufconn.Listen(64 << 10)
	s := rest.NewServer(h, log)
	go s.Serve(lis)
	t.Cleanup(func() {
		s.Close()
		// A refused connection lingers for half a second of the bubble's time.
		time.Sleep(time.Second)
	})
	return func() net.Conn {
		c, err := lis.Dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func TestServerEndsSlowPeers(t *testing.T) {
	for name, c := range map[string]struct {
		sends string
		after time.Duration
	}{
		"open and silent":      {"", 5 * time.Second},
		"half a header":        {"GET /healthz HTTP/1.1\r\nHost: a\r\n", 5 * time.Second},
		"idle after a request": {"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := serve(t, rest.Handler(rest.Options{}), nil)()
				began := time.Now()
				if _, err := io.WriteString(conn, c.sends); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != c.after {
					t.Errorf("the connection ended after %v, want %v", took, c.after)
				}
			})
		})
	}
}

func TestServerRefusesGreedyHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serve(t, rest.Handler(rest.Options{}), nil)()
		go io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("a", 64<<10)+"\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %s, want 431", r.Status)
		}
	})
}

func TestServerLogsPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		boom := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
		conn := serve(t, boom, slog.New(slog.NewTextHandler(&log, nil)))()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "boom") {
			t.Errorf("log %q does not have the panic", log.String())
		}
	})
}
