package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

func TestGrantAndReport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, 10*time.Second))
		a := b.granted(ask("u1"))
		p := a.Permit
		if p.ID == "" || p.SendWithin != quota.DefaultSendWithin || p.ReportWithin != quota.DefaultReportWithin {
			t.Errorf("the permit is %+v", p)
		}
		if len(p.Wants.Headers) != 4 {
			t.Errorf("the permit wants %+v, not what the dialect does", p.Wants)
		}
		if len(a.Quotas) != 1 || a.Quotas[0].Remaining != 9 || a.Quotas[0].ResetAfter != turned(1) {
			t.Errorf("the quotas are %+v", a.Quotas)
		}
		rep := b.report(a, response(200, "limit", "10", "remaining", "9"))
		if rep.Retry.Advised || len(rep.Quotas) != 1 || rep.Quotas[0].Remaining != 9 {
			t.Errorf("the report was answered %+v", rep)
		}
	})
}

func TestDeniedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 3, 10*time.Second))
		b.take(3, ask("u1"))
		time.Sleep(4 * time.Second)
		a := b.denied("QUOTA_EXHAUSTED", ask("u1"))
		if a.Denied.Bucket.Limit != "app" || a.Denied.RetryAfter != turned(1)-4*time.Second {
			t.Errorf("denied by %q, retry after %v; want app, 6.5s", a.Denied.Bucket.Limit, a.Denied.RetryAfter)
		}
		time.Sleep(a.Denied.RetryAfter)
		b.granted(ask("u1"))
	})
}

// Waiters go in the order in which they came, and those of a higher class as if
// they had come earlier.
func TestOrderOfWaiters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, 10*time.Second))
		b.report(b.granted(ask("u1")), response(200))
		var calls []*call
		for i, p := range []broker.Priority{
			broker.Background, broker.Normal, broker.Normal, broker.High, broker.Critical, broker.Normal, broker.High, broker.Background,
		} {
			r := patient("u1", 4*time.Minute)
			r.Priority = p
			calls = append(calls, b.begin(fmt.Sprint(i), r))
			time.Sleep(time.Second)
		}
		for i, n := range []int{4, 3, 6, 1, 2, 5, 0, 7} {
			b.report(calls[n].grantedAt(t, turned(i+1)), response(200))
		}
	})
}

// A lower class is late, never starved: a call that has waited longer than the
// head starts differ goes before those that came after.
func TestLowerClassIsNotStarved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, 10*time.Second))
		b.granted(ask("u1"))
		late := patient("u1", 5*time.Minute)
		late.Priority = broker.Background
		background := b.begin("background", late)
		const others = 40
		for i := range others {
			time.Sleep(5 * time.Second)
			b.begin(fmt.Sprint(i), patient("u1", 5*time.Minute))
		}
		e := background.ended()
		if e.Denied != nil || e.err != nil || e.at <= time.Minute || e.at > 160*time.Second {
			t.Errorf("the background call ended after %v with %+v, %v", e.at, e.Denied, e.err)
		}
	})
}

// A call of a higher class is not held back by those who wait and come after it,
// be they at several limits at once.
func TestHigherClassPassesTheQueues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 5, time.Hour), every("endpoint", perEndpoint, 5, time.Hour))
		elsewhere := ask("u1")
		elsewhere.Scope.Endpoint = "GET /elsewhere"
		held := b.take(4, ask("u1"))
		b.granted(elsewhere)
		big := patient("u1", time.Minute)
		big.Costs = quota.Costs{quota.Requests: 3}
		atApp := b.begin("at the application's", big)
		b.release(held[0])
		b.release(held[1])
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
		critical := ask("u1")
		critical.Priority = broker.Critical
		b.take(2, critical)
		if !atApp.running() {
			t.Error("what was released was granted twice")
		}
	})
}

func TestGrantedTheMomentQuotaReturns(t *testing.T) {
	for name, free := range map[string]func(b *bench, held []broker.Acquired){
		"released": func(b *bench, held []broker.Acquired) { b.release(held[0]) },
		"not sent": func(b *bench, held []broker.Acquired) {
			if _, err := b.Report(b.t.Context(), broker.ReportRequest{PermitID: held[0].Permit.ID, Caller: "svc", Result: broker.NotSent}); err != nil {
				b.t.Error(err)
			}
		},
		"from a cache": func(b *bench, held []broker.Acquired) {
			if _, err := b.Report(b.t.Context(), broker.ReportRequest{PermitID: held[0].Permit.ID, Caller: "svc", FromCache: true}); err != nil {
				b.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := open(t, broker.Config{}, every("app", perApp, 2, time.Hour))
				held := b.take(2, ask("u1"))
				first, second := b.begin("first", patient("u1", time.Minute)), b.begin("second", patient("u1", time.Minute))
				time.Sleep(1234 * time.Millisecond)
				free(b, held)
				a := first.grantedAt(t, 1234*time.Millisecond)
				if a.Waited != 1234*time.Millisecond {
					t.Errorf("it waited %v, and is told %v", 1234*time.Millisecond, a.Waited)
				}
				if want := 1234*time.Millisecond + quota.DefaultSendWithin; a.Permit.SendWithin != want {
					t.Errorf("counted from its asking it may send within %v, want %v", a.Permit.SendWithin, want)
				}
				if !second.running() {
					t.Error("one unit came back, and two were granted")
				}
			})
		})
	}
}

func TestGrantedWhenTheWindowTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 2, 10*time.Second))
		for _, a := range b.take(2, ask("u1")) {
			b.report(a, response(200))
		}
		time.Sleep(3 * time.Second)
		var calls []*call
		for i := range 3 {
			calls = append(calls, b.begin(fmt.Sprint(i), patient("u1", time.Minute)))
		}
		for _, c := range calls[:2] {
			b.report(c.grantedAt(t, turned(1)), response(200))
		}
		calls[2].grantedAt(t, turned(2))
	})
}

// A deadline that falls on the very instant of the turn is met.
func TestDeadlineAtTheTurnIsServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, 10*time.Second))
		b.report(b.granted(ask("u1")), response(200))
		b.begin("at the turn", patient("u1", turned(1))).grantedAt(t, turned(1))
	})
}

// Peer bug 11: no wait is longer than its caller's deadline, and a wait that is
// in vain is not begun.
func TestPeerBugDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{MaxWait: 3 * time.Second},
			every("app", perApp, 2, 10*time.Second), every("slow", perUser, 1, time.Hour))
		held := b.granted(ask("u1"))
		b.report(held, response(200))

		a := b.denied("DEADLINE_TOO_SHORT", patient("u1", 5*time.Second))
		if a.Denied.Bucket.Limit != "slow" || a.Denied.RetryAfter != time.Hour+1500*time.Millisecond {
			t.Errorf("told %s, %v; want slow and an hour with its guard", a.Denied.Bucket.Limit, a.Denied.RetryAfter)
		}
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
		b.granted(ask("u2")) // in flight: it may yet be given back
		if b.since() != 0 {
			t.Fatalf("%v have passed", b.since())
		}
		b.begin("own wish", patient("u3", 2*time.Second)).deniedAt(t, 2*time.Second, "QUOTA_EXHAUSTED")
		b.begin("the broker's cap", patient("u3", time.Minute)).deniedAt(t, 5*time.Second, "QUOTA_EXHAUSTED")
	})
}

func TestContextEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, time.Minute))
		held := b.granted(ask("u1"))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := b.Acquire(ctx, patient("u1", time.Hour)); !errors.Is(err, context.DeadlineExceeded) || b.since() != 3*time.Second {
			t.Errorf("Acquire: %v after %v", err, b.since())
		}
		if _, err := b.Acquire(ctx, ask("u1")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire with an ended context: %v", err)
		}
		b.release(held)
		if n := b.remaining("app"); n != 1 {
			t.Errorf("%d remain: the call that went away was charged", n)
		}
		if _, permits, _, waiting := broker.Kept(b.Broker); permits != 0 || waiting != 0 {
			t.Errorf("%d permits and %d waiters are left", permits, waiting)
		}
	})
}

// Peer bug 11: a waiter that goes away costs nothing, and those behind it move up
// at once.
func TestPeerBugCancelledWaiterIsNotCharged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 5, time.Hour))
		held := b.take(5, ask("u1"))
		big := patient("u1", time.Minute)
		big.Costs = quota.Costs{quota.Requests: 3}
		first, second := b.begin("first", big), b.begin("second", patient("u1", time.Minute))
		b.release(held[0])
		if !first.running() || !second.running() {
			t.Fatal("the second overtook the first, which costs more")
		}
		time.Sleep(time.Second)
		first.cancel()
		first.failedAt(t, time.Second, context.Canceled)
		second.grantedAt(t, time.Second)
		if n := b.remaining("app"); n != 0 {
			t.Errorf("%d remain, want 0", n)
		}
	})
}

