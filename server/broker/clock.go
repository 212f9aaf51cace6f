package broker

import "time"

// clock is the broker's own time: the wall clock at the start and what has
// passed since by the monotonic one, so that a step of the wall clock changes
// nothing. Safe for concurrent use.
type clock struct {
	started time.Time
	wall    time.Time
}

func newClock() clock {
	now := time.Now()
	return clock{started: now, wall: now.Round(0).UTC()}
}

func (c clock) now() time.Time { return c.wall.Add(time.Since(c.started)) }

// until is the time from now to an instant, 0 when it is past or not known.
func until(now, t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(0, t.Sub(now))
}
