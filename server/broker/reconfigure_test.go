package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// reconfigure gives the broker one API with these limits.
func (b *bench) reconfigure(limits ...quota.Limit) { b.t.Helper(); b.only(api(limits...)) }

// only gives the broker one API.
func (b *bench) only(a broker.API) {
	b.t.Helper()
	if err := b.Reconfigure(map[string]broker.API{"api": a}, nil); err != nil {
		b.t.Fatalf("Reconfigure: %v", err)
	}
}

// Counts survive, a smaller quota holds at once, and whoever waits is decided by
// the new one at once too.
func TestReconfigureKeepsCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		held := b.take(5, ask("u1"))
		b.reconfigure(every("app", perApp, 5, time.Hour))
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
		waits := b.begin("waits", patient("u1", time.Minute))
		second := b.begin("the second", patient("u1", time.Minute))
		time.Sleep(time.Second)
		b.reconfigure(every("app", perApp, 6, time.Hour))
		waits.grantedAt(t, time.Second)
		if !second.running() {
			t.Fatal("the second did not wait on")
		}
		b.release(held[0])
		second.grantedAt(t, time.Second)
		if n := b.remaining("app"); n != 0 {
			t.Errorf("%d remain, want 0", n)
		}
	})
}

// Faults row 77: with permits out beyond the new limit nothing is granted, nothing
// is negative, and each can still be reported.
func TestReconfigureShrinksWithPermitsOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 100, time.Hour))
		held := b.take(50, ask("u1"))
		b.reconfigure(every("app", perApp, 10, time.Hour))
		for _, a := range held {
			if n := b.remaining("app"); n != 0 {
				t.Fatalf("%d remain, want 0", n)
			}
			b.denied("QUOTA_EXHAUSTED", ask("u1"))
			b.report(a, response(200))
		}
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
		time.Sleep(time.Hour + 2*time.Second)
		b.take(10, ask("u1"))
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
	})
}

// Those who stand at a limit that goes are served in their order, by what is left.
func TestReconfigureRemovesALimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 3, time.Hour), every("user", perUser, 1, time.Hour))
		b.granted(ask("u1"))
		var calls []*call
		for i := range 3 {
			calls = append(calls, b.begin(fmt.Sprint(i), patient("u1", time.Minute)))
			time.Sleep(time.Millisecond)
		}
		b.reconfigure(every("app", perApp, 3, time.Hour))
		calls[0].grantedAt(t, 3*time.Millisecond)
		calls[1].grantedAt(t, 3*time.Millisecond)
		if !calls[2].running() {
			t.Error("more was granted than the limit that is left has")
		}
		b.reconfigure()
		calls[2].grantedAt(t, 3*time.Millisecond)
	})
}

// Of an API that is removed nobody gets a permit, and those that are out can be
// reported and released. When it comes back its counts are still there.
func TestReconfigureRemovesAnAPI(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one := []quota.Limit{every("app", perApp, 2, time.Hour)}
		b := open(t, broker.Config{}, one...)
		held := b.take(2, ask("u1"))
		waits := b.begin("waits", patient("u1", time.Minute))
		if err := b.Reconfigure(map[string]broker.API{"other": {Rules: &quota.Rules{API: "other"}, Dialect: plainDialect{}}}, nil); err != nil {
			t.Fatal(err)
		}
		_, err := b.Acquire(t.Context(), ask("u1"))
		for _, err := range []error{waits.ended().err, err} {
			var field *quota.FieldError
			if !errors.As(err, &field) || field.Field != "scope.api" || !strings.Contains(field.Remedy, "has other") {
				t.Errorf("got %v, want a FieldError that names scope.api and what there is", err)
			}
		}
		if _, err := b.Watch(quota.Scope{API: "api"}); err == nil {
			t.Error("it can be watched")
		}
		b.report(held[0], response(200))
		b.release(held[1])
		b.reconfigure(one...)
		b.granted(ask("u1"))
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
	})
}

// An API that nobody configured comes and goes with what makes it.
func TestReconfigureUnknown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		unknown := func(name string) (broker.API, bool) {
			return broker.API{Rules: &quota.Rules{API: name, Limits: []quota.Limit{every("app", perApp, 2, time.Hour)}}, Dialect: plainDialect{}}, true
		}
		b := open(t, broker.Config{APIs: map[string]broker.API{}})
		if _, err := b.Acquire(t.Context(), ask("u1")); err == nil {
			t.Fatal("granted for an API that there is not")
		}
		if err := b.Reconfigure(nil, unknown); err != nil {
			t.Fatal(err)
		}
		b.granted(ask("u1"))
		if err := b.Reconfigure(nil, unknown); err != nil {
			t.Fatal(err)
		}
		b.granted(ask("u1"))
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
		if err := b.Reconfigure(nil, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Acquire(t.Context(), ask("u1")); err == nil {
			t.Error("granted for an API that there is not any more")
		}
	})
}

// A configuration that the broker cannot run with changes nothing.
func TestReconfigureIsAtomic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, time.Hour))
		good := api(every("app", perApp, 100, time.Hour))
		if err := b.Reconfigure(map[string]broker.API{"api": good, "bad": {}}, nil); err == nil || !strings.Contains(err.Error(), "APIs.bad") {
			t.Fatalf("got %v, want an error that names APIs.bad", err)
		}
		b.granted(ask("u1"))
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
	})
}