// What those behind it would take does not hide from the first one that the
// window has turned.
func TestTurnIsForTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 6, 10*time.Second))
		refused := b.granted(ask("u2"))
		for _, a := range b.take(4, ask("u1")) {
			b.report(a, response(200))
		}
		big := patient("u1", time.Minute)
		big.Costs = quota.Costs{quota.Requests: 2}
		first := b.begin("first", big)
		b.report(refused, response(429, "retry-after", "5"))
		// It stands at its user's cool-down, and from there comes behind the first.
		second := b.begin("second", patient("u2", time.Minute))
		first.grantedAt(t, turned(1))
		// After a refusal without a word one call at a time goes: the first is not
		// heard of, so the next one goes a second after it.
		second.grantedAt(t, turned(1)+time.Second)
	})
}

// A cancellation that races with the grant costs nothing either, whoever wins.
func TestCancelRacesWithGrant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, 24*time.Hour))
		var delivered, cancelled int
		for range 2_000 {
			held := b.granted(ask("u1"))
			c := b.begin("racer", patient("u1", time.Minute))
			var both sync.WaitGroup
			both.Go(c.cancel)
			both.Go(func() { b.release(held) })
			both.Wait()
			if e := c.ended(); e.err == nil {
				delivered++
				b.release(e.Acquired)
			} else {
				cancelled++
			}
			if n := b.remaining("app"); n != 1 {
				t.Fatalf("%d remain after %d grants and %d cancellations", n, delivered, cancelled)
			}
		}
		if _, permits, _, waiting := broker.Kept(b.Broker); permits != 0 || waiting != 0 {
			t.Errorf("%d permits and %d waiters are left", permits, waiting)
		}
		t.Logf("%d delivered, %d cancelled", delivered, cancelled)
	})
}

// Peer bug 1: N concurrent acquires on a bucket with k left, exactly k granted;
// and peer bug 2: all limits or none.
func TestPeerBugConcurrentAcquires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const callers, k = 500, 137
		b := open(t, broker.Config{}, every("app", perApp, k, time.Hour), every("wide", perApp, 2*k, time.Hour))
		var granted atomic.Int64
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				a, err := b.Acquire(t.Context(), ask(fmt.Sprint("u", i%7)))
				if err != nil {
					t.Error(err)
				} else if a.Denied == nil {
					granted.Add(1)
				}
			})
		}
		all.Wait()
		if granted.Load() != k {
			t.Errorf("%d granted, want exactly %d", granted.Load(), k)
		}
		if n := b.remaining("wide"); n != k {
			t.Errorf("the limit that did not deny has %d left, want %d", n, k)
		}
	})
}

// Peer bug 2: a call that one limit denies is not charged to the others.
func TestPeerBugDeniedIsNotCharged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour), every("user", perUser, 1, time.Hour))
		b.granted(ask("u1"))
		for range 20 {
			b.denied("QUOTA_EXHAUSTED", ask("u1"))
		}
		if n := b.remaining("app"); n != 9 {
			t.Errorf("the application has %d left, want 9", n)
		}
	})
}

func TestDryRunSpendsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, time.Hour))
		dry := patient("u1", time.Minute)
		dry.DryRun, dry.RequestID = true, "id"
		for range 5 {
			if a := b.granted(dry); a.Permit.ID != "" || len(a.Quotas) != 1 || a.Quotas[0].Remaining != 1 {
				t.Fatalf("a dry run answered %+v", a)
			}
		}
		b.granted(ask("u1"))
		if b.denied("QUOTA_EXHAUSTED", dry); b.since() != 0 {
			t.Errorf("a dry run waited %v", b.since())
		}
	})
}

func TestBoundsOnWaiters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{MaxWaiters: 5, MaxWaitersPerConn: 3}, every("app", perApp, 1, time.Hour))
		held := b.granted(ask("u1"))
		from := func(conn any) broker.AcquireRequest {
			r := patient("u1", time.Minute)
			r.Conn = conn
			return r
		}
		var calls []*call
		for range 3 {
			calls = append(calls, b.begin("of one", from("one")))
		}
		b.denied("TOO_MANY_WAITERS", from("one"))
		calls = append(calls, b.begin("of two", from("two")), b.begin("of none", from(nil)))
		if a := b.denied("TOO_MANY_WAITERS", from("three")); a.Denied.Bucket.Limit != "app" {
			t.Errorf("denied at %q", a.Denied.Bucket.Limit)
		}
		for _, c := range calls {
			if !c.running() {
				t.Fatalf("%s was not to end", c.name)
			}
		}
		calls[1].cancel()
		again := b.begin("again", from("one"))
		b.release(held)
		synctest.Wait()
		for _, c := range append(calls, again) {
			c.cancel()
			c.ended()
		}
		if _, _, _, waiting := broker.Kept(b.Broker); waiting != 0 {
			t.Errorf("%d waiters are counted after all", waiting)
		}
	})
}
