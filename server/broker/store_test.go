package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// A call that is to be answered at once waits for the store's answer, not for
// more; all that came meanwhile go with one write.
func TestSlowStoreIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), delay: 200 * time.Millisecond}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 100, time.Hour))
		var calls []*call
		for i := range 5 {
			calls = append(calls, b.begin(fmt.Sprint(i), ask("u1")))
		}
		for _, c := range calls {
			c.grantedAt(t, 400*time.Millisecond) // to own, and to reserve
		}
		if calls, _ := store.counts(); calls > 3 {
			t.Errorf("the store was asked %d times", calls)
		}
	})
}

// A store that is slow, and answers one thing after the other, is not away.
func TestSlowStoreIsNotAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), delay: 600 * time.Millisecond}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 100, time.Hour))
		b.begin("patient", patient("u1", time.Minute)).grantedAt(t, 1200*time.Millisecond)
	})
}

// At-once calls that wait for the store behind others who will not be served are
// told so as soon as the store has answered.
func TestAtOnceBehindThePatient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), delay: 200 * time.Millisecond}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 1, time.Hour))
		first, second := b.begin("first", ask("u1")), b.begin("second", patient("u1", time.Minute))
		third := b.begin("third", ask("u1"))
		a := first.grantedAt(t, 400*time.Millisecond)
		third.deniedAt(t, 400*time.Millisecond, "QUOTA_EXHAUSTED")
		b.release(a)
		second.grantedAt(t, 400*time.Millisecond)
	})
}

// Peer bugs 7 and 12: a store that is away grants nothing and blocks nobody for
// long; once it is back so are the grants.
func TestPeerBugStoreAway(t *testing.T) {
	for name, away := range map[string]struct {
		fail  error
		delay time.Duration
	}{"fails": {fail: errDisk}, "hangs": {delay: 24 * time.Hour}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				store := &faulty{Store: memory.New(), fail: away.fail, delay: away.delay}
				b := open(t, broker.Config{Store: store}, every("app", perApp, 100, time.Hour))
				first := b.begin("first", patient("u1", time.Minute))
				time.Sleep(500 * time.Millisecond)
				second := b.begin("second", ask("u1"))
				first.failedAt(t, time.Second, broker.ErrUnavailable)
				second.failedAt(t, time.Second, broker.ErrUnavailable)
				if _, err := b.Report(t.Context(), broker.ReportRequest{Scope: ask("u1").Scope}); !errors.Is(err, broker.ErrUnavailable) {
					t.Errorf("Report: %v", err)
				}
				if _, err := b.Acquire(t.Context(), dry("u1")); !errors.Is(err, broker.ErrUnavailable) {
					t.Errorf("a dry run: %v", err)
				}
				store.set(nil, 0)
				time.Sleep(10 * time.Second)
				b.granted(ask("u1"))
			})
		})
	}
}

func dry(user string) broker.AcquireRequest {
	r := ask(user)
	r.DryRun = true
	return r
}

// While the store is away what is reserved is granted, without delay, and then
// nothing; while it stays away nobody waits for it again.
func TestReservedIsGrantedWhileTheStoreIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New()}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 100, time.Hour))
		b.granted(ask("u1"))
		synctest.Wait()
		store.set(errDisk, 0)
		granted := 1
		for {
			a, err := b.Acquire(t.Context(), ask("u1"))
			if errors.Is(err, broker.ErrUnavailable) {
				break
			}
			if err != nil || a.Denied != nil || b.since() != 0 {
				t.Fatalf("grant %d after %v: %+v, %v", granted, b.since(), a.Denied, err)
			}
			granted++
		}
		if granted < 2 || granted > 10 {
			t.Errorf("%d were granted of a chunk of 5", granted)
		}
		at := b.since()
		if _, err := b.Acquire(t.Context(), patient("u1", time.Minute)); !errors.Is(err, broker.ErrUnavailable) || b.since() != at {
			t.Errorf("while the store is known to be away: %v after %v", err, b.since()-at)
		}
		store.set(nil, 0)
		time.Sleep(time.Second)
		b.granted(ask("u1"))
	})
}

