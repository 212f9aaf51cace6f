package broker

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Order is how listed buckets are sorted.
type Order uint8

// The orders. The zero value is ByPressure. Equals are sorted by name.
const (
	// ByPressure has the fullest first.
	ByPressure Order = iota
	// ByUsed has those of which most was used in this window first.
	ByUsed
	// ByWaiting has those at which most callers wait first.
	ByWaiting
	// ByName sorts by API, key and limit.
	ByName
)

// Bounds of [ListRequest.Top].
const (
	DefaultTop = 100
	MaxTop     = 1000
)

// ListRequest chooses buckets.
type ListRequest struct {
	// Pattern matches their keys; its zero value matches all.
	Pattern quota.Scope
	// Top is how many are listed at most, 1 to [MaxTop]; 0 means [DefaultTop].
	Top int
	// Order says which come first.
	Order Order
}

// Listing is some of the buckets that match, and sums of all of them.
type Listing struct {
	// Quotas are the first in the order that was asked for.
	Quotas []QuotaDetail
	// Matched is how many match, listed or not.
	Matched int64
	// Sums are those of all that match, by API and limit.
	Sums []LimitSum
}

// QuotaDetail is a bucket as an operator sees it.
type QuotaDetail struct {
	Quota
	// EndsAt is when the quota ends at the pace of this window so far, and EndsAfter
	// the time until then; zero when the window turns first, or nothing can be
	// said.
	EndsAt    time.Time
	EndsAfter time.Duration
	// HeardAt is when a response last told numbers of it, and HeardAgo the time
	// since; zero when none has.
	HeardAt  time.Time
	HeardAgo time.Duration
	// ConfirmedAgo is the time since a refusal last confirmed a learned quota; 0 when
	// none has.
	ConfirmedAgo time.Duration
	// Costs is what calls were learned to take of it, because nobody says it.
	Costs []quota.LearnedCost
}

// LimitSum sums up the buckets of one limit.
type LimitSum struct {
	LimitID
	// Unit is in what it counts.
	Unit string
	// Buckets is how many there are, Spent how many of them have nothing left to
	// grant, Closed how many are not open.
	Buckets, Spent, Closed int64
	// Used, Others, Outstanding and Waiting are sums of those of [quota.Status].
	Used, Others, Outstanding, Waiting int64
}

func (t *LimitSum) add(st *quota.Status) {
	t.Buckets++
	if st.Remaining == 0 {
		t.Spent++
	}
	if st.State != quota.Open {
		t.Closed++
	}
	t.Used += st.Used
	t.Others += st.Others
	t.Outstanding += st.Outstanding
	t.Waiting += st.Waiting
}

// List lists the buckets that match a pattern. It looks at every bucket of the
// applications that can match, and holds nobody up while it does. It returns a
// *quota.FieldError for a pattern that no bucket can match, and for a Top outside
// its bounds.
func (b *Broker) List(r ListRequest) (Listing, error) {
	if err := b.checkPattern(r.Pattern); err != nil {
		return Listing{}, err
	}
	top, err := r.top()
	if err != nil {
		return Listing{}, err
	}
	best := ranking{most: top, order: r.Order}
	sums := map[LimitID]*LimitSum{}
	var matched int64
	for _, s := range b.shards.matching(r.Pattern) {
		s.walk(func(now time.Time, bucket *quota.Bucket) {
			if !bucket.Key().Matches(r.Pattern) {
				return
			}
			matched++
			d := s.detailLocked(now, bucket)
			best.add(d)
			id := LimitID{s.id.API, d.Limit}
			if sums[id] == nil {
				sums[id] = &LimitSum{LimitID: id, Unit: d.Unit}
			}
			sums[id].add(&d.Status)
		})
	}
	l := Listing{Quotas: best.list(), Matched: matched}
	for _, t := range sums {
		l.Sums = append(l.Sums, *t)
	}
	slices.SortFunc(l.Sums, func(a, b LimitSum) int { return a.compare(b.LimitID) })
	return l, nil
}

func (r ListRequest) top() (int, error) {
	switch {
	case r.Top == 0:
		return DefaultTop, nil
	case r.Top < 0 || r.Top > MaxTop:
		remedy := fmt.Sprintf("1 to %d; 0 means %d", MaxTop, DefaultTop)
		return 0, &quota.FieldError{Field: "top", Value: fmt.Sprint(r.Top), Remedy: remedy}
	}
	return r.Top, nil
}

func (s *shard) detailLocked(now time.Time, b *quota.Bucket) QuotaDetail {
	d := QuotaDetail{Quota: s.quotaLocked(now, b), EndsAt: s.ledger.Pace(now, b).RunsOut(now), HeardAt: s.ledger.Heard(b)}
	d.EndsAfter, d.Costs = until(now, d.EndsAt), b.LearnedCosts()
	if !d.HeardAt.IsZero() {
		d.HeardAgo = until(d.HeardAt, now)
	}
	if at := d.Confidence.ConfirmedAt; !at.IsZero() {
		d.ConfirmedAgo = until(at, now)
	}
	return d
}

// ranking keeps the first of many.
type ranking struct {
	most  int
	order Order
	kept  []QuotaDetail
	// full is true once the first of kept are sorted, as many as are wanted:
	// whatever comes after the last of them is not among the first.
	full bool
}

func (k *ranking) add(d QuotaDetail) {
	if k.full && k.order.compare(d, k.kept[k.most-1]) >= 0 {
		return
	}
	// Twice as many are kept as are wanted, and then sorted, which is as good as
	// a heap and shorter.
	if k.kept = append(k.kept, d); len(k.kept) >= 2*k.most {
		k.kept, k.full = k.list(), true
	}
}

// list is the first ones in their order.
func (k *ranking) list() []QuotaDetail {
	slices.SortFunc(k.kept, k.order.compare)
	return k.kept[:min(len(k.kept), k.most)]
}

func (o Order) compare(a, b QuotaDetail) int {
	first := 0
	switch o {
	case ByPressure:
		first = cmp.Compare(b.Pressure, a.Pressure)
	case ByUsed:
		first = cmp.Compare(b.Used, a.Used)
	case ByWaiting:
		first = cmp.Compare(b.Waiting, a.Waiting)
	case ByName:
	}
	return cmp.Or(first, compareNames(a.Quota, b.Quota))
}
