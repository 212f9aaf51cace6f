package broker

import (
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// stepLocked follows everything that happens to a shard: whoever can go goes,
// watchers are told, the keeper and the timer are set.
func (s *shard) stepLocked(now time.Time) {
	if s.ledger != nil {
		s.forgetLocked(now)
		s.serveLocked(now)
		s.publishLocked()
	}
	s.keepLocked(now)
	s.armLocked(now)
}

// advanceLocked does what time alone does.
func (s *shard) advanceLocked(now time.Time) {
	if s.ledger != nil {
		s.ledger.Advance(now)
	}
	if s.lateLocked(now) {
		s.giveUpOnStoreLocked(now)
	}
	s.stepLocked(now)
}

// serveLocked lets the first of every queue that opened, or has a new first one,
// try, until no one moves. It ends: a grant makes a queue shorter, and a waiter
// moves to another queue only behind one that comes before it.
func (s *shard) serveLocked(now time.Time) {
	for {
		for _, b := range s.ledger.Opened() {
			if q := s.queues[b]; q != nil {
				s.dueLocked(q)
			}
		}
		if len(s.due) == 0 {
			return
		}
		q := s.due[len(s.due)-1]
		s.due = s.due[:len(s.due)-1]
		s.serveQueueLocked(now, q)
		q.due = false
	}
}

// dueLocked notes that the first of a queue has to try.
func (s *shard) dueLocked(q *queue) {
	if !q.due && q.bucket != nil {
		q.due = true
		s.due = append(s.due, q)
	}
}

// serveQueueLocked lets one after the other go, until the bucket itself says no.
func (s *shard) serveQueueLocked(now time.Time, q *queue) {
	for w := q.first(); w != nil; w = q.first() {
		d := s.takeLocked(now, w, q.bucket)
		if d.Bucket == q.bucket && d.Reason != quota.TooLarge && !s.forcesLocked(d) {
			s.blockedLocked(now, q, d)
			if q.first() == w {
				return
			}
			continue
		}
		s.leaveLocked(w)
		s.decideLocked(now, w, d)
	}
}

// blockedLocked tells those who stand at a bucket and will not be served in time
// so at once, whenever the first one learns more.
func (s *shard) blockedLocked(now time.Time, q *queue, d quota.Decision) {
	stored := q.storing && d.Reason != quota.Reserving
	q.storing = d.Reason == quota.Reserving
	switch {
	case q.storing && s.lateLocked(now):
	case stored || d.Firm && d.RetryAt.After(q.told):
		q.told = d.RetryAt
	default:
		return
	}
	for _, w := range slices.Clone(q.waiters) {
		if s.refuseLocked(now, w, d) {
			s.leaveLocked(w)
		}
	}
}

// giveUpOnStoreLocked fails everyone who waits for a store that is late.
func (s *shard) giveUpOnStoreLocked(now time.Time) {
	for _, q := range s.queues {
		if q.storing {
			s.failAllLocked(now, q, ErrUnavailable)
		}
	}
}

func (s *shard) failAllLocked(now time.Time, q *queue, err error) {
	for _, w := range slices.Clone(q.waiters) {
		s.failLocked(now, w, err)
	}
}
