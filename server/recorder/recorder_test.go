package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub answers as it is told.
type stub struct {
	server.Broker
	acquired broker.Acquired
	reported broker.Reported
	err      error
}

func (s *stub) Acquire(context.Context, broker.AcquireRequest) (broker.Acquired, error) {
	return s.acquired, s.err
}

func (s *stub) Report(context.Context, broker.ReportRequest) (broker.Reported, error) {
	return s.reported, s.err
}

func (s *stub) Release(context.Context, string, string) error { return s.err }

// memory is a file. It takes so many bytes as room says; each write waits for one
// of gate, if there is one.
type memory struct {
	mu     sync.Mutex
	text   bytes.Buffer
	room   int
	closed bool
	gate   chan struct{}
}

func (m *memory) Write(p []byte) (int, error) {
	if m.gate != nil {
		<-m.gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(len(p), m.room-m.text.Len())
	m.text.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

func (m *memory) Truncate(size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text.Truncate(int(size))
	return nil
}

func (m *memory) Close() error {
	m.closed = true
	return nil
}

func (m *memory) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

// read is what a recording says.
func read(t *testing.T, text string) []*recording.Line {
	t.Helper()
	var all []*recording.Line
	err := recording.Read(strings.NewReader(text), func(_ int, l *recording.Line) error {
		all = append(all, l)
		return nil
	})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return all
}

func recorded(t *testing.T, file File, o Options) *Recorder {
	t.Helper()
	r, err := New(file, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	return r
}

func closed(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

const secret = "someone@example.com"

// converse makes a call of each kind.
func converse(t *testing.T, b Broker, s *stub) {
	t.Helper()
	labels, err := quota.NewLabels(map[string]string{"tenant": secret})
	if err != nil {
		t.Fatal(err)
	}
	scope := quota.Scope{API: "api", App: "app", User: secret, Endpoint: "GET /me", Labels: labels}
	s.acquired = broker.Acquired{Waited: 3 * time.Millisecond, Permit: broker.Permit{ID: "the-permit"}}
	_, _ = b.Acquire(t.Context(), broker.AcquireRequest{Scope: scope, Caller: "svc", Costs: quota.Costs{"tokens": 2}, Priority: broker.High, MaxWait: time.Second})
	s.acquired = broker.Acquired{Denied: &broker.Denial{Reason: "QUOTA_EXHAUSTED", Bucket: quota.Status{Limit: "day"}, RetryAfter: time.Minute}}
	_, _ = b.Acquire(t.Context(), broker.AcquireRequest{Scope: scope, Caller: "svc"})
	s.reported = broker.Reported{Retry: broker.Retry{Advised: true, After: 7 * time.Second}}
	_, _ = b.Report(t.Context(), broker.ReportRequest{
		PermitID: "the-permit", Caller: "svc", SinceSent: 90 * time.Millisecond, SinceReceived: time.Millisecond,
		Response: dialect.Response{Status: 429, Body: []byte("throttled\xff"), Headers: []dialect.Field{
			{Name: "Authorization", Value: "Bearer abc"}, {Name: "Retry-After", Value: "7"}, {Name: "X-RateLimit-Limit", Value: "500"},
		}},
	})
	_ = b.Release(t.Context(), "svc", "another-permit")
}

func linkedin(t *testing.T) map[string]broker.API {
	t.Helper()
	d, ok := dialect.Builtin("linkedin")
	if !ok {
		t.Fatal("no dialect")
	}
	return map[string]broker.API{"api": {Dialect: dialect.Free(d, 304), Shadow: true, Rules: &quota.Rules{
		API: "api", Labels: []string{"tenant"}, SendWithin: time.Second,
		Limits: []quota.Limit{
			{Name: "day", Quota: 5, Window: quota.Window{Kind: quota.Calendar, Unit: quota.Day}},
		},
		Overrides: []quota.Override{{Endpoint: "GET /x", Limit: "day", Quota: 3}},
		Costs:     []quota.EndpointCost{{Endpoint: "GET /{id}", Unit: "tokens", Cost: 7}},
	}}}
}

func TestRecords(t *testing.T) {
	file, s := &memory{room: 1 << 20}, &stub{}
	r := recorded(t, file, Options{Version: "v1"})
	r.Configured(linkedin(t))
	converse(t, Broker{s, r}, s)
	closed(t, r)
	all := read(t, file.String())
	if len(all) != 6 || !file.closed {
		t.Fatalf("%d lines, closed: %v\n%s", len(all), file.closed, file)
	}
	want := recording.API{
		Dialect: "linkedin", Labels: []string{"tenant"},
		Limits:    []recording.Limit{{Name: "day", Per: []string{"app"}, Quota: 5, Window: recording.Window{Kind: recording.Calendar, Unit: "day", Zone: "UTC"}}},
		Overrides: []recording.Override{{Endpoint: "GET /x", Limit: "day", Quota: 3}},
		Costs:     []recording.Cost{{Endpoint: "GET /{id}", Unit: "tokens", Cost: 7}},
		Free:      []int{304}, Shadow: true, SendWithinUS: 1e6, ReportWithinUS: 300e6,
	}
	if got := all[1].Config.APIs["api"]; !reflect.DeepEqual(got, want) {
		t.Errorf("the API is %+v", got)
	}
	granted, denied, report := all[2].Acquire, all[3].Acquire, all[4].Report
	if granted.Scope.User != denied.Scope.User || granted.Permit != report.Permit || granted.WaitedUS != 3000 || granted.Priority != "high" {
		t.Errorf("granted %+v", granted)
	}
	if d := denied.Denied; d == nil || *d != (recording.Denied{Reason: "QUOTA_EXHAUSTED", Limit: "day", RetryAfterUS: 60e6}) {
		t.Errorf("denied %+v", d)
	}
	if report.Status != 429 || report.Took() != 89*time.Millisecond || *report.RetryAfterUS != 7e6 || report.Body != "throttled\uFFFD" {
		t.Errorf("report %+v", report)
	}
	if got := fmt.Sprint(report.Headers); got != "[[retry-after 7] [x-ratelimit-limit 500]]" {
		t.Errorf("headers %s", got)
	}
	for _, not := range []string{secret, "Bearer", "the-permit", "another-permit"} {
		if strings.Contains(file.String(), not) {
			t.Errorf("%q is in\n%s", not, file)
		}
	}
}

// TestPseudonyms holds that those of two recordings cannot be joined, and that
// users are shown where that is asked for.
func TestPseudonyms(t *testing.T) {
	var users []string
	for _, shown := range []bool{false, false, true} {
		file, s := &memory{room: 1 << 20}, &stub{}
		r := recorded(t, file, Options{Users: shown})
		converse(t, Broker{s, r}, s)
		closed(t, r)
		scope := read(t, file.String())[1].Acquire.Scope
		users = append(users, scope.User)
		if shown && scope.Labels["tenant"] != secret || strings.Contains(file.String(), "the-permit") {
			t.Errorf("labels %v", scope.Labels)
		}
	}
	if users[0] == users[1] || !strings.HasPrefix(users[0], "u-") || users[2] != secret {
		t.Errorf("users %q", users)
	}
}

// TestFailures holds that what was not decided is told apart, and that bad input
// is not recorded.
func TestFailures(t *testing.T) {
	file, s := &memory{room: 1 << 20}, &stub{}
	r := recorded(t, file, Options{})
	b := Broker{s, r}
	for _, s.err = range []error{
		broker.ErrUnavailable, context.Canceled, broker.ErrClosed, context.DeadlineExceeded, broker.ErrPermitUnknown,
		fmt.Errorf("acquire: %w", &quota.FieldError{Field: "scope.user", Value: secret}),
	} {
		if _, err := b.Report(t.Context(), broker.ReportRequest{PermitID: "p"}); !errors.Is(err, s.err) {
			t.Errorf("got %v", err)
		}
	}
	closed(t, r)
	var got []string
	for _, l := range read(t, file.String())[1:] {
		got = append(got, l.Report.Failed)
	}
	if want := "[unavailable gave_up unavailable gave_up no_permit]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestSlowDisk holds that no call waits for the file: what does not fit is counted.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics := prometheus.NewRegistry()
		file, s := &memory{room: 64 << 20, gate: make(chan struct{})}, &stub{}
		r, err := New(file, Options{Metrics: metrics})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the first line is being written, and nothing more is taken
		const calls = mostWaiting + 100
		for range calls {
			_ = Broker{s, r}.Release(t.Context(), "svc", "p")
		}
		close(file.gate)
		closed(t, r)
		if n := len(read(t, file.String())); n != 1+mostWaiting {
			t.Errorf("%d lines", n)
		}
		families, err := metrics.Gather()
		if err != nil || len(families) != 2 {
			t.Fatal(families, err)
		}
		if lost := families[0]; lost.GetName() != "quotabroker_recording_lost_lines_total" ||
			lost.GetMetric()[0].GetCounter().GetValue() != 100 || lost.GetMetric()[1].GetCounter().GetValue() != 0 {
			t.Errorf("lost: %v", lost)
		}
	})
}

// TestFullDisk holds that a recording stays whole when there is no room, says so
// once, and goes on when there is.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		file, s := &memory{room: 500}, &stub{}
		r, err := New(file, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		release := func(n int) {
			for range n {
				_ = Broker{s, r}.Release(t.Context(), "svc", "p")
				synctest.Wait()
			}
		}
		release(20)
		full := len(read(t, file.String()))
		file.mu.Lock()
		file.room = 1 << 20
		file.mu.Unlock()
		release(3)
		closed(t, r)
		if n := len(read(t, file.String())); full < 2 || full > 19 || n != full+3 {
			t.Errorf("%d lines when it was full, %d in the end", full, n)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 || strings.Count(log.String(), "no space left") != 1 {
			t.Errorf("the log has\n%s", &log)
		}
		if failed := count(t, r.writer.lines.failed); failed != float64(21-full) {
			t.Errorf("%v lines failed of %d", failed, 21-full)
		}
	})
}

// count is what a counter has.
func count(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Error(err)
	}
	return m.GetCounter().GetValue()
}

