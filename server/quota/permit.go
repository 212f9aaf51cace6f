package quota

import "time"

// Permit is the right to make one call. It ends exactly once: settled, released,
// or lapsed; one that lapsed can still be settled, once. It belongs to its
// ledger and is not safe for concurrent use, nor may it be copied. The zero value
// has ended: it is room for a permit, see [Request].
type Permit struct {
	// Scope is whose call it is.
	Scope Scope
	// Generation is less than that of every revocation that came after.
	Generation uint64
	// GrantedAt is when it was granted.
	GrantedAt time.Time

	// awaited is until when its report is.
	granted, lapses, awaited instant

	costs   Costs
	charges []charge
	room    [4]charge // of the charges of most permits
	// blamed is the limit that the upstream refused the call for.
	blamed string
	// planned is the ledger's plan by which it was charged.
	planned uint64
	// prev and next are by grant, which is also by lapse; nil once it has ended
	// or lapsed.
	prev, next *Permit

	state permitState
	// slotted says that it has lapsed and still has a slot: the ledger refers to
	// it.
	slotted bool
}

type permitState uint8

const (
	// ended is also one that was never granted.
	ended permitState = iota
	outstanding
	lapsed
)

// charge is what a permit takes of one bucket, and the bucket's running sum and
// its promise when it was granted.
type charge struct {
	bucket *Bucket
	cost   int64
	a      int64
	// promised is what the bucket's numbers promised.
	promised int64
	// guessed says that nobody said what the call takes.
	guessed bool
}

// chargeOf is what the permit takes of the bucket.
func (l *Ledger) chargeOf(p *Permit, b *Bucket) charge {
	cost, guessed := l.costOf(b, p.Scope.Endpoint, p.costs)
	return charge{bucket: b, cost: cost, guessed: guessed}
}

// begin makes it the permit of a request, without its charges.
func (p *Permit) begin(now time.Time, granted instant, r *Request) {
	p.Scope, p.GrantedAt, p.granted, p.costs = r.Scope, now, granted, r.Costs
	p.state, p.blamed = outstanding, ""
	if p.charges == nil {
		p.charges = p.room[:]
	}
}

// Outstanding reports whether the permit has neither ended nor lapsed.
func (p *Permit) Outstanding() bool { return p.state == outstanding }

// actual is what the call took of the bucket: what the report says, else nothing
// of a free call, else what was reserved; guessed says that nobody knows.
func (c *charge) actual(took Costs, free bool) (cost int64, guessed bool) {
	if took != nil {
		if n, ok := took[c.bucket.rule.Counts()]; ok {
			return n, false
		}
	}
	if free {
		return 0, false
	}
	return c.cost, c.guessed
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
		q.last.next, p.prev = p, q.last
	}
	q.last = p
}

// remove ends an outstanding permit, or lapses it: the ledger does not refer to it
// any more.
func (q *permitQueue) remove(p *Permit, s permitState) {
	if p.state != outstanding {
		p.state = s
		return
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		q.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		q.last = p.prev
	}
	p.prev, p.next, p.state = nil, nil, s
}

// all yields the outstanding permits.
func (q *permitQueue) all(yield func(*Permit) bool) {
	for p := q.first; p != nil; p = p.next {
		if !yield(p) {
			return
		}
	}
}

// overdue ends what should have ended by now: permits lapse, and what is held for
// longer than they live is let go.
func (l *Ledger) overdue(now instant) {
	for p := l.permits.first; p != nil && now >= p.lapses; p = l.permits.first {
		l.lapse(p)
	}
	if len(l.slots) > 0 {
		l.vacate(now)
	}
	if len(l.ghosts) > 0 {
		l.layGhosts(now)
	}
}

// lapse spends a permit that was never heard of. It is dated when it was due,
// not when that was noticed, so that noticing late changes nothing.
func (l *Ledger) lapse(p *Permit) {
	due := p.lapses
	l.permits.remove(p, lapsed)
	for _, c := range p.charges {
		if c.bucket.concurrent() {
			p.slotted = true
			continue
		}
		c.bucket.advance(due)
		c.bucket.lapse(due, c.cost)
		l.conclude(c.bucket)
		l.open(c.bucket)
		l.change(c.bucket)
	}
	if p.slotted {
		l.slots = append(l.slots, p)
	}
}
