package alert

import "time"

// verdict is what a rule finds of a bucket at one moment.
type verdict uint8

const (
	// between: neither edge is passed; nothing begins, and nothing ends.
	between verdict = iota
	// bad: the edge at which an alert fires is passed.
	bad
	// good: the edge at which it is over is passed.
	good
)

// edge is what a latch did.
type edge uint8

const (
	none edge = iota
	fired
	resolved
)

// settleFor is how long something must be good again before an alert is over:
// what returns sooner is the same alert.
const settleFor = time.Minute

// mark is one rule on one bucket; threshold and quota tell several of a rule
// apart.
type mark struct {
	rule      Rule
	threshold Share
	quota     int64
}

// latch holds one mark between its two edges.
type latch struct {
	mark
	firing bool
	// since is when it last began to be bad while not firing; clear is since
	// when it has been good while firing, zero when it is not.
	since, clear time.Time
}

// patience says how long a verdict must last before a latch moves.
type patience struct{ fire, settle time.Duration }

// step moves the latch. It reports the edge, and whether the latch has nothing
// more to remember.
func (l *latch) step(now time.Time, v verdict, p patience) (e edge, idle bool) {
	switch {
	case !l.firing && v == good:
		return none, true
	case !l.firing && v == bad && now.Sub(l.since) >= p.fire:
		l.firing = true
		return fired, false
	case l.firing && v == good:
		if l.clear.IsZero() {
			l.clear = now
		}
		if now.Sub(l.clear) >= p.settle {
			return resolved, true
		}
	case l.firing:
		l.clear = time.Time{}
	}
	return none, false
}
