package broker

import (
	"fmt"
	"time"

	"github.com/quotabroker/quotabroker/server/queue"
	"github.com/quotabroker/quotabroker/server/quota"
)

// retryLater is when asking again makes sense where only news from the upstream,
// or another caller, can tell.
const retryLater = time.Second

// queueHost is the shard as the host of its queues; its lock is held throughout.
type queueHost shard

// Decide answers a waiter that stands nowhere, or has it stand at the bucket that
// blocks it.
func (s *queueHost) Decide(now time.Time, p *queue.Place[*waiter], d quota.Decision) (stand bool) {
	return (*shard)(s).decideLocked(now, p.Who, d)
}

// Ends reports whether a denial ends the wait: a call that is too large never
// goes, and in shadow mode all go.
func (s *queueHost) Ends(d quota.Decision) bool {
	return d.Reason == quota.TooLarge || (*shard)(s).forcesLocked(d)
}

// Blocked tells those who stand at a bucket and will not be served in time so at
// once, whenever the first one learns more.
func (s *queueHost) Blocked(now time.Time, q *queue.Queue[*waiter], d quota.Decision) {
	if q.Storing() && !(*shard)(s).lateLocked(now) {
		return
	}
	for _, p := range q.Places() {
		if (*shard)(s).refuseLocked(now, p.Who, d) {
			s.queues.Leave(p)
		}
	}
}

// decideLocked answers a waiter that stands nowhere, or reports that it is to
// stand at the bucket that blocks it.
func (s *shard) decideLocked(now time.Time, w *waiter, d quota.Decision) (stand bool) {
	switch {
	case d.Allowed():
		w.permit = s.grantLocked(w)
		w.quotas = s.countedLocked(now, w.Scope)
		s.answerLocked(now, w)
	case d.Reason == quota.TooLarge:
		w.err = s.tooLargeLocked(now, w.Costs, d.Bucket)
		s.answerLocked(now, w)
	case s.forcesLocked(d):
		return s.forceLocked(now, w, d)
	case !s.refuseLocked(now, w, d):
		return s.standLocked(now, w, d)
	}
	return false
}

// refuseLocked answers a waiter that is not to wait for what blocks it, and
// reports whether it did.
func (s *shard) refuseLocked(now time.Time, w *waiter, d quota.Decision) bool {
	storing := s.queues.Storing(d)
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
		w.quotas = s.countedLocked(now, w.Scope)
	}
	s.answerLocked(now, w)
	return true
}

// standLocked reports whether there is room for a waiter to stand at the bucket of
// a decision; if not, it is answered.
func (s *shard) standLocked(now time.Time, w *waiter, d quota.Decision) bool {
	if w.done == nil && !s.admitLocked(now, w, d.Bucket) {
		s.answerLocked(now, w)
		return false
	}
	if len(w.stands) < mostStands {
		w.stands = append(w.stands, stand{now, d.Bucket, d.Reason})
	}
	return true
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
	s.queues.Leave(&w.Place)
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
