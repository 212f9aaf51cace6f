package broker

import (
	"time"

	"github.com/quotabroker/quotabroker/server/queue"
)

// stepLocked follows everything that happens to a shard: whoever can go goes,
// watchers are told, the keeper and the timer are set.
func (s *shard) stepLocked(now time.Time) {
	if s.ledger != nil {
		s.forgetLocked(now)
		s.queues.Serve(now)
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

// giveUpOnStoreLocked fails everyone who waits for a store that is late.
func (s *shard) giveUpOnStoreLocked(now time.Time) {
	for q := range s.queues.All {
		if q.Storing() {
			s.failAllLocked(now, q, ErrUnavailable)
		}
	}
}

func (s *shard) failAllLocked(now time.Time, q *queue.Queue[*waiter], err error) {
	for _, p := range q.Places() {
		s.failLocked(now, p.Who, err)
	}
}
