package quota

import (
	"testing"
	"time"
)

// Tallies: a call that was adopted is settled without having been granted.
func TestTalliesAddUp(t *testing.T) {
	s := newSteps(t, daily(1000))
	a := s.take(0)
	s.take(0)
	o := numbersReset(60, 50, 30*time.Second)
	o.Observations[0].Limit = "burst"
	s.settle(0.1, a, o)
	if got := s.l.family("burst").tally; got.Granted < got.Settled {
		t.Errorf("granted %d, settled %d", got.Granted, got.Settled)
	}
}

// Of several ledgers the tallies are added, each number to its own.
func TestTalliesAreAdded(t *testing.T) {
	one := Tally{Granted: 1, Settled: 2, Released: 3, Lapsed: 4, Probes: 5, Refused: [Attributions]uint64{6, 7, 8, 9}, Cooldowns: 10}
	one.Use.observe(1, 2)
	one.Error.observe(1, 4)
	var sum Tally
	sum.Add(&one)
	if sum != one {
		t.Errorf("added to nothing: %+v, want %+v", sum, one)
	}
	sum.Add(&one)
	two := Tally{Granted: 2, Settled: 4, Released: 6, Lapsed: 8, Probes: 10, Refused: [Attributions]uint64{12, 14, 16, 18}, Cooldowns: 20}
	for range 2 {
		two.Use.observe(1, 2)
		two.Error.observe(1, 4)
	}
	if sum != two {
		t.Errorf("twice: %+v, want %+v", sum, two)
	}
}
