package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/alert"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// secret is in every address, and must be in no log.
const secret = "sesame"

func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

// receiver is a webhook's other side, which can misbehave.
type receiver struct {
	t     testing.TB
	lis   *pipes
	serve *http.Server

	mu       sync.Mutex
	down     bool
	status   int
	wait     string // Retry-After
	slow     time.Duration
	attempts []time.Time
	paths    []string
	bodies   []string // of what was taken
	ids      []string
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{t: t, lis: &pipes{conns: make(chan net.Conn), done: make(chan struct{})}, status: http.StatusOK}
	r.serve = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.serve.Serve(r.lis)
	}()
	t.Cleanup(func() {
		_ = r.serve.Close()
		<-ended
	})
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.attempts = append(r.attempts, time.Now())
	status, slow, wait := r.status, r.slow, r.wait
	r.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-q.Context().Done():
			return
		}
	}
	if wait != "" {
		w.Header().Set("Retry-After", wait)
	}
	if status < 300 {
		r.mu.Lock()
		r.paths = append(r.paths, q.URL.Path)
		r.bodies = append(r.bodies, string(body))
		r.ids = append(r.ids, q.Header.Get("Idempotency-Key"))
		r.mu.Unlock()
	}
	w.WriteHeader(status)
}

func (r *receiver) set(down bool, status int, wait string, slow time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down, r.status, r.wait, r.slow = down, status, wait, slow
}

// transport reaches the receiver, whatever the address says.
func (r *receiver) transport() WebhookOption {
	return WithTransport(&http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		r.mu.Lock()
		down := r.down
		r.mu.Unlock()
		if down {
			return nil, errors.New("connection refused")
		}
		here, there := net.Pipe()
		select {
		case r.lis.conns <- there:
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}})
}

// taken is the ids of what the receiver took.
func (r *receiver) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ids...)
}

// tried is when each attempt came.
func (r *receiver) tried() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.attempts...)
}

// messages is what the receiver took, in the generic form.
func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]message, len(r.bodies))
	for i, b := range r.bodies {
		if err := json.Unmarshal([]byte(b), &all[i]); err != nil {
			r.t.Fatalf("%v in %s", err, b)
		}
	}
	return all
}

// record is a log that can be read.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// logger writes to a record that must not have the secret at the end of the
// test.
func logger(t testing.TB) (*slog.Logger, *record) {
	r := &record{}
	t.Cleanup(func() {
		if strings.Contains(r.String(), secret) {
			t.Errorf("the log has a secret: %s", r)
		}
	})
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug})), r
}

// plain is a dialect that reads only the status, and how long to wait.
type plain struct{}

func (plain) Name() string          { return "plain" }
func (plain) Limits() []quota.Limit { return nil }
func (plain) Wants() dialect.Wants  { return dialect.Wants{} }
func (plain) Read(r dialect.Response) dialect.Reading {
	if r.Status == http.StatusTooManyRequests {
		return dialect.Reading{Answer: quota.Answer{Verdict: quota.Refused, RetryAfter: time.Minute, Reason: "slow down"}}
	}
	return dialect.Reading{}
}

// newBroker has one API, "api", with a day's limit by application.
func newBroker(t testing.TB, n int64) *broker.Broker {
	t.Helper()
	app, err := quota.NewParts("app")
	if err != nil {
		t.Fatal(err)
	}
	limit := quota.Limit{Name: "app-day", Per: app, Quota: n, Provenance: quota.Configured, Window: quota.Window{Kind: quota.Calendar, Unit: quota.Day}}
	b, err := broker.New(broker.Config{
		APIs:  map[string]broker.API{"api": {Rules: &quota.Rules{API: "api", Limits: []quota.Limit{limit}}, Dialect: plain{}}},
		Store: memory.New(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

var scope = quota.Scope{API: "api", App: "app"}

// call makes n calls that the upstream answers with the status.
func call(t testing.TB, b *broker.Broker, n, status int) {
	t.Helper()
	for range n {
		a, err := b.Acquire(context.Background(), broker.AcquireRequest{Scope: scope, Caller: "svc"})
		if err != nil || a.Denied != nil {
			t.Fatalf("denied: %+v, %v", a.Denied, err)
		}
		r := broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: dialect.Response{Status: status}}
		if _, err := b.Report(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// follow starts a service, and stops it with the test.
func follow(t testing.TB, b *broker.Broker, log *slog.Logger, queue int, sinks ...Sink) *Service {
	t.Helper()
	s, err := Start(Config{Broker: b, Sinks: sinks, Log: log, Queue: queue, Settings: alert.Settings{Rules: []alert.Rule{alert.Remaining, alert.Cooldown}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

var address = InlineAddress("http://hooks.example/" + secret)
