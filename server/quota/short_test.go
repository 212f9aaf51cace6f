package quota

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Trial 13: windows of a second, whose resets say nothing.
func TestTrialShortWindows(t *testing.T) {
	long(t)
	for name, vary := range map[string]func(*trial){
		"saturating":        func(*trial) {},
		"at random":         func(c *trial) { c.demand = 0.95 },
		"on and off":        func(c *trial) { c.demand, c.pulse = 1.8, 3*time.Second },
		"lagging nodes":     func(c *trial) { c.faults.lag, c.faults.lagBy = 0.1, 5 },
		"headers lost":      func(c *trial) { c.faults.loseHeaders = 0.05 },
		"callers die":       func(c *trial) { c.faults.dieBefore, c.faults.dieAfter = 0.001, 0.001 },
		"answers come late": func(c *trial) { c.faults.sigma = 0.8 },
	} {
		for _, quota := range []int64{10, 100} {
			for _, rtt := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond} {
				c := trial{
					window: fixedWindow(time.Second), limit: trueLimit{quota: quota, period: time.Second, phase: 370 * time.Millisecond},
					faults: faults{rtt: rtt, sigma: 0.6}, windows: 300, warm: 30,
				}
				vary(&c)
				t.Run(fmt.Sprintf("%s/%d a second, %v", name, quota, rtt), func(t *testing.T) { c.check(t, 0, 0.94) })
			}
		}
	}
}

// Windows whose resets are told in whole seconds, so vaguely that two turns look
// alike.
func TestVagueResets(t *testing.T) {
	for _, period := range []time.Duration{3 * time.Second, 4 * time.Second, 5 * time.Second} {
		for _, epoch := range []bool{false, true} {
			for _, r := range []rounding{roundCeil, roundFloor, roundNearest} {
				for _, demand := range []float64{0, 0.95} {
					c := trial{
						window: fixedWindow(period), limit: trueLimit{quota: 50, period: period, phase: 1370 * time.Millisecond},
						faults: faults{rtt: 100 * time.Millisecond, sigma: 0.6}, rounding: r, epoch: epoch,
						demand: demand, windows: 60, warm: 5,
					}
					t.Run(fmt.Sprintf("%v/epoch %v, rounding %d, demand %v", period, epoch, r, demand), func(t *testing.T) { c.check(t, 0, 0.98) })
				}
			}
		}
	}
}

// A window of which answers tell what remains, and never when it ends.
func TestPhaseLearnedFromWhatRemains(t *testing.T) {
	for _, period := range []time.Duration{3 * time.Second, 10 * time.Second, time.Minute} {
		c := trial{
			window: fixedWindow(period), limit: trueLimit{quota: 50, period: period, phase: 1370 * time.Millisecond},
			faults: faults{rtt: 200 * time.Millisecond, sigma: 0.6, loseReset: 1}, demand: 1.5, pulse: 3 * period, windows: 120, warm: 20,
		}
		t.Run(period.String(), func(t *testing.T) { c.check(t, 0, 0.98) })
	}
}

// A short window that starts at first use, and does not say so, is found out by the
// first refusal: it is held as a log from then on.
func TestShortWindowOfFirstUse(t *testing.T) {
	c := trial{
		window: fixedWindow(time.Second), limit: trueLimit{quota: 10, period: time.Second, firstUse: true},
		faults: faults{rtt: 20 * time.Millisecond, sigma: 0.6}, windows: 1000,
	}
	for seed := range 5 {
		if o := c.run(uint64(seed)); o.refused+o.probes > 10 {
			t.Errorf("%d of %d refused, want no more than one window's quota", o.refused, o.granted)
		}
	}
}

// No call is refused in many windows, short and a little longer, while turns are
// learned and forgotten: whatever is lost, late or never sent, and however resets
// are rounded; and, where a window is too long to be taken for one that does not,
// when it starts at first use.
func TestPropertyRhythm(t *testing.T) {
	var worlds, learned int
	rapid.Check(t, func(t *rapid.T) {
		c := trial{
			limit: trueLimit{
				quota:  int64(rapid.IntRange(2, 20).Draw(t, "quota")),
				period: time.Duration(rapid.IntRange(300, 6000).Draw(t, "period in ms")) * time.Millisecond,
			},
			rounding: rapid.SampledFrom([]rounding{roundCeil, roundFloor, roundNearest}).Draw(t, "rounding"),
			epoch:    rapid.Bool().Draw(t, "epoch"),
			demand:   rapid.SampledFrom([]float64{0, 0.8, 2}).Draw(t, "demand"),
			windows:  30,
		}
		c.limit.phase = time.Duration(rapid.Int64Range(0, int64(c.limit.period)-1).Draw(t, "phase"))
		c.window = fixedWindow(c.limit.period)
		c.limit.firstUse = rapid.IntRange(0, 3).Draw(t, "first use") == 0
		c.window.FirstUse = c.limit.firstUse && c.limit.period <= shortWindow
		c.pulse = time.Duration(rapid.IntRange(0, 4).Draw(t, "pulse")) * c.limit.period
		if c.faults = drawFaults(t); rapid.Bool().Draw(t, "gentle") {
			c.faults = faults{rtt: c.faults.rtt, loseHeaders: c.faults.loseHeaders / 10}
		}
		c.faults.rtt = min(c.faults.rtt, c.limit.period/4)
		w := c.world(rapid.Uint64().Draw(t, "seed"))
		if testing.Verbose() {
			w.trace = t.Logf
		}
		w.run(w.now.Add(30 * c.limit.period))
		if w.innocent > 0 {
			t.Fatalf("%d of %d calls were refused", w.innocent, w.granted)
		}
		worlds++
		for b := range w.ledger.Buckets(Scope{}) {
			if r := b.rhythm(); r != nil && r.narrow(at(w.now), c.limit.period) {
				learned++
			}
		}
	})
	t.Logf("a rhythm was learned in %d of %d worlds", learned, worlds)
	if worlds >= 100 && !t.Failed() && learned*20 < worlds {
		t.Errorf("a rhythm was learned in %d of %d worlds", learned, worlds)
	}
}

