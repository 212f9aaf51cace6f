package quotahttp_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	"github.com/quotabroker/quotabroker/client/quotahttp"
)

// world is a broker, a client, an upstream on an in-memory listener, and a real
// http.Transport to it.
type world struct {
	*clienttest.Broker
	client *client.Client
	base   *http.Transport
	// dial can be replaced before the first request.
	dial func(context.Context) (net.Conn, error)
}

// inWorld runs a test where time is not real.
func inWorld(t *testing.T, upstream http.HandlerFunc, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Broker: clienttest.NewBroker()}
		defer w.Broker.Close()
		w.client = client.New(w.Conn())
		defer w.client.Close()
		listener := bufconn.Listen(1 << 16)
		server := &http.Server{Handler: upstream, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(listener) }()
		defer server.Close()
		w.dial = listener.DialContext
		w.base = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.dial(ctx) }}
		defer w.base.CloseIdleConnections()
		test(t, w)
	})
}

// transport is the one under test.
func (w *world) transport(opts ...quotahttp.Option) *quotahttp.Transport {
	return quotahttp.New(w.client, "linkedin", append([]quotahttp.Option{quotahttp.WithBase(w.base)}, opts...)...)
}

// reported waits for the reports to be through.
func (w *world) reported() {
	synctest.Wait()
}

func request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://upstream"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refused sends a request that is to fail, and returns its error; nil when there
// was a response.
func refused(t *testing.T, rt http.RoundTripper, r *http.Request) error {
	t.Helper()
	resp, err := rt.RoundTrip(r)
	if resp != nil {
		resp.Body.Close()
		if err != nil {
			t.Errorf("a response and an error: %v", err)
		}
		return nil
	}
	return err
}

// read reads a response whole and closes it.
func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("body: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	return string(b)
}

// script answers with one status after the other, the last one for ever.
func script(statuses ...int) (http.HandlerFunc, *log) {
	l := &log{}
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := l.add(r.Method + " " + r.URL.Path + " " + string(body))
		status := statuses[min(n, len(statuses))-1]
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "7")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, http.StatusText(status))
	}, l
}

// log is what an upstream saw.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(line))
	return len(l.lines)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "|")
}

// roundTripFunc is a base transport of a test's own.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// trackedBody is a body that knows whether it was closed.
type trackedBody struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func (b *trackedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

func (b *trackedBody) closes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

type dialFunc = func(context.Context, string, string) (net.Conn, error)

// countDials counts the connections that are made one after the other.
func countDials(n *int, dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		*n++
		return dial(ctx, network, address)
	}
}
