package broker

import (
	"cmp"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Quota is the status of a bucket with its instants as durations from now.
type Quota struct {
	quota.Status
	// ResetAfter and CoolAfter are the durations until ResetAt and CoolUntil; 0 when those are zero.
	ResetAfter, CoolAfter time.Duration
}

// Statuses is each bucket that matches a pattern, by API, key and limit.
func (b *Broker) Statuses(pattern quota.Scope) []Quota {
	var all []Quota
	for _, s := range b.shards.matching(pattern) {
		all = append(all, s.statuses(pattern)...)
	}
	sortQuotas(all)
	return all
}

func (s *shard) statuses(pattern quota.Scope) []Quota {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger == nil {
		return nil
	}
	now := s.nowLocked()
	var list []Quota
	for b := range s.ledger.Buckets(pattern) {
		list = append(list, s.quotaLocked(now, b))
	}
	return list
}

// countedLocked is the status of each bucket that counts a call of the scope.
func (s *shard) countedLocked(now time.Time, scope quota.Scope) []Quota {
	buckets := s.ledger.Counted(now, scope)
	list := make([]Quota, len(buckets))
	for i, b := range buckets {
		list[i] = s.quotaLocked(now, b)
	}
	return list
}

func (s *shard) quotaLocked(now time.Time, b *quota.Bucket) Quota {
	st := s.ledger.Status(now, b)
	return Quota{Status: st, ResetAfter: until(now, st.ResetAt), CoolAfter: until(now, st.CoolUntil)}
}

func sortQuotas(list []Quota) { slices.SortFunc(list, compareNames) }

// compareNames orders by API, key and limit.
func compareNames(a, b Quota) int {
	return cmp.Or(a.Key.Compare(b.Key), cmp.Compare(a.Limit, b.Limit))
}
