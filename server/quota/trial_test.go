package quota

import (
	"testing"
	"time"
)

// trial is one limit, one fleet and one upstream for some windows.
type trial struct {
	window   Window // as declared
	limit    trueLimit
	faults   faults
	rounding rounding
	epoch    bool
	// dateAhead is how far the clock that writes Date is ahead of the limiter's.
	dateAhead time.Duration
	// demand is how much of the quota is wanted, at random moments; 0 saturates.
	// With pulse it comes and goes, for that long each.
	demand float64
	pulse  time.Duration
	// start is how much later than at the epoch it begins.
	start time.Duration
	// windows are counted after as many as warm up.
	windows, warm int
}

// outcome is what a trial came to: the share of the quota that was used, and what
// was granted, refused, and refused to probes.
type outcome struct {
	used                     float64
	granted, refused, probes int
	// served is the share of the demand that was granted.
	served float64
}

// world is the trial's, in which all that is wanted will be.
func (c *trial) world(seed uint64) *world {
	l := Limit{Name: "app", Quota: c.limit.quota, Window: c.window, Provenance: Configured}
	up := &upstream{limits: []trueLimit{c.limit}, rounding: c.rounding, epoch: c.epoch, dateAhead: c.dateAhead}
	w := newWorld(seed, epoch.Add(c.start+c.limit.period/3), up, &Rules{API: "api", Limits: []Limit{l}}, c.faults)
	if c.demand == 0 {
		w.want("u", 1<<30)
	} else {
		c.arrive(w)
	}
	return w
}

func (c *trial) run(seed uint64) outcome {
	w := c.world(seed)
	up := w.up
	before := 0
	w.after(time.Duration(c.warm)*c.limit.period, func() { before = up.counted })
	w.run(w.now.Add(time.Duration(c.warm+c.windows) * c.limit.period))
	return outcome{
		used:    float64(up.counted-before) / float64(int64(c.windows)*c.limit.quota),
		granted: w.granted, refused: w.innocent, probes: w.probes,
		served: float64(w.granted) / float64(w.granted+w.waiting["u"]),
	}
}

// arrive lets calls be wanted one by one, and in pauses not at all.
func (c *trial) arrive(w *world) {
	w.want("u", 1)
	next := time.Duration(w.rng.ExpFloat64() * float64(c.limit.period) / (c.demand * float64(c.limit.quota)))
	if c.pulse > 0 && w.now.Add(next).Sub(epoch)/c.pulse%2 == 1 {
		next += c.pulse
	}
	w.after(next, func() { c.arrive(w) })
}

// check runs the trial a few times: at most so many of 10 000 calls are refused,
// and of the quota that is wanted at least a share is used.
func (c *trial) check(t *testing.T, most, least float64) {
	t.Helper()
	seeds := 3
	if testing.Short() {
		seeds = 1
	}
	var all outcome
	for seed := range seeds {
		o := c.run(uint64(seed + 1))
		all.used += o.used / float64(seeds)
		all.served += o.served / float64(seeds)
		all.granted, all.refused, all.probes = all.granted+o.granted, all.refused+o.refused, all.probes+o.probes
	}
	share := all.used
	if c.demand > 0 {
		share = all.served
	}
	refused := all.refused + all.probes
	t.Logf("%d granted, %d refused (%d probes), %.3f used, %.3f served", all.granted, refused, all.probes, all.used, all.served)
	if float64(refused)*10_000 > most*float64(all.granted) || share < least || all.granted < 1000 {
		t.Errorf("%d of %d refused, want at most %.1f of 10 000; %.3f used or served, want %.3f", refused, all.granted, most, share, least)
	}
}

func fixedWindow(period time.Duration) Window { return Window{Kind: Fixed, Period: period} }

// Trial 1: a Date whose clock is off the limiter's, and resets that are instants by
// the latter: what it costs is learned within two windows, once and for all.
func TestTrialDateOffTheLimitersClock(t *testing.T) {
	for _, ahead := range []time.Duration{-3 * time.Second, time.Second, 3 * time.Second} {
		c := trial{
			window: fixedWindow(20 * time.Second), limit: trueLimit{quota: 200, period: 20 * time.Second},
			faults: faults{rtt: 100 * time.Millisecond}, epoch: true, dateAhead: ahead,
		}
		for seed := range uint64(8) {
			w := c.world(seed + 1)
			w.now = epoch.Add(time.Duration(seed) * 2500 * time.Millisecond)
			learned := 0
			w.after(42*time.Second, func() { learned = w.up.refused })
			w.run(w.now.Add(400 * time.Second))
			if later := w.up.refused - learned; later > 0 || w.up.counted < 19*200 {
				t.Errorf("date %v ahead, seed %d: %d refused at first and %d later; %d counted", ahead, seed+1, learned, later, w.up.counted)
			}
		}
	}
}
