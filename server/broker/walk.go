package broker

import (
	"runtime"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// walkBatch is how many buckets are looked at before those who want to decide on
// a call are let in.
const walkBatch = 64

// walk visits every bucket, the shard locked, and lets those who want to decide
// on a call in between.
func (s *shard) walk(visit func(now time.Time, b *quota.Bucket)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ledger, now, seen := s.ledger, s.nowLocked(), 0
	if ledger == nil {
		return
	}
	for b := range ledger.Buckets(quota.Scope{}) {
		visit(now, b)
		if seen++; seen%walkBatch > 0 {
			continue
		}
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
		if s.ledger != ledger {
			return
		}
		now = s.nowLocked()
	}
}
