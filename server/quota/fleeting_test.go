package quota

import (
	"testing"
	"time"
)

// fleetingLimit is a limit of which nothing is declared, as an API shows it.
var fleetingLimit = Limit{Name: "app", Provenance: Nobody}

// Windows that nobody declared, and that are too short for resets in whole seconds:
// calls well within the quota are not held back, and none is refused; nor where the
// window is a longer one's last second, only the next unit's return is told, or some
// answers tell nothing.
func TestFleetingWindows(t *testing.T) {
	rtt := faults{rtt: 200 * time.Millisecond}
	for name, tc := range map[string]kindCase{
		"one second":       {limits: []trueLimit{{quota: 20, period: time.Second}}, rate: 6, faults: rtt},
		"its headers lost": {limits: []trueLimit{{quota: 20, period: time.Second}}, rate: 6, faults: faults{rtt: 200 * time.Millisecond, loseHeaders: 0.3}},
		"two seconds":      {limits: []trueLimit{{quota: 40, period: 2 * time.Second}}, rate: 6, faults: rtt},
		"token bucket":     {meter: func() meter { return &gcra{each: 50 * time.Millisecond, burst: 20} }, rate: 6, faults: rtt},
		"its next unit":    {meter: func() meter { return &gcra{each: 50 * time.Millisecond, burst: 20, next: true} }, rate: 6, faults: rtt},
		"sliding":          {meter: func() meter { return &slidingMeter{quota: 500, period: time.Second} }, rate: 150, faults: faults{rtt: 45 * time.Millisecond, loseHeaders: 0.6}},
		"a slow one's":     {meter: func() meter { return &gcra{each: 500 * time.Millisecond, burst: 40, next: true} }, rate: 1.7, faults: rtt},
		"a minute's end":   {limits: []trueLimit{{quota: 600, period: time.Minute, phase: time.Second}}, rate: 6, faults: rtt},
	} {
		tc.declared, tc.steady = fleetingLimit, true
		t.Run(name, func(t *testing.T) {
			w, share := tc.play(1, 2*time.Minute)
			t.Logf("%.3f of the rate served, %d of %d refused", share, w.up.refused, w.granted)
			if w.up.refused > 0 || share < 1.05 { // the demand is a tenth more than its rate
				t.Errorf("%.3f of the rate served, want 1.05; %d refused", share, w.up.refused)
			}
		})
	}
}

// A bucket of such windows is held as a log after the second turn, and no more once a
// reset is told that is further away, or more is used than was not over.
func TestFleetingWindowIsALog(t *testing.T) {
	for name, tc := range map[string]struct {
		then Answer
		want bool
	}{
		"as before":            {numbersReset(20, 19, time.Second), true},
		"a longer window":      {numbersReset(20, 19, 30*time.Second), false},
		"more than we can use": {numbersReset(20, 5, time.Second), false},
		"nothing":              {Answer{}, true},
	} {
		s := newSteps(t, fleetingLimit)
		for i := range 4 {
			at := float64(10 * i)
			s.settle(at+0.1, s.take(at), numbersReset(20, 19, time.Second))
			if b := s.bucketOf("app"); b.logged() != (i == 3) {
				t.Fatalf("%s: a log is %v after %d turns", name, b.logged(), i)
			}
		}
		s.settle(41.1, s.take(41), tc.then)
		if b := s.bucketOf("app"); b.logged() != tc.want {
			t.Errorf("%s: a log is %v", name, b.logged())
		}
	}
}
