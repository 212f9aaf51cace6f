package quota

import "time"

// Permit is the right to make one call. It ends exactly once: settled, released,
// or lapsed; one that lapsed can still be settled, once. It belongs to its
// ledger and is not safe for concurrent use.
type Permit struct {
	// Scope is whose call it is.
	Scope Scope
	// Generation is less than that of every revocation that came after.
	Generation uint64
	// GrantedAt is when it was granted.
	GrantedAt time.Time

	granted, lapses instant

	costs   Costs
	charges []charge
	room    [2]charge // of the charges of most permits
	state   permitState
	// blamed is the limit that the upstream refused the call for.
	blamed string
	next   *Permit // by grant, which is also by lapse
}

type permitState uint8

const (
	outstanding permitState = iota
	lapsed
	ended
)

// charge is what a permit takes of one bucket, and the bucket's running sum when
// it was granted.
type charge struct {
	bucket *Bucket
	cost   int64
	a      int64
}

// Outstanding reports whether the permit has neither ended nor lapsed.
func (p *Permit) Outstanding() bool { return p.state == outstanding }

// actual is what the call took of the bucket, which was reserved as reserved.
func (c *charge) actual(costs Costs) int64 {
	if n, ok := costs[c.bucket.rule.Counts()]; ok {
		return n
	}
	return c.cost
}

// permitQueue is the outstanding permits in the order of their grants. The first
// is the first to lapse: where a later one has a shorter life, because the rules
// changed in between, it lives on until that one's end.
type permitQueue struct {
	first, last *Permit
}

func (q *permitQueue) push(p *Permit) {
	if q.last == nil {
		q.first = p
	} else {
		p.lapses = max(p.lapses, q.last.lapses)
		q.last.next = p
	}
	q.last = p
}

// head is the first permit that is still outstanding; the ended ones before it
// are dropped.
func (q *permitQueue) head() *Permit {
	for q.first != nil && q.first.state != outstanding {
		q.first, q.first.next = q.first.next, nil
	}
	if q.first == nil {
		q.last = nil
	}
	return q.first
}

// all yields the outstanding permits.
func (q *permitQueue) all(yield func(*Permit) bool) {
	for p := q.head(); p != nil; p = p.next {
		if p.state == outstanding && !yield(p) {
			return
		}
	}
}