// TestClose holds that a file that hangs holds up a stop no longer than its
// context, and that nothing is recorded afterwards.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := &memory{room: 1 << 20, gate: make(chan struct{})}
		r, err := New(file, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		_ = Broker{&stub{}, r}.Release(t.Context(), "svc", "p")
		close(file.gate)
		synctest.Wait()
		if n := len(read(t, file.String())); n != 1 || !file.closed {
			t.Errorf("%d lines, closed: %v", n, file.closed)
		}
	})
}

// TestOpen holds who may read a recording, and that one which was cut off goes on.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	for i, cut := range []int64{0, 20, 0} {
		file, size, torn, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if torn != (i == 2) {
			t.Errorf("opened for the %d. time: torn %v", i+1, torn)
		}
		closed(t, recorded(t, file, Options{Size: size, Torn: torn}))
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		} else if err := os.Truncate(path, info.Size()-cut); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(read(t, string(text))); n != 2 { // the second was cut off
		t.Errorf("%d lines in\n%s", n, text)
	}
	for _, refused := range []struct{ path, want string }{
		{dir, "is no file"}, {filepath.Join(dir, "link"), "is no file"}, {filepath.Join(dir, "open"), "others may read"},
		{filepath.Join(dir, "none", "log"), "no such file"},
	} {
		_ = os.Symlink(path, filepath.Join(dir, "link"))
		if err := os.WriteFile(filepath.Join(dir, "open"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := Open(refused.path); err == nil || !strings.Contains(err.Error(), refused.want) {
			t.Errorf("%s: got %v, want %s", refused.path, err, refused.want)
		}
	}
}

// BenchmarkAcquire is what recording adds to an acquire.
func BenchmarkAcquire(b *testing.B) {
	r, err := New(&memory{room: 1 << 40}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close(context.Background())
	front := Broker{&stub{}, r}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = front.Acquire(b.Context(), broker.AcquireRequest{Scope: quota.Scope{API: "api", User: secret}})
	}
}
