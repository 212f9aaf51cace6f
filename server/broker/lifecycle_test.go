package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, time.Hour), every("user", perUser, 1, time.Hour))
		held := b.granted(ask("u1"))
		var calls []*call
		for i := range 1_000 {
			calls = append(calls, b.begin(fmt.Sprint(i), patient(fmt.Sprint("u", i%10), time.Minute)))
		}
		time.Sleep(time.Second)
		b.Drain()
		b.Drain()
		for _, c := range calls {
			c.failedAt(t, time.Second, broker.ErrClosed)
		}
		if _, err := b.Acquire(t.Context(), patient("u1", time.Minute)); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("a new wait: %v", err)
		}
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
		b.release(held)
		b.report(b.granted(ask("u1")), response(200))
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), delay: 300 * time.Millisecond}
		b := open(t, broker.Config{Store: store}, every("app", perApp, 100, time.Hour))
		a := b.granted(ask("u1"))
		for range 2 {
			b.report(b.granted(ask("u1")), response(200))
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, records, err := store.Store.Own(t.Context(), broker.Shard{API: "api", App: "app"}, "next")
		if err != nil || len(records) != 1 || records[0].Reserved < 3 || records[0].Settled != 2 {
			t.Errorf("the next owner is given %+v, %v; want 2 of 3 settled", records, err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatalf("a second time: %v", err)
		}
		_, err = b.Acquire(t.Context(), ask("u1"))
		_, err2 := b.Report(t.Context(), broker.ReportRequest{Scope: ask("u1").Scope})
		for _, err := range []error{err, err2, b.Release(t.Context(), "svc", a.Permit.ID)} {
			if !errors.Is(err, broker.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
	})
}

// Close gives up on a store that does not answer when its context ends.
func TestCloseWithTheStoreAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New(), delay: 24 * time.Hour}
		b, err := broker.New(broker.Config{Store: store, APIs: map[string]broker.API{"api": api(every("app", perApp, 9, time.Hour))}})
		if err != nil {
			t.Fatal(err)
		}
		one := &bench{b, t, time.Now()}
		waiting := one.begin("waiting", patient("u1", time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := b.Close(ctx); err == nil || one.since() != 3*time.Second {
			t.Errorf("Close: %v after %v", err, one.since())
		}
		waiting.failedAt(t, 0, broker.ErrClosed)
	})
}

// The applications that a broker keeps are bounded: idle ones make room, and
// when all are in use the error says what to do.
func TestBoundOnApplications(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{MaxShards: 3}, every("app", perApp, 10, time.Hour))
		of := func(app string) broker.AcquireRequest {
			r := ask("u1")
			r.Scope.App = app
			return r
		}
		var held []broker.Acquired
		for _, app := range []string{"a", "b", "c"} {
			held = append(held, b.granted(of(app)))
		}
		_, err := b.Acquire(t.Context(), of("d"))
		var bad *quota.FieldError
		if !errors.As(err, &bad) || bad.Field != "scope.app" || bad.Remedy == "" {
			t.Fatalf("a fourth application: %v", err)
		}
		b.release(held[1])
		time.Sleep(time.Second)
		w := b.watch(quota.Scope{App: "d"})
		b.next(w)
		b.granted(of("d"))
		if c := b.next(w); len(c.Quotas) != 1 {
			t.Errorf("a watch of the new application saw %+v", c)
		}
		apps := []string{}
		for _, q := range b.Statuses(quota.Scope{}) {
			apps = append(apps, q.Key.App)
		}
		if !slices.Equal(apps, []string{"a", "c", "d"}) {
			t.Errorf("the applications are %v", apps)
		}
		if err := b.Release(t.Context(), "svc", held[1].Permit.ID); !errors.Is(err, broker.ErrPermitUnknown) {
			t.Errorf("a permit of an application that was dropped: %v", err)
		}
		b.report(held[0], response(200))
	})
}