// A permit keeps the deadlines that it was granted with, for a retry too; new ones
// have the new.
func TestReconfigureDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 9, time.Hour))
		again := ask("u1")
		again.RequestID = "r"
		first := b.granted(again)
		longer := api(every("app", perApp, 9, time.Hour))
		longer.Rules.SendWithin, longer.Rules.ReportWithin = time.Minute, time.Hour
		b.only(longer)
		if a := b.granted(again); a.Permit.ID != first.Permit.ID || a.Permit.SendWithin != first.Permit.SendWithin {
			t.Errorf("the retry has %v to send, the permit had %v, and must be the same", a.Permit.SendWithin, first.Permit.SendWithin)
		}
		if a := b.granted(ask("u1")); a.Permit.SendWithin != time.Minute || a.Permit.ReportWithin != time.Hour {
			t.Errorf("a new permit has %v and %v", a.Permit.SendWithin, a.Permit.ReportWithin)
		}
		time.Sleep(quota.DefaultReportWithin)
		if _, err := b.Report(t.Context(), broker.ReportRequest{PermitID: first.Permit.ID, Caller: "svc", Response: response(200)}); !errors.Is(err, broker.ErrPermitUnknown) {
			t.Errorf("a report of the first after its time: %v", err)
		}
	})
}

// Whoever waits with a label that there is no more is told so.
func TestReconfigureLabels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, time.Hour))
		b.granted(ask("u1"))
		r := patient("u1", time.Minute)
		labels, err := quota.NewLabels(map[string]string{"tenant": "t1"})
		if err != nil {
			t.Fatal(err)
		}
		r.Scope.Labels = labels
		waits := b.begin("waits", r)
		a := api(every("app", perApp, 2, time.Hour))
		a.Rules.Labels = nil
		b.only(a)
		if err := waits.ended().err; err == nil || !strings.Contains(err.Error(), "scope.labels") {
			t.Errorf("got %v, want an error that names scope.labels", err)
		}
	})
}

// Whoever waits for the store to make the broker the owner waits on, for the new
// limits.
func TestReconfigureBeforeOwnership(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), delay: 500 * time.Millisecond}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 1, time.Hour))
		first := b.begin("first", patient("u1", time.Minute))
		b.reconfigure(every("app", perApp, 2, time.Hour))
		second := b.begin("second", patient("u1", time.Minute))
		first.ended()
		second.ended()
		if first.end.Denied != nil || second.end.Denied != nil || first.end.err != nil || second.end.err != nil {
			t.Errorf("got %+v and %+v, want two grants", first.end, second.end)
		}
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
	})
}

// While callers come and go, quotas shrink and grow, limits and APIs come and go:
// nobody is lost, nobody stands at a bucket that could serve them, and no more is
// out than the greatest quota. It is run with the race detector.
func TestReconfigureWhileEverythingRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const most = 20
		b := open(t, broker.Config{}, every("app", perApp, most, 10*time.Second))
		var callers sync.WaitGroup
		var mu sync.Mutex
		granted, refused := 0, 0
		for i := range 50 {
			callers.Go(func() {
				for b.since() < 50*time.Second {
					a, err := b.Acquire(context.Background(), patient(fmt.Sprint("u", i%9), 12*time.Second))
					mu.Lock()
					switch {
					case err != nil:
						refused++
					case a.Denied == nil:
						granted++
					}
					mu.Unlock()
					time.Sleep(time.Duration(i+1) * 37 * time.Millisecond)
					if err == nil && a.Denied == nil {
						// The API may have gone meanwhile: that must not matter.
						b.report(a, response(200))
					}
				}
			})
		}
		configurations := []map[string]broker.API{
			{"api": api(every("app", perApp, most/2, 10*time.Second))},
			{"api": api(every("app", perApp, most, 10*time.Second), every("user", perUser, 3, 10*time.Second))},
			{"other": api()},
			{"api": api(every("all", perApp, most, 10*time.Second))},
			{"api": api(every("app", perApp, most, 10*time.Second))},
		}
		for i := range 60 {
			time.Sleep(730 * time.Millisecond)
			if err := b.Reconfigure(configurations[i%len(configurations)], nil); err != nil {
				t.Fatal(err)
			}
			if stuck := broker.Stuck(b.Broker); len(stuck) > 0 {
				t.Fatalf("after reconfiguration %d these could go: %v", i, stuck)
			}
		}
		callers.Wait()
		windows := int(b.since()/(10*time.Second)) + 1
		t.Logf("%d granted, %d refused in %d windows", granted, refused, windows)
		if granted == 0 || refused == 0 || granted > windows*most {
			t.Errorf("%d granted in %d windows of at most %d, %d refused; want some of each", granted, windows, most, refused)
		}
	})
}

// Where shadow mode begins nobody is held back any more.
func TestReconfigureToShadow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one := api(every("app", perApp, 1, time.Hour))
		b := open(t, broker.Config{APIs: map[string]broker.API{"api": one}})
		b.granted(ask("u1"))
		waits := b.begin("waits", patient("u1", time.Minute))
		one.Shadow = true
		b.only(one)
		waits.grantedAt(t, 0)
		b.granted(ask("u1"))
		one.Shadow = false
		b.only(one)
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
	})
}
