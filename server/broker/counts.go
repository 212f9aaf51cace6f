package broker

import (
	"slices"
	"sync"

	"github.com/quotabroker/quotabroker/server/quota"
)

// LimitID names a limit of an API. An empty Limit is what no limit counts: calls
// that wait, or are turned away, before any bucket has seen them.
type LimitID struct {
	API, Limit string
}

// Folded is the name under which counts are kept of APIs, or of limits of an API,
// that the configuration does not have, once there are too many of them.
const Folded = "other"

// mostUnlisted is how many limits are counted under their own names that the
// configuration does not have: of each API that it has, and of all that it has
// not. An upstream and its callers can make up any number of names.
const mostUnlisted = 12

// counts are what must outlive a shard: what callers were told, and the tallies
// of ledgers that have ended. Safe for concurrent use. Its lock is taken last.
type counts struct {
	// listed reports whether the configuration has the API, and the limit.
	listed func(LimitID) (api, limit bool)

	mu sync.Mutex
	// named are the limits that are counted under their own names, unlisted how
	// many of an API's the configuration does not have.
	named    map[LimitID]struct{}
	unlisted map[string]int
	denied   map[LimitID]map[string]uint64
	past     map[LimitID]*quota.Tally
	ended    int
}

func newCounts(listed func(LimitID) (api, limit bool)) *counts {
	return &counts{
		listed: listed, named: map[LimitID]struct{}{}, unlisted: map[string]int{},
		denied: map[LimitID]map[string]uint64{}, past: map[LimitID]*quota.Tally{},
	}
}

// listed reports whether the configuration has the API, and the limit.
func (b *Broker) listed(id LimitID) (api, limit bool) {
	a, ok := b.upstreams.Load().apis[id.API]
	if !ok {
		return false, false
	}
	return true, slices.ContainsFunc(a.Rules.Limits, func(l quota.Limit) bool { return l.Name == id.Limit })
}

// name is what a limit is counted under.
func (c *counts) name(id LimitID) LimitID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nameLocked(id)
}

func (c *counts) nameLocked(id LimitID) LimitID {
	if _, ok := c.named[id]; ok {
		return id
	}
	api, limit := c.listed(id)
	group := id.API
	if !api {
		group = Folded
	}
	switch {
	case limit:
	case c.unlisted[group] < mostUnlisted:
		c.unlisted[group]++
	default:
		return LimitID{group, Folded}
	}
	c.named[id] = struct{}{}
	return id
}

// newDenied has every reason, so that each count is there before it grows.
func newDenied() map[string]uint64 {
	return map[string]uint64{
		quota.Exhausted.String(): 0, quota.CoolingDown.String(): 0, quota.Probing.String(): 0,
		tooManyWaiters: 0, deadlineTooShort: 0,
	}
}

// deny counts a caller that was told no.
func (c *counts) deny(api string, d *Denial) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.nameLocked(LimitID{api, d.Bucket.Limit})
	if c.denied[id] == nil {
		c.denied[id] = newDenied()
	}
	c.denied[id][d.Reason]++
}

// endCountsLocked keeps what the ledger counted, before the shard ends or loses it.
func (s *shard) endCountsLocked() {
	if s.ledger == nil || s.gone {
		return
	}
	c := s.broker.counts
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended++
	for limit, t := range s.ledger.Tallies {
		id := c.nameLocked(LimitID{s.id.API, limit})
		if c.past[id] == nil {
			c.past[id] = &quota.Tally{}
		}
		c.past[id].Add(t)
	}
}

// endings is how many ledgers have ended.
func (c *counts) endings() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// addTo adds all counts to the limits, unless more ledgers have ended than the
// given number: then it adds nothing and reports false.
func (c *counts) addTo(limits map[LimitID]*LimitTotals, ended int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != ended {
		return false
	}
	entry := func(id LimitID) *LimitTotals {
		if limits[id] == nil {
			limits[id] = &LimitTotals{LimitID: id, Denied: newDenied()}
		}
		return limits[id]
	}
	for id, t := range c.past {
		entry(id).Add(t)
	}
	for id, reasons := range c.denied {
		l := entry(id)
		for reason, n := range reasons {
			l.Denied[reason] += n
		}
	}
	return true
}
