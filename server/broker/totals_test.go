package broker_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// limit is the totals of one limit of the API under test.
func (b *bench) limit(name string) broker.LimitTotals {
	b.t.Helper()
	return find(b.t, b.Totals(), broker.LimitID{API: "api", Limit: name})
}

func find(t testing.TB, totals broker.Totals, id broker.LimitID) broker.LimitTotals {
	t.Helper()
	for _, l := range totals.Limits {
		if l.LimitID == id {
			return l
		}
	}
	t.Fatalf("no totals of %v in %+v", id, totals)
	return broker.LimitTotals{}
}

// count fails the test unless the number is what it must be.
func count[N int | int64 | uint64](t testing.TB, what string, got, want N) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

func TestTotals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Minute), every("user", perUser, 3, time.Minute))
		first := b.take(3, ask("u1"))
		second := b.granted(ask("u2"))
		b.report(first[0], response(200))
		b.release(first[1])
		b.granted(ask("u1"))
		time.Sleep(7 * time.Second) // what is neither reported nor released has lapsed
		b.report(second, response(200))

		app, user := b.limit("app"), b.limit("user")
		count(t, "granted", app.Granted, 5)
		count(t, "settled", app.Settled, 2)
		count(t, "released", app.Released, 1)
		count(t, "lapsed", app.Lapsed, 3)
		count(t, "buckets of users", user.Buckets, 2)
		count(t, "granted by users", user.Granted, 5)
		count(t, "the application's remaining", app.Tightest.Remaining, 6)
		// u1 has none left, u2 two of three.
		count(t, "the tightest user's remaining", user.Tightest.Remaining, 0)
		count(t, "the tightest user's used", user.Tightest.Used, 3)
		count(t, "the tightest user's quota", user.Tightest.Quota, 3)
		if user.Tightest.Key.User != "u1" {
			t.Errorf("the tightest is %v", user.Tightest.Key)
		}
		count(t, "applications", b.Totals().Applications, 1)
	})
}

func TestTotalsOfDenials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{MaxWaiters: 1}, every("app", perApp, 2, time.Minute))
		for _, a := range b.take(2, ask("u1")) {
			b.report(a, response(200)) // only time can help now
		}
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
		b.denied("QUOTA_EXHAUSTED", ask("u2"))
		b.denied("DEADLINE_TOO_SHORT", patient("u1", time.Second))
		dry := ask("u1")
		dry.DryRun = true
		b.denied("QUOTA_EXHAUSTED", dry)
		waiting := b.begin("waits", patient("u1", 2*time.Minute))
		b.denied("TOO_MANY_WAITERS", patient("u2", 2*time.Minute))

		l := b.limit("app")
		want := map[string]uint64{
			"QUOTA_EXHAUSTED": 2, "COOLING_DOWN": 0, "PROBING": 0, "TOO_MANY_WAITERS": 1, "DEADLINE_TOO_SHORT": 1,
		}
		if !maps.Equal(l.Denied, want) {
			t.Errorf("got %v, want %v", l.Denied, want)
		}
		count(t, "waiting", l.Waiting, 1)
		waiting.cancel()
		<-waiting.done
		count(t, "waiting after it gave up", b.limit("app").Waiting, 0)
	})
}

func TestTotalsOfCooldown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 100, time.Hour), every("user", perUser, 50, time.Hour))
		b.report(b.granted(ask("u1")), response(200, "limit", "50", "remaining", "49"))
		b.report(b.granted(ask("u1")), response(429, "limit", "50", "remaining", "0", "retry-after", "90"))
		user := b.limit("user")
		count(t, "refused", user.Refused[quota.Said], 1)
		count(t, "cool-downs", user.Cooldowns, 1)
		count(t, "cooling", user.Cooling, 1)
		if user.CoolAfter < time.Hour || user.CoolAfter > 61*time.Minute {
			t.Errorf("the cool-down lasts %v more, want to the window's end", user.CoolAfter)
		}
		count(t, "used by others", user.Others, 49)
	})
}

// What a shard counted is kept when it is dropped, when another broker takes it,
// and when this one closes.
func TestTotalsOutliveTheShard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := memory.New()
		b := open(t, broker.Config{Store: store, MaxShards: 1}, every("app", perApp, 100, 10*time.Second))
		of := func(app string) broker.AcquireRequest {
			r := ask("u1")
			r.Scope.App = app
			return r
		}
		b.release(b.granted(of("a")))
		time.Sleep(turned(2))
		b.release(b.granted(of("b"))) // there is room for one: a is dropped
		count(t, "applications", b.Totals().Applications, 1)
		count(t, "granted after one was dropped", b.limit("app").Granted, 2)

		if _, _, err := store.Own(t.Context(), broker.Shard{API: "api", App: "b"}, "another"); err != nil {
			t.Fatal(err)
		}
		granted := uint64(2)
		for range 20 { // until a reservation is refused, and beyond
			a := b.granted(of("b"))
			granted++
			// The permit is void once the other's ownership is known.
			b.Report(t.Context(), broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: response(200)})
			time.Sleep(time.Second)
		}
		count(t, "granted after another broker took it", b.limit("app").Granted, granted)
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
		count(t, "granted after the broker closed", b.limit("app").Granted, granted)
	})
}

// oblivious is a store of which every owner is the first.
type oblivious struct{}

func (oblivious) Own(context.Context, broker.Shard, string) (uint64, []quota.Reservation, error) {
	return broker.FirstEpoch, nil, nil
}

func (oblivious) Reserve(context.Context, broker.Shard, uint64, []quota.Reservation) error {
	return nil
}

