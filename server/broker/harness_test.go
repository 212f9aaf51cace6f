package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// plainDialect reads limit, remaining, reset and retry-after, in seconds; 429 is
// refused, 503 overloaded.
type plainDialect struct{}

func (plainDialect) Name() string          { return "plain" }
func (plainDialect) Limits() []quota.Limit { return nil }
func (plainDialect) Wants() dialect.Wants {
	return dialect.Wants{Headers: []string{"limit", "remaining", "reset", "retry-after"}, Body: dialect.ErrorBody}
}

func (plainDialect) Read(r dialect.Response) dialect.Reading {
	var a quota.Answer
	o := quota.Observation{Remaining: quota.Unknown}
	for _, f := range r.Headers {
		n, err := strconv.ParseInt(f.Value, 10, 64)
		switch {
		case err != nil:
		case f.Name == "limit":
			o.Quota = n
		case f.Name == "remaining":
			o.Remaining = n
		case f.Name == "reset":
			o.Reset = quota.Reset{Known: true, After: time.Duration(n) * time.Second}
		case f.Name == "retry-after":
			a.RetryAfter = time.Duration(n) * time.Second
		}
	}
	switch r.Status {
	case 429:
		a.Verdict, o.Blocked, a.Reason = quota.Refused, o.Remaining == 0, "slow down"
	case 503:
		a.Verdict = quota.Overloaded
	}
	if o.Quota > 0 || o.Remaining != quota.Unknown {
		a.Observations = []quota.Observation{o}
	}
	return dialect.Reading{Answer: a}
}

// response is a response with headers given as name, value and so on.
func response(status int, headers ...string) dialect.Response {
	r := dialect.Response{Status: status}
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, dialect.Field{Name: headers[i], Value: headers[i+1]})
	}
	return r
}

var (
	perApp      = parts("app")
	perUser     = parts("app", "user")
	perEndpoint = parts("app", "endpoint")
)

func parts(names ...string) quota.Parts {
	p, err := quota.NewParts(names...)
	if err != nil {
		panic(err)
	}
	return p
}

// every is a limit whose window begins at the multiples of its period: at the
// start of a bubble, one has just begun.
func every(name string, per quota.Parts, n int64, period time.Duration) quota.Limit {
	return quota.Limit{
		Name: name, Per: per, Quota: n, Provenance: quota.Configured,
		Window: quota.Window{Kind: quota.Fixed, Period: period, Aligned: true},
	}
}

// turned is when the n-th turn of a window of ten seconds is certain: the model
// leaves a twentieth of the period to clocks that differ.
func turned(n int) time.Duration {
	return time.Duration(n)*10*time.Second + 500*time.Millisecond
}

// api is an upstream with these limits.
func api(limits ...quota.Limit) broker.API {
	return broker.API{Rules: &quota.Rules{API: "api", Limits: limits, Labels: []string{"tenant"}}, Dialect: plainDialect{}}
}

// bench is a broker under test.
type bench struct {
	*broker.Broker
	t     testing.TB
	start time.Time
}

// open starts a broker with one API, named "api", on a memory store or on that of
// the configuration, and closes it with the test.
func open(t testing.TB, c broker.Config, limits ...quota.Limit) *bench {
	t.Helper()
	if c.Store == nil {
		c.Store = memory.New()
	}
	if c.APIs == nil {
		c.APIs = map[string]broker.API{"api": api(limits...)}
	}
	b, err := broker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &bench{b, t, time.Now()}
}

// bubble runs a test in a bubble of its own time.
func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func (b *bench) since() time.Duration { return time.Since(b.start) }

// ask is a request of the application for one user, to be answered at once.
func ask(user string) broker.AcquireRequest {
	return broker.AcquireRequest{Scope: quota.Scope{API: "api", App: "app", User: user, Endpoint: "GET /x"}, Caller: "svc"}
}

// patient is ask with a wait.
func patient(user string, wait time.Duration) broker.AcquireRequest {
	r := ask(user)
	r.MaxWait = wait
	return r
}

// granted acquires and fails the test unless that is granted.
func (b *bench) granted(r broker.AcquireRequest) broker.Acquired {
	b.t.Helper()
	a, err := b.Acquire(b.t.Context(), r)
	if err != nil || a.Denied != nil {
		b.t.Fatalf("Acquire(%v): %+v, %v; want a grant", r.Scope, a.Denied, err)
	}
	return a
}

// take grants n permits and fails the test if that is not possible.
func (b *bench) take(n int, r broker.AcquireRequest) []broker.Acquired {
	b.t.Helper()
	var all []broker.Acquired
	for range n {
		all = append(all, b.granted(r))
	}
	return all
}

