package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// event is one thing that happens to a broker with waiting callers.
type event struct {
	kind int
	// who chooses a user and an endpoint, or one of the calls or permits.
	who, cost int
	priority  broker.Priority
	wait      time.Duration
}

const (
	acquireEvent = iota
	reportEvent
	releaseEvent
	cancelEvent
	refuseEvent
	sleepEvent
)

var events = rapid.Custom(func(t *rapid.T) event {
	return event{
		kind: rapid.SampledFrom([]int{
			acquireEvent, acquireEvent, acquireEvent, acquireEvent, reportEvent, reportEvent, releaseEvent, cancelEvent, refuseEvent, sleepEvent,
		}).Draw(t, "kind"),
		who:      rapid.IntRange(0, 11).Draw(t, "who"),
		cost:     rapid.IntRange(1, 3).Draw(t, "cost"),
		priority: broker.Priority(rapid.IntRange(0, 3).Draw(t, "priority")),
		wait:     time.Duration(rapid.IntRange(0, 40_000).Draw(t, "wait")) * time.Millisecond,
	}
})

// With several limits, users, endpoints, classes and costs, whatever is reported,
// released, cancelled or refused in whatever order: nobody is first in a queue
// and could go; nobody waits past their deadline; and in the end nothing is left
// over.
func TestNobodyWaitsInVain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := rapid.SliceOfN(events, 1, 60).Draw(rt, "events")
		var problem error
		synctest.Test(t, func(t *testing.T) { problem = play(t, list) })
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// stage is a broker that events are played on.
type stage struct {
	*bench
	callers sync.WaitGroup
	cancels []context.CancelFunc

	mu       sync.Mutex
	permits  []broker.Acquired
	problems []error
}

func play(t *testing.T, list []event) error {
	b := open(t, broker.Config{},
		every("app", perApp, 6, 10*time.Second), every("user", perUser, 4, 10*time.Second), every("endpoint", perEndpoint, 5, 10*time.Second))
	st := &stage{bench: b}
	for _, e := range list {
		st.apply(t, e)
		synctest.Wait()
		if stuck := broker.Stuck(b.Broker); len(stuck) > 0 {
			st.note(fmt.Errorf("after %+v these could go and do not: %v", e, stuck))
		}
	}
	st.callers.Wait()
	time.Sleep(10 * time.Minute)
	if _, permits, requests, waiting := broker.Kept(b.Broker); permits+requests+waiting > 0 {
		st.note(fmt.Errorf("in the end %d permits, %d request ids, %d waiters are left", permits, requests, waiting))
	}
	return errors.Join(st.problems...)
}

func (st *stage) note(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.problems = append(st.problems, err)
}

// pick takes one of the permits that are held.
func (st *stage) pick(n int) (broker.Acquired, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.permits) == 0 {
		return broker.Acquired{}, false
	}
	n %= len(st.permits)
	a := st.permits[n]
	st.permits = append(st.permits[:n], st.permits[n+1:]...)
	return a, true
}

func (st *stage) apply(t *testing.T, e event) {
	switch e.kind {
	case acquireEvent:
		st.acquire(t, e)
	case cancelEvent:
		if len(st.cancels) > 0 {
			st.cancels[e.who%len(st.cancels)]()
		}
	case sleepEvent:
		time.Sleep(e.wait / 4)
	case releaseEvent:
		if a, ok := st.pick(e.who); ok {
			_ = st.Release(t.Context(), "svc", a.Permit.ID)
		}
	default:
		r := response(200)
		if e.kind == refuseEvent {
			r = response(429, "retry-after", fmt.Sprint(1+e.who))
		}
		if a, ok := st.pick(e.who); ok {
			if _, err := st.Report(t.Context(), broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: r}); err != nil {
				st.note(err)
			}
		}
	}
}

func (st *stage) acquire(t *testing.T, e event) {
	r := patient(fmt.Sprint("u", e.who%4), e.wait)
	r.Scope.Endpoint = fmt.Sprint("GET /", e.who%3)
	r.Costs = quota.Costs{quota.Requests: int64(e.cost)}
	r.Priority = e.priority
	ctx, cancel := context.WithCancel(t.Context())
	st.cancels = append(st.cancels, cancel)
	asked := time.Now()
	st.callers.Go(func() {
		a, err := st.Acquire(ctx, r)
		switch waited := time.Since(asked); {
		case err != nil && !errors.Is(err, context.Canceled):
			st.note(err)
		case waited > e.wait:
			st.note(fmt.Errorf("a call waited %v of %v", waited, e.wait))
		case err == nil && a.Denied == nil:
			st.mu.Lock()
			defer st.mu.Unlock()
			st.permits = append(st.permits, a)
		}
	})
}
