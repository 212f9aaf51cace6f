package quota

import "time"

// A meter is how the tests' upstream counts a limit that is not one of fixed
// windows.
type meter interface {
	// take counts a call of this cost that arrives, unless it is too much.
	take(now time.Time, cost int64) bool
	// left is how many more could be taken, and reset the time until more can be;
	// of how many in all.
	left(now time.Time) int64
	reset(now time.Time) time.Duration
	all() int64
}

// arriveAt counts a call by the upstream's meter.
func (u *upstream) arriveAt(user string, now time.Time) told {
	cost := u.cost(user, now)
	t := told{quota: u.meter.all(), ok: u.meter.take(now, cost)}
	u.note(t.ok, cost, now)
	t.remaining = u.meter.left(now)
	t.reset = time.Duration(u.rounding.seconds(u.meter.reset(now))) * time.Second
	return t
}

// leave ends a call that is under way.
func (u *upstream) leave() {
	if s, ok := u.meter.(*slotMeter); ok {
		s.busy--
	}
}

// gcra is a token bucket: a unit comes back each so often, up to burst.
type gcra struct {
	each  time.Duration
	burst int64
	next  bool // reset is when the next unit is there, not when all are
	tat   time.Time
}

func (g *gcra) owed(now time.Time) time.Duration { return max(0, g.tat.Sub(now)) }

func (g *gcra) take(now time.Time, cost int64) bool {
	owed := g.owed(now) + time.Duration(cost)*g.each
	if owed > time.Duration(g.burst)*g.each {
		return false
	}
	g.tat = now.Add(owed)
	return true
}

func (g *gcra) left(now time.Time) int64 { return g.burst - int64((g.owed(now)+g.each-1)/g.each) }
func (g *gcra) all() int64               { return g.burst }
func (g *gcra) reset(now time.Time) time.Duration {
	if g.next {
		return g.owed(now) % g.each
	}
	return g.owed(now)
}

// slidingMeter is an exact log of a sliding window.
type slidingMeter struct {
	quota  int64
	period time.Duration
	newest bool // reset is when all is free again, not when the next is
	// wasteful says that what is refused counts as well.
	wasteful bool
	log      []time.Time
}

func (s *slidingMeter) expire(now time.Time) {
	for len(s.log) > 0 && now.Sub(s.log[0]) >= s.period {
		s.log = s.log[1:]
	}
}

func (s *slidingMeter) take(now time.Time, cost int64) bool {
	ok := s.left(now) >= cost
	if ok || s.wasteful {
		for range cost {
			s.log = append(s.log, now)
		}
	}
	return ok
}

func (s *slidingMeter) left(now time.Time) int64 {
	s.expire(now)
	return max(0, s.quota-int64(len(s.log)))
}

func (s *slidingMeter) all() int64 { return s.quota }
func (s *slidingMeter) reset(now time.Time) time.Duration {
	s.expire(now)
	switch {
	case len(s.log) == 0:
		return 0
	case s.newest:
		return s.log[len(s.log)-1].Add(s.period).Sub(now)
	}
	return s.log[0].Add(s.period).Sub(now)
}

// counterMeter weighs the last aligned period by how much of it lies within a
// sliding window.
type counterMeter struct {
	quota        int64
	period       time.Duration
	phase        time.Duration
	began        int64 // number of the period
	last, counts int64
}

// weighed is what is counted, in parts of a unit of which a period has as many as
// nanoseconds.
func (c *counterMeter) weighed(now time.Time) int64 {
	since := now.UnixNano() - int64(c.phase)
	switch began := since / int64(c.period); began - c.began {
	case 0:
	case 1:
		c.began, c.last, c.counts = began, c.counts, 0
	default:
		c.began, c.last, c.counts = began, 0, 0
	}
	return c.last*(int64(c.period)-since%int64(c.period)) + c.counts*int64(c.period)
}

func (c *counterMeter) take(now time.Time, cost int64) bool {
	if c.weighed(now)+cost*int64(c.period) > c.quota*int64(c.period) {
		return false
	}
	c.counts += cost
	return true
}

func (c *counterMeter) left(now time.Time) int64 {
	return max(0, c.quota*int64(c.period)-c.weighed(now)) / int64(c.period)
}

func (c *counterMeter) all() int64 { return c.quota }
func (c *counterMeter) reset(now time.Time) time.Duration {
	return c.period - time.Duration((now.UnixNano()-int64(c.phase))%int64(c.period))
}

// slotMeter counts the calls that are under way.
type slotMeter struct{ quota, busy, most int64 }

func (s *slotMeter) take(time.Time, int64) bool {
	if s.busy >= s.quota {
		s.busy++ // the refusal is under way too, until it has left
		return false
	}
	s.busy++
	s.most = max(s.most, s.busy)
	return true
}
func (s *slotMeter) left(time.Time) int64          { return max(0, s.quota-s.busy) }
func (s *slotMeter) all() int64                    { return s.quota }
func (s *slotMeter) reset(time.Time) time.Duration { return 0 }