// denied acquires and fails the test unless that is denied for the reason.
func (b *bench) denied(reason string, r broker.AcquireRequest) broker.Acquired {
	b.t.Helper()
	a, err := b.Acquire(b.t.Context(), r)
	if err != nil || a.Denied == nil || a.Denied.Reason != reason {
		b.t.Fatalf("Acquire(%v): %+v, %+v, %v; want a denial as %s", r.Scope, a.Permit, a.Denied, err, reason)
	}
	if a.Denied.RetryAfter <= 0 {
		b.t.Fatalf("a denial as %s has RetryAfter %v", reason, a.Denied.RetryAfter)
	}
	return a
}

// report ends a permit by a response.
func (b *bench) report(a broker.Acquired, r dialect.Response) broker.Reported {
	b.t.Helper()
	rep, err := b.Report(b.t.Context(), broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: r})
	if err != nil {
		b.t.Fatalf("Report: %v", err)
	}
	return rep
}

func (b *bench) release(a broker.Acquired) {
	b.t.Helper()
	if err := b.Release(b.t.Context(), "svc", a.Permit.ID); err != nil {
		b.t.Fatalf("Release: %v", err)
	}
}

// remaining is what a limit has left for the one bucket that it has.
func (b *bench) remaining(limit string) int64 {
	b.t.Helper()
	for _, q := range b.Statuses(quota.Scope{}) {
		if q.Limit == limit {
			return q.Remaining
		}
	}
	b.t.Fatalf("no bucket of limit %s", limit)
	return 0
}

// ending is how an acquire that ran by itself ended.
type ending struct {
	broker.Acquired
	err error
	at  time.Duration
}

// call is an acquire that runs by itself.
type call struct {
	name   string
	done   chan struct{}
	end    ending
	cancel context.CancelFunc
}

// begin starts an acquire, and returns once it waits or has ended.
func (b *bench) begin(name string, r broker.AcquireRequest) *call {
	ctx, cancel := context.WithCancel(b.t.Context())
	c := &call{name: name, done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(c.done)
		defer cancel()
		a, err := b.Acquire(ctx, r)
		c.end = ending{a, err, b.since()}
	}()
	synctest.Wait()
	return c
}

// ended waits for the end of the call.
func (c *call) ended() ending {
	<-c.done
	return c.end
}

// running reports whether the call still waits.
func (c *call) running() bool {
	synctest.Wait()
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// grantedAt fails the test unless the call was granted at the instant.
func (c *call) grantedAt(t testing.TB, at time.Duration) broker.Acquired {
	t.Helper()
	e := c.ended()
	if e.err != nil || e.Denied != nil {
		t.Fatalf("%s ended after %v with %+v, %v; want a grant after %v", c.name, e.at, e.Denied, e.err, at)
	}
	if e.at != at {
		t.Errorf("%s was granted after %v, want %v", c.name, e.at, at)
	}
	return e.Acquired
}

// deniedAt fails the test unless the call was denied for the reason, at the instant.
func (c *call) deniedAt(t testing.TB, at time.Duration, reason string) broker.Denial {
	t.Helper()
	e := c.ended()
	if e.err != nil || e.Denied == nil || e.Denied.Reason != reason || e.at != at {
		t.Fatalf("%s ended after %v with %+v, %v; want a denial as %s after %v", c.name, e.at, e.Denied, e.err, reason, at)
	}
	return *e.Denied
}

// failedAt fails the test unless the call ended with the error, at the instant.
func (c *call) failedAt(t testing.TB, at time.Duration, err error) {
	t.Helper()
	if e := c.ended(); !errors.Is(e.err, err) || e.at != at {
		t.Fatalf("%s ended after %v with %+v, %v; want %v after %v", c.name, e.at, e.Denied, e.err, err, at)
	}
}

// faulty is a store that can be slow, fail, or stand still.
type faulty struct {
	broker.Store

	mu     sync.Mutex
	fail   error
	delay  time.Duration
	calls  int
	writes int
}

func (f *faulty) set(fail error, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.delay = fail, delay
}

func (f *faulty) step(ctx context.Context) error {
	f.mu.Lock()
	fail, delay := f.fail, f.delay
	f.calls++
	f.mu.Unlock()
	select {
	case <-time.After(delay):
		return fail
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *faulty) counts() (calls, writes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.writes
}

func (f *faulty) Own(ctx context.Context, s broker.Shard, owner string) (uint64, []quota.Reservation, error) {
	if err := f.step(ctx); err != nil {
		return 0, nil, err
	}
	return f.Store.Own(ctx, s, owner)
}

func (f *faulty) Reserve(ctx context.Context, s broker.Shard, epoch uint64, records []quota.Reservation) error {
	if err := f.step(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	f.writes++
	f.mu.Unlock()
	return f.Store.Reserve(ctx, s, epoch, records)
}

var errDisk = fmt.Errorf("the disk is on fire")
