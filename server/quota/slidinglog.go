package quota

import "time"

// slots is how many steps a window's log is kept in: a charge is held at most
// one step longer than it must be.
const slots = 64

// slidingLog is what was settled within the last window: a charge counts from
// its grant (as outstanding) until one window after it settled. That is safe for
// every kind of window of that length, wherever its boundaries lie.
type slidingLog struct {
	held    int64
	charges []logCharge // by instant; at most slots+1
}

type logCharge struct {
	until instant
	cost  int64
}

// add holds a cost until one period from now, rounded up to a whole step:
// charges that end in the same step end together.
func (g *slidingLog) add(now instant, period time.Duration, cost int64) {
	if cost == 0 {
		return
	}
	g.held += cost
	until := stepEnd(now.add(period), period)
	if n := len(g.charges); n > 0 && g.charges[n-1].until == until {
		g.charges[n-1].cost += cost
		return
	}
	g.charges = append(g.charges, logCharge{until, cost})
}

// stepEnd rounds t up to a whole step of the period.
func stepEnd(t instant, period time.Duration) instant {
	step := instant(max(1, period/slots))
	return (t + step - 1) / step * step
}

// expire frees what has ended. It may be called of no log.
func (g *slidingLog) expire(now instant) {
	if g == nil {
		return
	}
	i := 0
	for i < len(g.charges) && g.charges[i].until <= now {
		g.held -= g.charges[i].cost
		i++
	}
	if i > 0 {
		g.charges = append(g.charges[:0], g.charges[i:]...)
	}
}

// freed is when at least cost will have ended, zero when the log does not hold
// as much.
func (g *slidingLog) freed(cost int64) instant {
	for _, c := range g.charges {
		if cost -= c.cost; cost <= 0 {
			return c.until
		}
	}
	return 0
}
