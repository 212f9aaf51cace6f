package broker

import (
	"strings"
	"testing"
	"time"
)

// Faults 17: a step of the wall clock changes nothing while the broker runs. What
// it calls now is measured from its start by the monotonic clock; the wall clock
// is read once, and from then on only dates that start.
func TestClockIsMonotonic(t *testing.T) {
	const monotonic = " m="
	c := newClock()
	if !strings.Contains(c.started.String(), monotonic) {
		t.Errorf("%v has no monotonic reading: the wall clock measures what passes", c.started)
	}
	if strings.Contains(c.wall.String(), monotonic) || strings.Contains(c.now().String(), monotonic) {
		t.Errorf("%v or %v has a monotonic reading: what is compared with it leaves the wall clock out by chance", c.wall, c.now())
	}
	// Started an hour and a half ago by the monotonic clock, whatever the wall was
	// then set to, and has been since.
	for _, set := range []time.Duration{0, -time.Hour, time.Hour} {
		old := clock{started: c.started.Add(-90 * time.Minute), wall: c.wall.Add(set)}
		if passed := old.now().Sub(old.wall); passed < 90*time.Minute || passed > 91*time.Minute {
			t.Errorf("set by %v: %v have passed, want 90m", set, passed)
		}
	}
}
