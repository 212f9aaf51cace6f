package quota

import (
	"slices"
	"time"
)

// slots is in how many steps of a window its log is kept: a charge is held at most
// one step longer than it must be.
const slots = 64

// slidingLog is what was settled within the last window: a charge counts from
// its grant (as outstanding) until one window after it settled, or until a turn is
// known to have come after it. That is safe for every kind of window of that
// length, wherever its boundaries lie.
type slidingLog struct {
	held int64
	// charges are by instant, a few a step. The first gone of them are freed, and
	// kept for one more window: the answers of then may be on their way.
	charges []logCharge
	gone    int
	// foreign is for how many more windows the upstream's numbers bound what is
	// granted, because others were seen to take of the quota.
	foreign uint8
	// rhythm is what was learned of the turns; nil when that is nothing.
	rhythm *rhythm
}

// logCharge is what was settled at one instant, or within a step before it; heard
// is when that was, which is later where the answer said how old its window is.
type logCharge struct {
	settled, heard instant
	cost           int64
}

// add holds a cost. What settles within one step is kept together, for as long as
// the last of it.
func (g *slidingLog) add(c logCharge, period time.Duration) {
	if c.cost == 0 {
		return
	}
	g.held += c.cost
	n := len(g.charges)
	for n > g.gone && g.charges[n-1].settled > c.settled {
		n-- // what lapsed is dated when that was due
	}
	before := instant(0)
	if n >= 2 {
		before = g.charges[n-2].settled
	}
	if n > g.gone && (n == len(g.charges) && c.settled < before.add(period/slots) || g.charges[n-1].settled == c.settled) {
		last := &g.charges[n-1]
		last.settled, last.heard, last.cost = c.settled, max(last.heard, c.heard), last.cost+c.cost
		return
	}
	g.charges = slices.Insert(g.charges, n, c)
}

// expire frees what the rhythm, or a period, has freed by now: no sooner than was
// said, or whoever waits for it would not be woken.
func (g *slidingLog) expire(now instant, r *rhythm, period time.Duration) {
	for g.gone < len(g.charges) && r.frees(g.charges[g.gone].settled, period) <= now {
		g.held -= g.charges[g.gone].cost
		g.gone++
	}
	i := 0
	for i < g.gone && g.charges[i].settled.add(2*period) <= now {
		i++
	}
	g.charges = slices.Delete(g.charges, 0, i)
	g.gone -= i
}

// since is what was settled at t or later, freed or not; heldSince is what of it is
// still held.
func (g *slidingLog) since(t instant) int64 { return sumSince(g.charges, t) }

func (g *slidingLog) heldSince(t instant) int64 { return sumSince(g.charges[g.gone:], t) }

func sumSince(charges []logCharge, t instant) (cost int64) {
	for i := len(charges) - 1; i >= 0 && charges[i].settled >= t; i-- {
		cost += charges[i].cost
	}
	return cost
}

// heardSince is what of all that is held was heard after t.
func (g *slidingLog) heardSince(t instant) (cost int64) {
	for _, c := range g.charges[g.gone:] {
		if c.heard > t {
			cost += c.cost
		}
	}
	return cost
}

// last is when the last charge settled that must be freed for at least cost to be;
// zero when the log does not hold as much.
func (g *slidingLog) last(cost int64) instant {
	for _, c := range g.charges[g.gone:] {
		if cost -= c.cost; cost <= 0 {
			return c.settled
		}
	}
	return 0
}

// settledFirst is when the first was settled that is held; 0 when nothing is.
func (g *slidingLog) settledFirst() instant {
	if g.gone == len(g.charges) {
		return 0
	}
	return g.charges[g.gone].settled
}

// settledLast is when the last that the log knows of was settled; 0 when it knows
// of nothing.
func (g *slidingLog) settledLast() instant {
	if len(g.charges) == 0 {
		return 0
	}
	return g.charges[len(g.charges)-1].settled
}