// Faults 17: nothing but what passes counts, so a start an hour sooner or later
// grants the same calls at the same moments, if the upstream's windows begin as
// long after it.
func TestOnlyWhatPassesCounts(t *testing.T) {
	for name, c := range map[string]trial{
		"resets":        {window: fixedWindow(10 * time.Second), limit: trueLimit{quota: 50, period: 10 * time.Second, phase: 3 * time.Second}},
		"epochs":        {window: fixedWindow(10 * time.Second), limit: trueLimit{quota: 50, period: 10 * time.Second, phase: 3 * time.Second}, epoch: true},
		"a rhythm":      {window: fixedWindow(time.Second), limit: trueLimit{quota: 10, period: time.Second, phase: 370 * time.Millisecond}},
		"nothing known": {limit: trueLimit{quota: 50, period: 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			c.faults = faults{rtt: 200 * time.Millisecond, sigma: 0.6, loseHeaders: 0.2, dieBefore: 0.01}
			var first []time.Duration
			for _, set := range []time.Duration{0, -time.Hour, time.Hour, 24 * time.Hour} {
				c.start = set
				w := c.world(1)
				start := w.now
				var granted []time.Duration
				w.check = func() {
					for len(granted) < w.granted {
						granted = append(granted, w.now.Sub(start))
					}
				}
				w.run(start.Add(100 * time.Second))
				if set == 0 {
					first = granted
				}
				if !slices.Equal(granted, first) || len(granted) < 300 {
					t.Errorf("set by %v: %d calls were granted, and not as the %d that would have been", set, len(granted), len(first))
				}
			}
		})
	}
}

// An answer that tells when its window ends, however vaguely, says of itself when
// it is counted no more: the next window need not wait until it is a period old.
func TestOwnResetFreesTheCharge(t *testing.T) {
	s := newSteps(t, fixed(2, 10*time.Second))
	s.settle(0.1, s.take(0), numbersReset(2, 1, time.Second))
	s.settle(0.2, s.take(0), numbersReset(2, 0, time.Second))
	s.retryAt(s.denied(1, Exhausted), 2.1)
	s.settle(2.2, s.take(2.1), numbersReset(2, 1, 9*time.Second)) // tells the phase
	s.available(2.3, "app", 1)
}

// A log turns where its numbers end, not where the upstream's window does: what was
// settled without numbers before may be counted in the window that is then told.
func TestLogsTurnCoversNothing(t *testing.T) {
	s := newSteps(t, fixed(3, 20*time.Second))
	s.settle(0.1, s.take(0), Answer{})
	s.settle(1, s.take(0), Answer{})
	s.settle(2, s.take(0), numbers(3, 1))
	first, second := s.take(20.1), s.take(21)
	s.settle(21.5, second, Answer{})
	s.take(22) // counted, and its caller dies
	s.settle(22.1, first, numbersReset(3, 2, 18*time.Second))
	s.available(26, "app", 0)
}

// What was answered in the window that is told now is not in its number, if that
// is of a call that was counted before: not even where the log had let go of the
// lower numbers.
func TestToldNumberMayBeOld(t *testing.T) {
	s := newSteps(t, fixed(3, 20*time.Second))
	one, two, three := s.take(0), s.take(0), s.take(0)
	s.settle(1, one, Answer{})
	s.settle(2, two, Answer{})
	s.settle(3, three, numbers(3, 0))
	old, later := s.take(21), s.take(22)
	s.settle(22.5, later, numbers(3, 1))
	s.take(23.1) // counted, and its caller dies
	s.settle(23.2, old, numbersReset(3, 2, 15*time.Second))
	s.available(27, "app", 0)
}

// A log is kept in steps, for two periods at most.
func TestLogIsBounded(t *testing.T) {
	var g slidingLog
	for now := sec(0); now < sec(100); now = now.add(time.Millisecond) {
		g.add(logCharge{now, now, 1}, time.Second)
		if g.expire(now, nil, time.Second); len(g.charges) > 3*slots || cap(g.charges) > 16*slots {
			t.Fatalf("%d charges are kept, with room for %d", len(g.charges), cap(g.charges))
		}
	}
	if g.held < 1000 || g.held > 1000+1000/slots+1 {
		t.Errorf("%d are held of a thousand a period", g.held)
	}
}