// Those who wait for a turn do not wait for a store that is away when it comes.
func TestTurnWhileTheStoreIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New()}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 2, 10*time.Second))
		for _, a := range b.take(2, ask("u1")) {
			b.report(a, response(200))
		}
		waiting := b.begin("waiting", patient("u1", time.Minute))
		store.set(errDisk, 0)
		waiting.failedAt(t, turned(1)+time.Second, broker.ErrUnavailable)
		store.set(nil, 0)
		time.Sleep(time.Second)
		b.granted(ask("u1"))
	})
}

// Where the store is known to be away when the turn comes, nobody waits for it.
func TestTurnWhileTheStoreIsLongAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New()}
		b := open(t, broker.Config{Store: store}, every("user", perUser, 2, 10*time.Second))
		for _, a := range b.take(2, ask("u1")) {
			b.report(a, response(200))
		}
		waiting := b.begin("waiting", patient("u1", time.Minute))
		store.set(errDisk, 0)
		b.begin("another user", ask("u2")).failedAt(t, time.Second, broker.ErrUnavailable)
		waiting.failedAt(t, turned(1), broker.ErrUnavailable)
	})
}

// The keeper tries a store that fails again and again, ever more slowly.
func TestFailingStoreIsNotHammered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New()}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 100, time.Hour))
		b.take(3, ask("u1"))
		synctest.Wait()
		before, _ := store.counts()
		store.set(errDisk, 0)
		_, _ = b.Acquire(t.Context(), ask("u1"))
		_, _ = b.Acquire(t.Context(), ask("u1"))
		_, _ = b.Acquire(t.Context(), ask("u1"))
		time.Sleep(time.Minute)
		after, _ := store.counts()
		if n := after - before; n < 20 || n > 70 {
			t.Errorf("the store was tried %d times in a minute", n)
		}
	})
}

// Another broker takes the shard over: from then on this one grants nothing of
// what it had, and when it owns the shard again the two have never granted more
// than there is. Those who wait keep their place.
func TestFencedBrokerGrantsNothingMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit = 100
		store := memory.New()
		b := open(t, broker.Config{Store: store}, every("app", perApp, limit, time.Hour))
		other := open(t, broker.Config{Store: store}, every("app", perApp, limit, time.Hour))
		granted := 0
		held := b.granted(ask("u1"))
		granted++
		synctest.Wait()
		for range 2 * limit {
			for _, one := range []*bench{b, other} {
				a, err := one.Acquire(t.Context(), ask("u1"))
				if err == nil && a.Denied == nil {
					granted++
				}
			}
		}
		if granted > limit {
			t.Errorf("%d granted of %d by two brokers", granted, limit)
		}
		if granted < limit/10 {
			t.Errorf("only %d granted of %d by two brokers", granted, limit)
		}
		if err := b.Release(t.Context(), "svc", held.Permit.ID); !errors.Is(err, broker.ErrPermitUnknown) {
			t.Errorf("a permit of before another broker owned the shard: %v", err)
		}
	})
}

func TestWaitersOutliveAFence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := memory.New()
		b := open(t, broker.Config{Store: store}, every("app", perApp, 40, 10*time.Second))
		for range 30 {
			b.report(b.granted(ask("u1")), response(200))
			synctest.Wait()
		}
		big := patient("u1", time.Minute)
		big.Costs = quota.Costs{quota.Requests: 11}
		first := b.begin("first", big)
		second := b.begin("second", patient("u1", time.Minute))
		if _, _, err := store.Own(t.Context(), broker.Shard{API: "api", App: "app"}, "other"); err != nil {
			t.Fatal(err)
		}
		// The keeper learns of it when the turn makes it write, and owns again. Whose
		// clock says that the window is over, nobody knows: one asks first.
		first.grantedAt(t, turned(1)+50*time.Millisecond)
		second.grantedAt(t, turned(1)+50*time.Millisecond+time.Second)
	})
}

