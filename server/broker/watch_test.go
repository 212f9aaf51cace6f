package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// watch starts a watch and ends it with the test.
func (b *bench) watch(pattern quota.Scope) *broker.Watcher {
	b.t.Helper()
	w, err := b.Watch(pattern)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(w.Close)
	return w
}

// next is the watcher's next batch, which must be there at once.
func (b *bench) next(w *broker.Watcher) broker.Changes {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Millisecond)
	defer cancel()
	c, err := w.Next(ctx)
	if err != nil {
		b.t.Fatalf("Next: %v", err)
	}
	return c
}

// quiet fails the test if the watcher has anything to say.
func (b *bench) quiet(w *broker.Watcher) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Millisecond)
	defer cancel()
	if c, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		b.t.Fatalf("Next: %+v, %v; want silence", c, err)
	}
}

func TestWatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour), every("user", perUser, 5, time.Hour))
		b.granted(ask("u1"))
		w := b.watch(quota.Scope{User: "u1"})
		if c := b.next(w); len(c.Quotas) != 1 || c.Quotas[0].Limit != "user" || c.Quotas[0].Remaining != 4 {
			t.Fatalf("at first: %+v", c)
		}
		b.quiet(w)
		b.granted(ask("u2"))
		b.quiet(w)
		b.granted(ask("u1"))
		if c := b.next(w); len(c.Quotas) != 1 || c.Quotas[0].Remaining != 3 {
			t.Fatalf("after a grant: %+v", c)
		}
		all := b.watch(quota.Scope{})
		if c := b.next(all); len(c.Quotas) != 3 || c.Quotas[0].Limit != "app" {
			t.Fatalf("all: %+v", c)
		}
	})
}

// A watch of what does not exist yet says so at once, and sees it begin.
func TestWatchBeforeTheFirstCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		w, elsewhere := b.watch(quota.Scope{API: "api", App: "app"}), b.watch(quota.Scope{API: "api", App: "other"})
		for _, w := range []*broker.Watcher{w, elsewhere} {
			if c := b.next(w); len(c.Quotas)+len(c.Revocations) != 0 {
				t.Fatalf("at first: %+v", c)
			}
		}
		b.granted(ask("u1"))
		if c := b.next(w); len(c.Quotas) != 1 || c.Quotas[0].Remaining != 9 {
			t.Fatalf("after the first grant: %+v", c)
		}
		b.quiet(elsewhere)
	})
}

// What an earlier owner reserved is shown once it is known, though nobody has
// called since.
func TestWatchShowsWhatIsRestored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := memory.New()
		before := open(t, broker.Config{Store: store}, every("user", perUser, 5, time.Hour))
		before.granted(ask("u1"))
		if err := before.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := open(t, broker.Config{Store: store}, every("user", perUser, 5, time.Hour))
		w := b.watch(quota.Scope{User: "u1"})
		b.next(w)
		b.granted(dry("u2"))
		if c := b.next(w); len(c.Quotas) != 1 || c.Quotas[0].Remaining == 5 {
			t.Errorf("what is restored: %+v", c)
		}
	})
}

// A cool-down is pushed: the bucket's state, and that permits not yet sent are
// void.
func TestWatchRevocation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1_000, 24*time.Hour))
		a, unsent := b.granted(ask("u1")), b.granted(ask("u1"))
		same, other := b.watch(quota.Scope{User: "u1"}), b.watch(quota.Scope{User: "u2"})
		b.next(same)
		b.next(other)
		b.report(a, response(429, "retry-after", "30"))
		c := b.next(same)
		if len(c.Revocations) != 1 || !unsentIsVoid(unsent, c.Revocations[0]) {
			t.Fatalf("revocations %+v, permit %+v", c.Revocations, unsent.Permit)
		}
		cooling := false
		for _, q := range c.Quotas {
			cooling = cooling || q.State == quota.Cooling && q.CoolAfter == 30*time.Second
		}
		if !cooling {
			t.Errorf("no bucket cools down for 30s: %+v", c.Quotas)
		}
		b.quiet(other)
		time.Sleep(30 * time.Second)
		fresh := b.granted(ask("u1"))
		if unsentIsVoid(fresh, c.Revocations[0]) {
			t.Error("a permit granted after the revocation is void")
		}
		if c := b.next(same); len(c.Revocations) != 0 {
			t.Errorf("a revocation came twice: %+v", c.Revocations)
		}
	})
}

