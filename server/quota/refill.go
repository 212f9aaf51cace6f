package quota

import (
	"math/bits"
	"time"
)

// farAway is longer than anybody waits, and short enough to be added to any
// instant.
const farAway = 100 * 365 * 24 * time.Hour

// Where a quota comes back bit by bit, each of a bucket's two counts is a debt that
// time lessens: n, of the calls that we know were taken; and quota − m + a − aCov,
// of what the upstream told and what that may not have.
//
// A call counts at the upstream at some instant between its grant and its answer.
// Until that is heard it is outstanding, and held whole; from then on its cost
// flows back. A debt that begins later is never paid off sooner, so ours is never
// less than the upstream's. For the same reason a told number ages from when it
// was heard.

// refills reports whether the bucket's quota comes back bit by bit.
func (b *Bucket) refills() bool { return b.rule.Window.Kind == Refill }

// flowBack lessens the debts by what has flowed back since the last time.
func (b *Bucket) flowBack(now instant) {
	k := b.kind
	d := now.sub(k.asOf)
	if d <= 0 {
		return
	}
	k.asOf = now
	b.n, k.own = b.rule.flows(b.n, k.own, d)
	debt := b.toldDebt()
	left, part := b.rule.flows(debt, k.told, d)
	k.told = part
	// What was told first flows back first; the rest is covered.
	back := debt - left
	raised := min(back, b.quota-b.m)
	b.m += raised
	b.cover(b.aCov + back - raised)
}

// toldDebt is what the upstream may lack of a full quota by its own numbers.
func (b *Bucket) toldDebt() int64 { return b.quota - b.m + b.a - b.aCov }

// flowsBackBy is when a call of this cost fits by time alone, zero when it takes
// more than that: what is outstanding does not flow back.
func (b *Bucket) flowsBackBy(cost int64) instant {
	most := b.quota - cost - b.o
	own, told := b.rule.until(b.n, most, b.kind.own), b.rule.until(b.toldDebt(), most, b.kind.told)
	if most < 0 {
		return 0
	}
	return b.kind.asOf.add(max(own, told))
}

// fullAt is when nothing is owed any more, by time alone.
func (b *Bucket) fullAt() instant {
	own, told := b.rule.until(b.n, 0, b.kind.own), b.rule.until(b.toldDebt(), 0, b.kind.told)
	return b.kind.asOf.add(max(own, told))
}

// holds is the most units that a bucket of the limit has: what a window begins
// with, or what a refilled quota is kept up to. 0 when it is not known.
func (l *Limit) holds() int64 {
	if l.Window.Kind == Refill && l.Window.Burst > 0 {
		return l.Window.Burst
	}
	return l.Quota
}

// flows is what is left of a debt after a time, and the new fraction of a unit that
// flowed back beyond that. It counts in 128 bits, so that nothing is lost to
// rounding, however often it is asked.
func (l *Limit) flows(debt, part int64, d time.Duration) (left, newPart int64) {
	if debt <= 0 {
		return debt, 0
	}
	period := natural(l.Window.Period)
	hi, lo := bits.Mul64(natural(d), natural(l.Quota))
	lo, carry := bits.Add64(lo, natural(part), 0)
	if hi += carry; hi >= period {
		return 0, 0
	}
	units, rest := bits.Div64(hi, lo, period)
	if units >= natural(debt) {
		return 0, 0
	}
	return debt - int64(units), int64(rest) //nolint:gosec // less than what was an int64
}

// until is the time in which a debt falls to at most so much, to the nanosecond.
func (l *Limit) until(debt, most, part int64) time.Duration {
	if debt <= most {
		return 0
	}
	quota := natural(l.Quota)
	hi, lo := bits.Mul64(natural(debt-max(0, most)), natural(l.Window.Period))
	lo, borrow := bits.Sub64(lo, natural(part), 0)
	lo, carry := bits.Add64(lo, quota-1, 0)
	if hi += carry - borrow; hi >= quota {
		return farAway
	}
	d, _ := bits.Div64(hi, lo, quota)
	return time.Duration(min(d, natural(farAway))) //nolint:gosec // at most far away
}

// natural is a number that is never negative.
func natural[N ~int64](n N) uint64 { return uint64(max(0, n)) }
