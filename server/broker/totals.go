package broker

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Totals is what a broker has counted since it started, and how its quotas stand.
type Totals struct {
	// Limits are those of which anything is known, by API and name.
	Limits []LimitTotals
	// Applications is how many of them this process keeps the state of, Overdue
	// for how many of those the store owes an answer for longer than any caller
	// is to wait for it.
	Applications, Overdue int
}

// LimitTotals is one limit of one API, over all applications and buckets.
type LimitTotals struct {
	LimitID
	// Tally counts what happened; it only grows.
	quota.Tally
	// Denied counts the callers that were told no, by reason; it has every
	// reason and only grows. A dry run does not count.
	Denied map[string]uint64

	// Buckets are those that are kept now, Cooling those of them that cool down,
	// Waiting the callers that stand at them, Outstanding the permits that are
	// granted and not settled.
	Buckets, Cooling, Waiting, Outstanding int64
	// Others is the units of all open windows that the upstream counted and we
	// did not send, as far as its numbers show.
	Others int64
	// CoolAfter is the time until the last of the cool-downs ends, 0 when there
	// is none.
	CoolAfter time.Duration
	// Tightest is the bucket with the smallest share of its quota remaining; the
	// zero status where no quota is known.
	Tightest quota.Status
}

// Totals adds up all that the broker knows, by limit. It looks at every bucket,
// and holds nobody up while it does. A count never goes down, whatever becomes of
// the applications that made it.
func (b *Broker) Totals() Totals {
	c := census{broker: b, limits: map[LimitID]*LimitTotals{}}
	c.count()
	for _, s := range b.shards.matching(quota.Scope{}) {
		c.Applications++
		s.measure(&c)
	}
	for _, id := range slices.SortedFunc(maps.Keys(c.limits), LimitID.compare) {
		c.Limits = append(c.Limits, *c.limits[id])
	}
	return c.Totals
}

func (id LimitID) compare(o LimitID) int {
	return cmp.Or(cmp.Compare(id.API, o.API), cmp.Compare(id.Limit, o.Limit))
}

// census is Totals in the making.
type census struct {
	Totals
	broker *Broker
	limits map[LimitID]*LimitTotals
}

// of is the limit's entry.
func (c *census) of(id LimitID) *LimitTotals {
	id = c.broker.counts.name(id)
	l := c.limits[id]
	if l == nil {
		l = &LimitTotals{LimitID: id, Denied: newDenied()}
		c.limits[id] = l
	}
	return l
}

// count adds up what the ledgers tallied, those that are gone included. Where
// one went meanwhile it begins again, because nobody knows whether that one was
// seen.
func (c *census) count() {
	for {
		clear(c.limits)
		ended := c.broker.counts.endings()
		for _, s := range c.broker.shards.matching(quota.Scope{}) {
			s.tally(c)
		}
		if c.broker.counts.addTo(c.limits, ended) {
			return
		}
	}
}

// tally adds what the present ledger counted.
func (s *shard) tally(c *census) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger == nil || s.gone {
		return
	}
	for limit, t := range s.ledger.Tallies {
		c.of(LimitID{s.id.API, limit}).Add(t)
	}
}

// measure adds how the shard and its buckets stand.
func (s *shard) measure(c *census) {
	s.measureWaiting(c)
	limits := map[string]*LimitTotals{}
	s.walk(func(now time.Time, b *quota.Bucket) {
		l := limits[b.Name()]
		if l == nil {
			l = c.of(LimitID{s.id.API, b.Name()})
			limits[b.Name()] = l
		}
		l.add(now, s.ledger.Status(now, b))
	})
}

// measureWaiting adds who waits for the store.
func (s *shard) measureWaiting(c *census) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lateLocked(s.nowLocked()) {
		c.Overdue++
	}
	if q := s.queues.Of(nil); q != nil {
		c.of(LimitID{API: s.id.API}).Waiting += int64(q.Len())
	}
}

// add counts one bucket in.
func (l *LimitTotals) add(now time.Time, st quota.Status) {
	l.Buckets++
	l.Waiting += st.Waiting
	l.Outstanding += st.Outstanding
	l.Others += st.Others
	if st.State == quota.Cooling {
		l.Cooling++
		l.CoolAfter = max(l.CoolAfter, until(now, st.CoolUntil))
	}
	if st.Quota > 0 && (l.Tightest.Quota == 0 || tighter(&st, &l.Tightest)) {
		l.Tightest = st
	}
}

// tighter reports whether a has the smaller share left; of two equal shares, the
// smaller quota.
func tighter(a, b *quota.Status) bool {
	left := func(s *quota.Status) float64 { return float64(s.Remaining) / float64(s.Quota) }
	return cmp.Or(cmp.Compare(left(a), left(b)), cmp.Compare(a.Quota, b.Quota)) < 0
}
