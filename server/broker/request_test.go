package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// with is ask, or patient, with a request id.
func with(id string, r broker.AcquireRequest) broker.AcquireRequest {
	r.RequestID = id
	return r
}

func TestRetryGetsTheSamePermit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		first := b.granted(with("id", ask("u1")))
		time.Sleep(2 * time.Second)
		again := b.granted(with("id", patient("u1", time.Minute)))
		if again.Permit.ID != first.Permit.ID {
			t.Error("a retry got another permit")
		}
		if again.Permit.SendWithin != 3*time.Second {
			t.Errorf("two of five seconds later it may be sent within %v", again.Permit.SendWithin)
		}
		other := with("id", ask("u1"))
		other.Caller = "other"
		if b.granted(other).Permit.ID == first.Permit.ID {
			t.Error("another caller's id got this one's permit")
		}
		if n := b.remaining("app"); n != 8 {
			t.Errorf("%d remain, want 8", n)
		}
		b.report(again, response(200))
		if b.granted(with("id", ask("u1"))).Permit.ID == first.Permit.ID {
			t.Error("a permit that has ended was given again")
		}
	})
}

// A permit that can be sent no more is no use to a retry.
func TestRetryAfterTheSendDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		first := b.granted(with("id", ask("u1")))
		time.Sleep(quota.DefaultSendWithin)
		second := b.granted(with("id", ask("u1")))
		if first.Permit.ID == second.Permit.ID || second.Permit.SendWithin != quota.DefaultSendWithin {
			t.Errorf("the retry got %+v after %+v", second.Permit, first.Permit)
		}
		b.report(first, response(200))
		if b.granted(with("id", ask("u1"))).Permit.ID != second.Permit.ID {
			t.Error("the end of the first permit made the id forget the second")
		}
	})
}

func TestRetryJoinsTheOneThatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, time.Hour))
		held := b.granted(ask("u1"))
		first := b.begin("first", with("id", patient("u1", time.Minute)))
		between := b.begin("between", patient("u1", time.Minute))
		second := b.begin("second", with("id", patient("u1", time.Minute)))
		b.denied("QUOTA_EXHAUSTED", with("id", ask("u1")))
		time.Sleep(time.Second)
		first.cancel()
		first.failedAt(t, time.Second, context.Canceled)
		b.release(held)
		a := second.grantedAt(t, time.Second)
		if !between.running() {
			t.Error("the retry lost the place of the first call")
		}
		b.release(a)
		between.grantedAt(t, time.Second)
	})
}

func TestJoinedCallsShareOnePermit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 2, time.Hour))
		held := b.take(2, ask("u1"))
		first := b.begin("first", with("id", patient("u1", time.Second)))
		second := b.begin("second", with("id", patient("u1", 3*time.Second)))
		third := b.begin("third", with("id", patient("u1", 3*time.Second)))
		first.deniedAt(t, time.Second, "QUOTA_EXHAUSTED")
		time.Sleep(time.Second)
		b.release(held[0])
		x, y := second.grantedAt(t, 2*time.Second), third.grantedAt(t, 2*time.Second)
		if x.Permit.ID != y.Permit.ID {
			t.Error("one call got two permits")
		}
		b.release(held[1])
		if n := b.remaining("app"); n != 1 {
			t.Errorf("%d remain, want 1", n)
		}
		b.report(x, response(200))
		if _, permits, requests, waiting := broker.Kept(b.Broker); permits+requests+waiting != 0 {
			t.Errorf("%d permits, %d request ids and %d waiters are left", permits, requests, waiting)
		}
	})
}

func TestRequestIDOfAnotherCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		b.granted(with("id", ask("u1")))
		for name, r := range map[string]broker.AcquireRequest{
			"another user": with("id", ask("u2")),
			"another cost": func() broker.AcquireRequest {
				r := with("id", ask("u1"))
				r.Costs = quota.Costs{quota.Requests: 2}
				return r
			}(),
		} {
			var bad *quota.FieldError
			if _, err := b.Acquire(t.Context(), r); !errors.As(err, &bad) || bad.Field != "request_id" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n := b.remaining("app"); n != 9 {
			t.Errorf("%d remain, want 9", n)
		}
	})
}

// What a caller does with its request after the answer changes nothing.
func TestCostsAreTheBrokers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		r := with("id", ask("u1"))
		r.Costs = quota.Costs{quota.Requests: 2}
		first := b.granted(r)
		r.Costs[quota.Requests] = 7
		r.Costs = quota.Costs{quota.Requests: 2}
		if b.granted(r).Permit.ID != first.Permit.ID {
			t.Error("the same call got another permit")
		}
	})
}

// A denial is not remembered: a retry asks anew.
func TestRetryAfterDenial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, time.Hour))
		held := b.granted(ask("u1"))
		b.denied("QUOTA_EXHAUSTED", with("id", ask("u1")))
		b.release(held)
		b.granted(with("id", ask("u1")))
	})
}