// A broker that is started again on the same store, at any moment and with any
// permits on their way, never grants more than what is left, and each restart
// wastes no more than what was reserved ahead. (Peer bug 7.)
func TestPeerBugRestartNeverOverGrants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit, chunk, window, lives = 400, 20, 10 * time.Minute, 40
		store := memory.New()
		granted := map[int64]int{}
		began := time.Now()
		for life := range lives {
			b := open(t, broker.Config{Store: store}, every("app", perApp, limit, window))
			for i := range 1 + life*37%101 {
				a, err := b.Acquire(t.Context(), ask("u1"))
				if err != nil {
					t.Fatal(err)
				}
				if a.Denied != nil {
					continue
				}
				granted[int64(time.Since(began)/window)]++
				if i%3 == 0 {
					b.report(a, response(200))
				}
			}
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(49 * time.Second)
		}
		for w, n := range granted {
			if n > limit {
				t.Errorf("%d were granted in window %d, of %d", n, w, limit)
			}
		}
		if restarts := int(window / (49 * time.Second)); granted[0] < limit-restarts*chunk {
			t.Errorf("only %d of %d were granted in a window of %d restarts", granted[0], limit, restarts)
		}
	})
}

// A broker that is closed has written what exactly is spent: the next one grants
// all the rest, with permits that were never reported, with chunks reserved ahead
// in many buckets, and with a store that fails once more before it.
func TestCloseWastesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit, users = 1_000, 30
		store := &faulty{Store: memory.New()}
		limits := []quota.Limit{every("app", perApp, limit, time.Hour), every("user", perUser, limit, time.Hour)}
		b := open(t, broker.Config{Store: store}, limits...)
		for i := range 10 * users {
			a := b.granted(ask(fmt.Sprint("u", i%users)))
			if i%3 > 0 {
				b.report(a, response(200))
			}
		}
		b.close()
		if _, err := b.Acquire(t.Context(), ask("u1")); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}

		b = open(t, broker.Config{Store: store}, limits...)
		for range limit - 10*users {
			b.granted(ask("u1"))
		}
		b.denied("QUOTA_EXHAUSTED", ask("u2"))
		for u := range users {
			want := int64(limit - 10)
			if u == 1 {
				want -= limit - 10*users
			}
			if got := b.remainingOf(fmt.Sprint("u", u)); got != want {
				t.Errorf("user %d has %d left, want %d", u, got, want)
			}
		}
	})
}

// A store that fails while the broker closes costs at most what is reserved ahead.
func TestCloseWhileTheStoreFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const limit = 100
		store := &faulty{Store: memory.New()}
		b := open(t, broker.Config{Store: store}, every("app", perApp, limit, time.Hour))
		b.take(10, ask("u1"))
		synctest.Wait()
		store.set(errDisk, 0)
		b.close()
		store.set(nil, 0)
		b = open(t, broker.Config{Store: store}, every("app", perApp, limit, time.Hour))
		b.granted(ask("u1"))
		if left := b.remaining("app"); left > limit-11 || left < limit-16 {
			t.Errorf("%d are left of %d after 11", left, limit)
		}
	})
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.Close(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// remainingOf is what a user's own bucket has left.
func (b *bench) remainingOf(user string) int64 {
	b.t.Helper()
	a, err := b.Acquire(b.t.Context(), dry(user))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, q := range a.Quotas {
		if q.Limit == "user" {
			return q.Remaining
		}
	}
	b.t.Fatalf("no bucket of user %s in %+v", user, a.Quotas)
	return 0
}

// A window that ended a day before the newest began may be forgotten; not so what
// was learned by our own count, nor one whose end nobody knows.
func TestForgettable(t *testing.T) {
	const day = int64(24 * time.Hour)
	newest := 100 * day
	for _, tc := range []struct {
		began, hi, cool int64
		who             quota.Provenance
		want            bool
	}{
		{0, newest - day, 0, quota.Configured, true},
		{0, newest - day + 1, 0, quota.Configured, false},
		{0, newest - day, 0, quota.Learned, false},
		{0, newest - 35*day, 0, quota.Learned, true},
		{newest - 33*day, 0, 0, quota.Told, true},
		{newest - 33*day + 1, 0, 0, quota.Told, false},
		{newest - 66*day, 0, 0, quota.Learned, false},
		{newest - 67*day, 0, 0, quota.Learned, true},
		{0, newest - 5*day, newest - day, quota.Told, true},
		{0, newest - 5*day, newest - day + 1, quota.Told, false},
	} {
		r := quota.Reservation{Began: tc.began, Hi: tc.hi, CoolUntil: tc.cool, Provenance: tc.who}
		if got := broker.Forgettable(r, newest); got != tc.want {
			t.Errorf("%+v of %d days: %v, want %v", tc, newest/day, got, tc.want)
		}
	}
}