func unsentIsVoid(a broker.Acquired, r quota.Revocation) bool {
	return ask("u1").Scope.Matches(r.Scope) && a.Permit.Generation < r.Generation
}

// A slow reader gets the latest of each bucket, in bounded batches, and holds
// nobody up.
func TestSlowWatcher(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const users, rounds = 600, 5
		b := open(t, broker.Config{}, every("user", perUser, 100, time.Hour))
		slow := b.watch(quota.Scope{})
		for range rounds {
			for u := range users {
				b.granted(ask(fmt.Sprint("u", u)))
			}
		}
		seen := map[string]int64{}
		for range 10 {
			c := b.next(slow)
			if len(c.Quotas) > 256 {
				t.Fatalf("a batch of %d", len(c.Quotas))
			}
			for _, q := range c.Quotas {
				if _, twice := seen[q.Key.User]; twice {
					t.Fatalf("%s came twice, and changed once since the last", q.Key.User)
				}
				seen[q.Key.User] = q.Remaining
			}
			if len(seen) == users {
				break
			}
		}
		for user, remaining := range seen {
			if remaining != 100-rounds {
				t.Fatalf("%s: %d remain, want the latest, %d", user, remaining, 100-rounds)
			}
		}
		if len(seen) != users {
			t.Fatalf("%d users were seen, want %d", len(seen), users)
		}
		b.quiet(slow)
	})
}

func TestWatchEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		closed, drained := b.watch(quota.Scope{}), b.watch(quota.Scope{})
		errs := make(chan error, 2)
		for _, w := range []*broker.Watcher{closed, drained} {
			b.next(w)
			go func() {
				_, err := w.Next(t.Context())
				errs <- err
			}()
		}
		synctest.Wait()
		closed.Close()
		closed.Close()
		synctest.Wait()
		b.Drain()
		for range 2 {
			if err := <-errs; !errors.Is(err, broker.ErrClosed) {
				t.Errorf("Next: %v", err)
			}
		}
		if _, err := b.Watch(quota.Scope{}); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Watch after Drain: %v", err)
		}
	})
}

func TestBadPatterns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		labels, err := quota.NewLabels(map[string]string{"colour": "red"})
		if err != nil {
			t.Fatal(err)
		}
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		for field, pattern := range map[string]quota.Scope{
			"scope.api":    {API: "other"},
			"scope.user":   {User: "\x00"},
			"scope.labels": {API: "api", Labels: labels},
		} {
			var bad *quota.FieldError
			if _, err := b.Watch(pattern); !errors.As(err, &bad) || bad.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}

// Who never reads costs no more than the buckets that there are: those that are gone are
// kept for nobody.
func TestSleepingWatcher(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const users = 1500
		b := open(t, broker.Config{}, every("user", perUser, 100, 10*time.Second))
		asleep := b.watch(quota.Scope{})
		for day := range 10 {
			for u := range users {
				b.granted(ask(fmt.Sprint("u", day, "-", u)))
			}
			time.Sleep(24 * time.Hour)
		}
		if n, _ := asleep.Unread(); n > 4*users {
			t.Errorf("%d of %d buckets are kept for it", n, 10*users)
		}
		b.granted(ask("last"))
		seen := map[string]bool{}
		for range 10 * users / 256 {
			c, err := asleep.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range c.Quotas {
				seen[q.Key.User] = true
			}
			if len(c.Quotas) < 256 {
				break
			}
		}
		if !seen["last"] {
			t.Error("it missed the last change")
		}
	})
}

// Too many revocations to name are one of all the application's permits.
func TestManyRevocations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("user", perUser, 100, 10*time.Second))
		asleep := b.watch(quota.Scope{API: "api"})
		b.next(asleep)
		asleep.Revoke(quota.Revocation{Scope: quota.Scope{API: "api", App: "other"}, Generation: 3})
		const last = 5000
		for i := range last {
			asleep.Revoke(quota.Revocation{Scope: ask(fmt.Sprint("u", i)).Scope, Generation: uint64(i + 1)})
		}
		if _, n := asleep.Unread(); n > 1100 {
			t.Errorf("%d are kept", n)
		}
		c := b.next(asleep)
		for _, user := range []string{"u0", "u1000", "u4999"} {
			void := false
			for _, r := range c.Revocations {
				void = void || ask(user).Scope.Matches(r.Scope) && r.Generation >= last-1024
			}
			if !void {
				t.Errorf("%s was revoked, and is not told", user)
			}
		}
		if c.Revocations[0].Scope.App != "other" {
			t.Errorf("%+v", c.Revocations[0])
		}
	})
}
