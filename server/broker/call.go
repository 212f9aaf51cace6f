package broker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// storeBound is how long a caller waits for the store before it is told that
// the store is away.
const storeBound = time.Second

// call is one caller's side of an acquire.
type call struct {
	AcquireRequest
	asked time.Time
	// wait is how long it waits by its own wish; deadline is the instant after
	// which nobody is there any more.
	wait     time.Duration
	deadline time.Time
	// waits is true once the call is counted as waiting.
	waits bool
}

func (s *shard) newCallLocked(ctx context.Context, r AcquireRequest) *call {
	r.Costs = maps.Clone(r.Costs)
	c := &call{AcquireRequest: r, asked: s.nowLocked(), wait: min(r.MaxWait, s.broker.config.MaxWait)}
	patience := c.wait
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline))
	}
	c.deadline = c.asked.Add(patience)
	return c
}

// arriveLocked finds the waiter of an earlier attempt of the same call, or makes
// one and lets it try. The waiter that it returns is answered, or has to be
// waited for.
func (s *shard) arriveLocked(c *call) (*waiter, error) {
	key := requestKey{c.Caller, c.RequestID}
	if w := s.requests[key]; w != nil && !s.spentLocked(c.asked, w) {
		return s.joinLocked(c, w)
	}
	w := &waiter{
		request: key, deadline: c.deadline, patient: c.MaxWait > 0, priority: c.Priority, conn: c.Conn, calls: 1,
	}
	w.Place = s.queues.Enter(w, c.Scope, c.Costs, c.asked.Add(-c.Priority.headStart()))
	if key.id != "" {
		s.requests[key] = w
	}
	s.queues.Try(c.asked, &w.Place)
	s.stepLocked(c.asked)
	c.waits = w.done != nil
	return w, nil
}

// spentLocked reports whether the waiter holds a permit that a retry has no use for.
func (s *shard) spentLocked(now time.Time, w *waiter) bool {
	return w.permit != nil && !now.Before(w.permit.grant.GrantedAt.Add(w.permit.sendWithin))
}

// joinLocked lets a call share the waiter of an earlier attempt.
func (s *shard) joinLocked(c *call, w *waiter) (*waiter, error) {
	if w.Scope != c.Scope || !maps.Equal(w.Costs, c.Costs) {
		return nil, &quota.FieldError{Field: "request_id", Value: c.RequestID, Remedy: "it is in use for another call: make a new id for each call"}
	}
	if !w.answered && !w.At().Storing() && c.MaxWait == 0 {
		return s.deniedLocked(c.asked, w), nil
	}
	if !w.answered {
		if !s.broker.waiting.enter(c.Conn) {
			return &waiter{answered: true, when: c.asked, denied: s.tooManyLocked(c.asked, w.At().Bucket())}, nil
		}
		c.waits = true
	}
	w.calls++
	w.patient = w.patient || c.MaxWait > 0
	if c.deadline.After(w.deadline) {
		w.deadline = c.deadline
	}
	return w, nil
}

// awaitLocked waits, the lock given up meanwhile, for the waiter's answer, the
// caller's context, or the end of the caller's patience. Where it is only the
// store that is missing then, that has a moment more.
func (s *shard) awaitLocked(ctx context.Context, c *call, w *waiter) (Acquired, error) {
	s.mu.Unlock()
	w.wait(ctx, c.wait)
	s.mu.Lock()
	if !w.answered && ctx.Err() == nil {
		// What comes due at this very instant is served first.
		s.advanceLocked(s.nowLocked())
	}
	if !w.answered && w.At().Storing() {
		s.mu.Unlock()
		w.wait(ctx, storeBound)
		s.mu.Lock()
	}
	now := s.nowLocked()
	if err := ctx.Err(); err != nil {
		s.abandonLocked(now, w)
		return Acquired{Waited: until(c.asked, now), Stands: w.standsSince(c.asked)}, err
	}
	if !w.answered {
		denied := s.deniedLocked(now, w)
		s.abandonLocked(now, w)
		w = denied
	}
	return s.outcomeLocked(c, w, nil)
}

// wait returns once the waiter is answered, the context ends, or the time is up.
func (w *waiter) wait(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// deniedLocked is a waiter that is answered as w has to be that waits in vain:
// by the bucket at which it stands, or by the store.
func (s *shard) deniedLocked(now time.Time, w *waiter) *waiter {
	v := &waiter{answered: true, when: now, stands: w.stands}
	if w.At().Storing() {
		v.err = ErrUnavailable
		return v
	}
	d := s.ledger.Check(now, quota.Request{Scope: w.Scope, Costs: w.Costs, Turn: w.At().Bucket()})
	if d.Bucket == nil {
		d = quota.Decision{Reason: quota.Queued, Bucket: w.At().Bucket()}
	}
	v.denied, v.quotas = s.denialLocked(now, d), s.countedLocked(now, w.Scope)
	return v
}

// abandonLocked takes one caller off a waiter. The last one costs nothing: its
// place is given up, or its permit given back.
func (s *shard) abandonLocked(now time.Time, w *waiter) {
	if w.calls--; w.calls > 0 {
		return
	}
	switch {
	case !w.answered:
		s.queues.Leave(&w.Place)
		s.answerLocked(now, w)
	case w.permit != nil && s.permits.holds(w.permit):
		s.ledger.Release(now, &w.permit.grant)
		s.endLocked(w.permit)
	}
	s.stepLocked(now)
}

// outcomeLocked is what the caller is told of its waiter's answer.
func (s *shard) outcomeLocked(c *call, w *waiter, err error) (Acquired, error) {
	if err != nil {
		return Acquired{}, err
	}
	a := Acquired{Waited: until(c.asked, w.when), Stands: w.standsSince(c.asked)}
	if w.err != nil {
		return a, w.err
	}
	a.Denied, a.Quotas = w.denied, w.quotas
	if a.Denied != nil {
		s.broker.counts.deny(s.id.API, a.Denied)
	}
	a.Shadowed = w.shadowed
	if w.calls > 1 {
		a.Quotas = slices.Clone(a.Quotas)
	}
	if w.permit != nil {
		a.Permit = s.shown(w.permit, c.asked)
	}
	return a, nil
}

// checkLocked answers a dry run. That the store has not confirmed a reservation
// yet, which a real call would wait for, is no denial.
func (s *shard) checkLocked(ctx context.Context, r AcquireRequest) (Acquired, error) {
	if err := s.awaitOwnedLocked(ctx); err != nil {
		return Acquired{}, err
	}
	now := s.nowLocked()
	d := s.ledger.Check(now, quota.Request{Scope: r.Scope, Costs: r.Costs})
	a := Acquired{Quotas: s.countedLocked(now, r.Scope)}
	switch {
	case d.Allowed() || s.queues.Storing(d):
	case d.Reason == quota.TooLarge:
		return Acquired{}, s.tooLargeLocked(now, r.Costs, d.Bucket)
	case s.api.Shadow:
		a.Shadowed = s.denialLocked(now, d)
	default:
		a.Denied = s.denialLocked(now, d)
	}
	s.stepLocked(now)
	return a, nil
}
