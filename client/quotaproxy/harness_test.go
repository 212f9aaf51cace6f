package quotaproxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	"github.com/quotabroker/quotabroker/client/quotaproxy"
)

// world is a broker, an upstream, a proxy before it, and a client of that; all in
// memory.
type world struct {
	*clienttest.Broker
	http *http.Client
	logs *logs
}

// inWorld runs a test where time is not real. The configuration can be completed.
func inWorld(t *testing.T, upstream http.HandlerFunc, complete func(*quotaproxy.Config), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Broker: clienttest.NewBroker(), logs: &logs{}}
		defer w.Broker.Close()
		c := client.New(w.Conn())
		defer c.Close()
		base := serve(t, upstream)
		config := quotaproxy.Config{
			Client: c, API: "linkedin", App: "app-1", UserHeader: "X-User",
			Upstream: &url.URL{Scheme: "http", Host: "upstream.example"},
			Base:     base, Log: slog.New(slog.NewJSONHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		if complete != nil {
			complete(&config)
			defer config.Client.Close() // perhaps it is another one
		}
		p, err := quotaproxy.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer p.CloseIdleConnections()
		w.http = &http.Client{Transport: serve(t, p.ServeHTTP)}
		test(t, w)
		w.http.CloseIdleConnections()
	})
}

// serve runs a handler until the end of the test, and returns a way to it.
func serve(t *testing.T, h http.HandlerFunc) *http.Transport {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()
	tr := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return l.DialContext(ctx) },
		DisableCompression: true,
	}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = s.Close()
	})
	return tr
}

// logs collects what is logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://proxy.internal"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answer is what a client of the proxy got.
type answer struct {
	status int
	header http.Header
}

// do sends a request and reads the whole answer.
func (w *world) do(t *testing.T, r *http.Request) (answer, string) {
	t.Helper()
	resp, err := w.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return answer{resp.StatusCode, resp.Header}, string(body)
}

// left sends a request that gets no answer.
func (w *world) left(t *testing.T, r *http.Request) {
	t.Helper()
	resp, err := w.http.Do(r)
	if err == nil {
		resp.Body.Close()
		t.Fatal("answered")
	}
	synctest.Wait()
}

// refusal is the proxy's own answer.
type refusal struct {
	Error, Message, Reason, Bucket, Limit string
	RetryAfterSeconds                     int64 `json:"retry_after_seconds"`
}

func parse(t *testing.T, body string) refusal {
	t.Helper()
	var v refusal
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return v
}

// refusingConn is a connection to a broker that refuses every call as malformed.
type refusingConn struct{}

func (refusingConn) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return status.Error(codes.InvalidArgument, "scope.api: unknown")
}

func (refusingConn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.InvalidArgument, "scope.api: unknown")
}
