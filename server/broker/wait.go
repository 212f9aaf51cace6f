package broker

import (
	"fmt"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// retryLater is when asking again makes sense where only news from the upstream,
// or another caller, can tell.
const retryLater = time.Second

// tryLocked lets a waiter that stands nowhere ask for its permit.
func (s *shard) tryLocked(now time.Time, w *waiter) {
	if s.ledger == nil {
		s.decideLocked(now, w, quota.Decision{Reason: quota.Reserving})
		return
	}
	s.decideLocked(now, w, s.takeLocked(now, w, nil))
}

// takeLocked asks the ledger for w, at whose turn it is. Those who wait at
// another bucket and come after w do not hold it back: their queue is hidden
// meanwhile.
func (s *shard) takeLocked(now time.Time, w *waiter, turn *quota.Bucket) quota.Decision {
	var hidden []*queue
	defer func() {
		for _, q := range hidden {
			s.ledger.Queue(q.bucket, len(q.waiters))
		}
	}()
	for {
		d := s.ledger.Take(now, quota.Request{Scope: w.scope, Costs: w.costs, Turn: turn})
		if d.Reason != quota.Queued {
			return d
		}
		q := s.queues[d.Bucket]
		if !w.before(q.first()) {
			return d
		}
		s.ledger.Queue(q.bucket, 0)
		hidden = append(hidden, q)
	}
}

// decideLocked answers a waiter that stands nowhere, or lets it stand at the
// bucket that blocks it.
func (s *shard) decideLocked(now time.Time, w *waiter, d quota.Decision) {
	switch {
	case d.Allowed():
		w.permit = s.grantLocked(w, d.Permit)
		w.quotas = s.countedLocked(now, w.scope)
		s.answerLocked(now, w)
	case d.Reason == quota.TooLarge:
		w.err = s.tooLargeLocked(now, w.costs, d.Bucket)
		s.answerLocked(now, w)
	case s.forcesLocked(d):
		s.forceLocked(now, w, d)
	case !s.refuseLocked(now, w, d):
		s.standLocked(now, w, d)
	}
}

// refuseLocked answers a waiter that is not to wait for what blocks it, and
// reports whether it did.
func (s *shard) refuseLocked(now time.Time, w *waiter, d quota.Decision) bool {
	storing := s.storingLocked(d)
	switch {
	case storing && s.lateLocked(now):
		w.err = ErrUnavailable
	case storing:
		return false
	case !w.patient:
		w.denied = s.denialLocked(now, d)
	case d.Firm && d.RetryAt.After(w.deadline):
		w.denied = s.denialLocked(now, d)
		w.denied.Reason = deadlineTooShort
	default:
		return false
	}
	if s.ledger != nil {
		w.quotas = s.countedLocked(now, w.scope)
	}
	s.answerLocked(now, w)
	return true
}

// storingLocked reports whether it is the store that has to be waited for, be it
// behind others who do.
func (s *shard) storingLocked(d quota.Decision) bool {
	q := s.queues[d.Bucket]
	return d.Reason == quota.Reserving || d.Reason == quota.Queued && q != nil && q.storing
}

// standLocked lets a waiter stand at the bucket of a decision, if there is room.
func (s *shard) standLocked(now time.Time, w *waiter, d quota.Decision) {
	if w.done == nil && !s.admitLocked(now, w, d.Bucket) {
		s.answerLocked(now, w)
		return
	}
	q := s.queues[d.Bucket]
	if q == nil {
		q = &queue{bucket: d.Bucket}
		s.queues[d.Bucket] = q
	}
	storing := s.storingLocked(d)
	q.add(w)
	if len(w.stands) < mostStands {
		w.stands = append(w.stands, stand{now, d.Bucket, d.Reason})
	}
	if q.first() == w {
		q.storing = storing
	}
	if q.first() == w && len(q.waiters) > 1 {
		// Whoever was the first is not any more: the bucket must know whose turn
		// it is.
		s.dueLocked(q)
	}
	s.countLocked(q)
}

// admitLocked counts a call among those that wait, or fills its refusal in.
func (s *shard) admitLocked(now time.Time, w *waiter, b *quota.Bucket) bool {
	switch {
	case s.broker.draining.Load():
		w.err = ErrClosed
	case !s.broker.waiting.enter(w.conn):
		w.denied = s.tooManyLocked(now, b)
	default:
		w.done = make(chan struct{})
		return true
	}
	return false
}

// leaveLocked takes a waiter from where it stands.
func (s *shard) leaveLocked(w *waiter) {
	q := w.at
	first := q.first() == w
	q.remove(w)
	if len(q.waiters) == 0 {
		delete(s.queues, q.bucket)
	} else if first {
		s.dueLocked(q)
	}
	s.countLocked(q)
}

// countLocked tells the ledger how many wait at a bucket.
func (s *shard) countLocked(q *queue) {
	if q.bucket != nil {
		s.ledger.Queue(q.bucket, len(q.waiters))
	}
}

// answerLocked ends the wait of a waiter whose outcome is filled in.
func (s *shard) answerLocked(now time.Time, w *waiter) {
	w.answered, w.when = true, now
	if w.done != nil {
		close(w.done)
	}
	if w.permit == nil && s.requests[w.request] == w {
		delete(s.requests, w.request)
	}
}

// failLocked ends the wait of a waiter by an error.
func (s *shard) failLocked(now time.Time, w *waiter, err error) {
	s.leaveLocked(w)
	w.err = err
	s.answerLocked(now, w)
}

// denialLocked is a decision as a caller is told of it.
func (s *shard) denialLocked(now time.Time, d quota.Decision) *Denial {
	st := s.ledger.Status(now, d.Bucket)
	after := until(now, d.RetryAt)
	if after == 0 {
		after = retryLater
	}
	return &Denial{Reason: reasonOf(d.Reason, st.State), Bucket: st, RetryAfter: after}
}

// reasonOf is the reason that a caller is told. That others wait, for quota or
// for the store, is none: they wait for what the bucket's state says.
func reasonOf(r quota.Reason, st quota.State) string {
	switch {
	case r != quota.Queued && r != quota.Reserving:
		return r.String()
	case st == quota.Open:
		return quota.Exhausted.String()
	case st == quota.Cooling:
		return quota.CoolingDown.String()
	default:
		return quota.Probing.String()
	}
}

// tooManyLocked is the denial of a call that there is no room for to wait.
func (s *shard) tooManyLocked(now time.Time, b *quota.Bucket) *Denial {
	d := &Denial{Reason: tooManyWaiters, RetryAfter: retryLater}
	if b != nil {
		d.Bucket = s.ledger.Status(now, b)
	}
	return d
}

// tooLargeLocked is the error of a call that can never be allowed.
func (s *shard) tooLargeLocked(now time.Time, costs quota.Costs, b *quota.Bucket) error {
	st := s.ledger.Status(now, b)
	cost, ok := costs[st.Unit]
	if !ok {
		cost = 1
	}
	remedy := fmt.Sprintf("limit %s allows %d %s in all: split the call", st.Limit, st.Quota, st.Unit)
	return &quota.FieldError{Field: "costs." + st.Unit, Value: fmt.Sprint(cost), Remedy: remedy}
}
