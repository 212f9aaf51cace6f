package quota

import "time"

// tempo bounds the period of a limit's windows where nobody tells it, by the resets
// that are told: no window is shorter than what was ever left of one, and none is
// longer than the time between the ends of two. Some windows of a bucket may pass
// without an answer that tells of it; they end all the same.
//
// Where different buckets of the limit are told the same ends, they turn together,
// and one that is not told of turns with them.
type tempo struct {
	// least and most are the bounds; most is 0 when it is not known.
	least, most time.Duration
	// end bounds the last end that was told, first of the bucket by; agreed is how
	// often another was told the same, and apart true once one was told an earlier.
	end    span
	by     *Bucket
	agreed int
	apart  bool
	// long is true once windows that seemed to be fleeting were not over by when they were
	// told to be.
	long bool
}

// togetherAfter is how often buckets must have been told the same end until it is
// believed that they turn together.
const togetherAfter = 8

// hear takes an end that is told of the bucket's present window.
func (c *tempo) hear(b *Bucket, now instant, reset span) {
	c.least = max(c.least, reset.lo.sub(now))
	switch narrowed := (span{max(c.end.lo, reset.lo), min(c.end.hi, reset.hi)}); {
	case reset.lo > c.end.hi:
		c.end, c.by = reset, b
	case reset.hi < c.end.lo:
		c.apart = true
	default:
		c.end = narrowed
		if b != c.by && c.agreed < togetherAfter {
			c.agreed++
		}
	}
}

// shared is the end of the window in which all buckets of the limit are; unknown
// when they do not turn together, or nothing is told of it yet.
func (c *tempo) shared(now instant) span {
	if c.apart || c.agreed < togetherAfter || c.end.lo <= now || c.end.hi > now.add(c.most) {
		return span{}
	}
	return c.end
}

// learn takes the ends of two windows of a bucket, told of both.
func (c *tempo) learn(earlier, later span) {
	if gap := later.hi.sub(earlier.lo); gap > 0 && (c.most == 0 || gap < c.most) {
		c.most = gap
	}
}

// periods bounds the period of the bucket's window; most is 0 when it is not known.
func (b *Bucket) periods() (least, most time.Duration) {
	if p := b.rule.Window.period(); p > 0 || b.rule.Window.Kind != Unstated || b.tempo.most == 0 {
		return p, p
	}
	return b.tempo.least, max(b.tempo.most, b.tempo.least)
}

// endSure reports whether the end of the window is known as well as it can be: it
// was told, or is declared.
func (b *Bucket) endSure() bool {
	return b.end.known() && b.rule.Window.Kind != Unstated && !b.supposed()
}

// settledFirst bounds the end of a window of which no answer tells it: a call
// granted in it has been answered, so it began at that call or before.
func (b *Bucket) settledFirst(now, granted instant) {
	unstated := b.rule.Window.Kind == Unstated
	if b.endSure() || b.logged() || granted < b.turned {
		return
	}
	if shared := b.tempo.shared(now); unstated && shared.known() && !b.heardOf().hull.known() {
		b.setEnd(now, shared)
		return
	}
	least, most := b.periods()
	if b.supposed() && b.end.known() {
		b.end.hi = max(b.end.hi, now.add(most))
		b.suppose(false)
		return
	}
	if b.end.known() || most == 0 {
		return
	}
	lo := now
	switch last := b.lastEnd(); {
	case b.rule.Window.FirstUse:
		lo = b.kind.firstUse.add(least)
	case last.known():
		lo = max(lo, last.lo.add(least))
	}
	b.end = span{lo, max(lo, now.add(most))}
	b.passLo(now)
}

// boundEnd bounds the end of a window of which no answer will tell, because it is
// closed and nothing is on its way: all that it can have counted has arrived, so
// it ends within a period; unless it begins at its first use, and nothing arrived.
func (b *Bucket) boundEnd(now instant) {
	_, most := b.periods()
	if b.end.known() || b.o > 0 || b.logged() || most == 0 {
		return
	}
	b.end = span{now, now.add(most)}
	b.suppose(true)
	b.passLo(now)
}