// However many shards end while the totals are added up, and whoever asks, no
// count goes down, and none is counted twice.
func TestTotalsOnlyGrow(t *testing.T) {
	b := open(t, broker.Config{Store: oblivious{}}, every("app", perApp, 1<<40, time.Hour))
	const apps, calls = 32, 200
	var callers sync.WaitGroup
	for i := range apps {
		callers.Go(func() {
			r := ask("u1")
			r.Scope.App = fmt.Sprint("app", i)
			for n := range calls {
				if a, err := b.Acquire(t.Context(), r); err == nil && a.Denied == nil {
					b.Release(t.Context(), "svc", a.Permit.ID)
				}
				if n%2 == 0 {
					broker.EndLife(b.Broker, broker.Shard{API: "api", App: r.Scope.App})
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	var last uint64
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		var granted uint64
		for _, l := range b.Totals().Limits {
			granted += l.Granted
		}
		if granted < last {
			t.Fatalf("granted fell from %d to %d", last, granted)
		}
		last = granted
	}
	count(t, "granted", last, apps*calls)
}

// A shard that ends after it was looked at, while others are still to be looked
// at, is counted once.
func TestTotalsOfAShardThatEndsMeanwhile(t *testing.T) {
	b := open(t, broker.Config{Store: oblivious{}}, every("app", perApp, 1<<40, time.Hour))
	other := ask("u1")
	other.Scope.App = "other"
	granted := uint64(0)
	for range 20 { // half of the time the held shard is looked at first
		b.release(b.granted(ask("u1")))
		b.release(b.granted(other))
		granted += 2
		release := broker.Hold(b.Broker, broker.Shard{API: "api", App: "other"})
		got := make(chan broker.Totals)
		go func() { got <- b.Totals() }()
		for range 1000 { // until it waits for the held shard
			runtime.Gosched()
		}
		broker.EndLife(b.Broker, broker.Shard{API: "api", App: "app"})
		release()
		count(t, "granted", find(t, <-got, broker.LimitID{API: "api", Limit: "app"}).Granted, granted)
	}
}

// Whatever names an upstream or callers make up, there is a bound on how many are
// counted apart; what is configured always is.
func TestTotalsFoldNamesThatNobodyConfigured(t *testing.T) {
	bubble(t, func(t *testing.T) {
		known := api(every("mine", perApp, 5, time.Minute))
		b := open(t, broker.Config{
			APIs:    map[string]broker.API{"api": known},
			Unknown: func(string) (broker.API, bool) { return known, true },
		})
		const made = 50
		for i := range made {
			r := ask("u1")
			r.Scope.API = fmt.Sprint("api", i)
			b.granted(r)
		}
		b.granted(ask("u1"))
		totals := b.Totals()
		if n := len(totals.Limits); n > 20 {
			t.Errorf("%d limits are counted apart", n)
		}
		count(t, "of the configured", find(t, totals, broker.LimitID{API: "api", Limit: "mine"}).Granted, 1)
		var all uint64
		for _, l := range totals.Limits {
			all += l.Granted
		}
		count(t, "in all", all, made+1)
		if find(t, totals, broker.LimitID{API: broker.Folded, Limit: broker.Folded}).Granted == 0 {
			t.Error("nothing is folded")
		}
	})
}

func TestTotalsOfStoreAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), fail: errDisk}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 5, time.Minute))
		c := b.begin("waits for the store", patient("u1", time.Minute))
		count(t, "waiting", b.limit("").Waiting, 1)
		count(t, "overdue at first", b.Totals().Overdue, 0)
		c.failedAt(t, time.Second, broker.ErrUnavailable)
		count(t, "overdue", b.Totals().Overdue, 1)
		store.set(nil, 0)
		time.Sleep(5 * time.Second)
		b.granted(ask("u1"))
		count(t, "overdue once it answers", b.Totals().Overdue, 0)
	})
}

// A call that waited knows where, even when nobody is there any more.
func TestStands(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, 10*time.Second))
		held := b.granted(ask("u1"))
		first := b.begin("first", patient("u1", time.Minute))
		gone := b.begin("gone", patient("u1", time.Minute))
		time.Sleep(time.Second)
		gone.cancel()
		end := gone.ended()
		stands(t, end.Acquired, broker.Stand{Limit: "app", Reason: "QUOTA_EXHAUSTED"})
		if end.err == nil || end.Waited != time.Second {
			t.Errorf("the one that gave up waited %v, %v", end.Waited, end.err)
		}
		b.release(held)
		stands(t, first.grantedAt(t, time.Second), broker.Stand{Limit: "app", Reason: "QUOTA_EXHAUSTED"})
	})
}

func stands(t testing.TB, a broker.Acquired, want ...broker.Stand) {
	t.Helper()
	if fmt.Sprint(a.Stands) != fmt.Sprint(want) {
		t.Errorf("it stood at %+v, want %+v", a.Stands, want)
	}
}

// Users who made a call each are forgotten though nobody calls any more: by the timer.
func TestUsersAreForgottenInSilence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const users = 3000
		b := open(t, broker.Config{}, every("user", perUser, 100, 240*time.Hour))
		for i := range users {
			a := b.granted(ask(fmt.Sprint("u", i)))
			b.report(a, response(200))
			time.Sleep(time.Minute)
		}
		if n := b.buckets(); n < users {
			t.Fatalf("%d buckets", n)
		}
		time.Sleep(14 * 24 * time.Hour)
		if n := b.buckets(); n > 1024 {
			t.Errorf("%d buckets are left of %d users", n, users)
		}
	})
}

// buckets is how many are kept.
func (b *bench) buckets() (n int64) {
	for _, l := range b.Totals().Limits {
		n += l.Buckets
	}
	return n
}
