package broker

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/queue"
	"github.com/quotabroker/quotabroker/server/quota"
)

// shard is all that is known of one application of one API.
type shard struct {
	broker *Broker
	id     Shard
	// upstream is the same as api, for those who do not hold the lock.
	upstream atomic.Pointer[API]

	mu fatalMutex
	// api is the upstream, and what permits are told of it; refused is why there is
	// none any more.
	api                      API
	wants                    dialect.Wants
	sendWithin, reportWithin time.Duration
	refused                  error

	// last is the latest instant that was read, so that time never goes back.
	last time.Time
	// gone is true once the broker has dropped the shard, or is closed; stopping
	// from then on until the store has the shard's last word.
	gone, stopping bool

	// ledger is nil while this broker is not the shard's owner; owned is closed
	// when it becomes so, and awaited counts those who wait for that without
	// being waiters. epoch and life are those of the present ownership.
	ledger  *quota.Ledger
	owned   chan struct{}
	awaited int
	epoch   uint64
	life    life

	permits permits
	// next is the permit that is granted next.
	next     *permit
	requests map[requestKey]*waiter
	queues   *queue.Queues[*waiter]

	watchers map[*Watcher]struct{}

	// timer is nil until it is first needed; it fires at armed, or is not set
	// while that is zero.
	timer *time.Timer
	armed time.Time

	// keeping is true while the keeper runs. owedSince is since when it has
	// owed the shard an answer of the store.
	keeping   bool
	owedSince time.Time
}

func newShard(b *Broker, id Shard, api API) *shard {
	s := &shard{broker: b, id: id, mu: fatalMutex{log: b.config.Log}, owned: make(chan struct{})}
	s.setAPILocked(api)
	s.permits = newPermits()
	s.requests = map[requestKey]*waiter{}
	s.queues = queue.New((*queueHost)(s))
	s.makeRoomLocked()
	s.watchers = map[*Watcher]struct{}{}
	return s
}

// nowLocked is the broker's time; it never goes back.
func (s *shard) nowLocked() time.Time {
	if now := s.broker.clock.now(); now.After(s.last) {
		s.last = now
	}
	return s.last
}

// awaitOwnedLocked waits, the lock given up meanwhile, until this broker is the
// shard's owner.
func (s *shard) awaitOwnedLocked(ctx context.Context) error {
	for s.ledger == nil {
		now := s.nowLocked()
		switch {
		case s.gone:
			return ErrClosed
		case s.lateLocked(now):
			return ErrUnavailable
		}
		s.awaited++
		s.stepLocked(now)
		owned := s.owned
		s.mu.Unlock()
		err := s.broker.awaitStore(ctx, owned)
		s.mu.Lock()
		s.awaited--
		if err != nil {
			return err
		}
	}
	return nil
}

// beginLocked starts an ownership with what the store has recorded. Those who
// waited for it ask in their order.
func (s *shard) beginLocked(now time.Time, epoch uint64, records []quota.Reservation) {
	if s.gone {
		return
	}
	s.epoch, s.life = epoch, s.broker.lives.begin(s)
	s.ledger = quota.NewLedger(s.api.Rules, rand.Uint64()) //nolint:gosec // jitter, no secret
	if epoch > FirstEpoch {
		s.ledger.Restore(now, records)
	}
	close(s.owned)
	s.queueAgainLocked(now)
	for w := range s.watchers {
		s.showAllLocked(w)
	}
}

// endLifeLocked ends an ownership: another broker has the shard. The permits are
// void here, the new owner counts them; those who wait stay in line for the next
// ownership.
func (s *shard) endLifeLocked(now time.Time) {
	s.endCountsLocked()
	s.broker.lives.end(s.life)
	s.ledger, s.owned = nil, make(chan struct{})
	s.permits = newPermits()
	for key, w := range s.requests {
		if w.permit != nil {
			delete(s.requests, key)
		}
	}
	s.queueAgainLocked(now)
}

// queueAgainLocked follows a change of ownership: those who wait ask in their
// order.
func (s *shard) queueAgainLocked(now time.Time) {
	for _, p := range s.queues.Begin(s.ledger) {
		s.queues.Try(now, p)
	}
}

// armLocked sets the timer to the next instant at which time alone changes something.
func (s *shard) armLocked(now time.Time) {
	var next time.Time
	if s.ledger != nil {
		next = s.ledger.Wake(now)
	}
	if s.keeping {
		if late := s.owedSince.Add(storeBound); late.After(now) && (next.IsZero() || late.Before(next)) {
			next = late
		}
	}
	if s.gone || next.IsZero() || !s.armed.IsZero() && !next.Before(s.armed) {
		return
	}
	s.armed = next
	// A past instant that is still due is tried again soon, not at once: no
	// mistake of the model's may spin here.
	after := next.Sub(now)
	if after <= 0 {
		after = time.Millisecond
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(after, s.tick)
		return
	}
	s.timer.Reset(after)
}

// tick runs when the timer fires.
func (s *shard) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.armed = time.Time{}
	s.advanceLocked(s.nowLocked())
}

// idleLocked reports whether the shard can be dropped: nobody waits for anything,
// and nothing is spent in a window that is open. What it has learned is then
// learned again.
func (s *shard) idleLocked(now time.Time) bool {
	s.forgetLocked(now)
	if len(s.permits.byNonce) > 0 || s.queues.Len() > 0 || s.awaited > 0 || s.keeping {
		return false
	}
	if s.ledger == nil {
		return true
	}
	s.ledger.Advance(now)
	for b := range s.ledger.Buckets(quota.Scope{}) {
		if st := s.ledger.Status(now, b); st.State != quota.Open || st.Pressure > 0 {
			return false
		}
	}
	return true
}

// dropIfIdle ends the shard if it can be dropped, and reports whether it did.
func (s *shard) dropIfIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.idleLocked(s.nowLocked()) {
		return false
	}
	s.dropLocked()
	return true
}

// dropLocked ends the shard.
func (s *shard) dropLocked() {
	s.endCountsLocked()
	s.gone = true
	s.broker.lives.end(s.life)
	if s.timer != nil {
		s.timer.Stop()
	}
}
