package quota

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// drawWorld draws an upstream of one or two limits, how the fleet asks, and what
// goes wrong on the way.
func drawWorld(t *rapid.T) *world {
	up, rules := drawLimits(t)
	f := drawFaults(t)
	start := epoch.Add(time.Duration(rapid.IntRange(0, 20000).Draw(t, "start")) * time.Millisecond)
	w := newWorld(rapid.Uint64().Draw(t, "seed"), start, up, rules, f)
	users := []string{"u1", "u2", "u3"}
	if len(up.limits) == 1 {
		users = users[:1]
	}
	drawDemand(t, w, users)
	return w
}

// drawLimits draws an application's limit and perhaps a user's, which the model
// can tell apart by their quotas.
func drawLimits(t *rapid.T) (*upstream, *Rules) {
	aligned := rapid.Bool().Draw(t, "declared aligned")
	up := &upstream{
		rounding: rapid.SampledFrom([]rounding{roundCeil, roundFloor, roundNearest}).Draw(t, "rounding"),
		epoch:    rapid.Bool().Draw(t, "epoch"),
	}
	app := trueLimit{
		quota:  int64(rapid.IntRange(1, 40).Draw(t, "quota")),
		period: time.Duration(rapid.IntRange(1, 20).Draw(t, "period")) * time.Second,
	}
	if rapid.IntRange(0, 3).Draw(t, "short") == 0 {
		app.period = time.Duration(rapid.IntRange(200, 4000).Draw(t, "period in ms")) * time.Millisecond
	}
	app.firstUse = !aligned && rapid.Bool().Draw(t, "first use")
	declared := app.firstUse && app.period <= shortWindow // of these it must be
	if !aligned {
		app.phase = time.Duration(rapid.Int64Range(0, int64(app.period)-1).Draw(t, "phase"))
	}
	up.limits = []trueLimit{app}
	if rapid.Bool().Draw(t, "two limits") {
		user := app
		user.quota, user.perUser = app.quota+int64(rapid.IntRange(-5, 5).Draw(t, "user quota")), true
		if user.quota > 0 && user.quota != app.quota {
			up.limits = append(up.limits, user)
		}
	}
	rules := &Rules{API: "api", SendWithin: 2 * time.Second}
	for _, l := range up.limits {
		rules.Limits = append(rules.Limits, Limit{
			Name: map[bool]string{false: "app", true: "user"}[l.perUser], Per: Parts{User: l.perUser},
			Quota: l.quota, Provenance: Configured, Window: Window{Kind: Fixed, Period: l.period, Aligned: aligned, FirstUse: declared},
		})
	}
	return up, rules
}

func drawFaults(t *rapid.T) faults {
	odds := func(name string, most int) float64 { return float64(rapid.IntRange(0, most).Draw(t, name)) / 100 }
	ms := func(name string, most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Millisecond
	}
	f := faults{
		dieBefore: odds("die before", 10), dieAfter: odds("die after", 10), unsent: odds("unsent", 10),
		loseHeaders: odds("lose headers", 60), loseReset: odds("lose reset", 60),
		duplicate: odds("duplicate", 30), untimed: odds("untimed", 50),
		slowSend: ms("slow send", 1900), slowReport: ms("slow report", 4000),
		rtt: 10*time.Millisecond + ms("rtt", 600),
	}
	if rapid.IntRange(0, 5).Draw(t, "headers") == 0 {
		f.loseHeaders = 1 // an upstream that tells nothing
	}
	if rapid.Bool().Draw(t, "sweeps") {
		f.sweeps = 0.05
	}
	if rapid.Bool().Draw(t, "late timers") {
		f.late = 500 * time.Millisecond // fault 24
	}
	return f
}

// drawDemand draws a demand that saturates, or comes in bursts.
func drawDemand(t *rapid.T, w *world, users []string) {
	const windows = 5
	app := w.up.limits[0]
	if !rapid.Bool().Draw(t, "bursty") {
		for _, u := range users {
			w.want(u, int(app.quota)*windows*2)
		}
		return
	}
	for range rapid.IntRange(2, 12).Draw(t, "bursts") {
		u := users[w.rng.IntN(len(users))]
		n := 1 + w.rng.IntN(int(app.quota)*2)
		w.after(w.upTo(windows*app.period), func() { w.want(u, n) })
	}
}

// The upstream never counts more than its limit in any window, for a sole
// consumer: no call is refused but a probe, which the model sends where it says
// that it is not sure. Demand saturates or comes in bursts; grants interleave with
// reports that are reordered, duplicated, late or lost; headers are late, partial
// or absent; our own timers are late; resets are rounded every way; windows are aligned or start at first
// use. And nobody waits for ever: a bucket with a queue and nothing on its way
// knows when it opens.
func TestPropertyNoOverGrant(t *testing.T) {
	var seen, granted, probes, worlds int
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		w.check = func() {
			if stuck := w.stuck(); stuck != "" {
				t.Fatal(stuck)
			}
			for b := range w.ledger.Buckets(Scope{}) {
				if d := b.drift(); d != nil && (d.rate() > 0 || d.burst > 0) {
					t.Fatalf("%s: others took %d, %d at once, and there are none", b.Name(), d.rate(), d.burst/burstFades)
				}
			}
		}
		if testing.Verbose() {
			w.trace = t.Logf
		}
		w.run(w.now.Add(5 * w.up.limits[0].period))
		if w.innocent > 0 {
			t.Fatalf("%d of %d calls were refused, and %d probes", w.innocent, w.granted, w.probes)
		}
		seen, granted, probes, worlds = seen+w.dead, granted+w.granted, probes+w.probes, worlds+1
	})
	if t.Failed() {
		return
	}
	t.Logf("%d calls in %d worlds, %d callers died, %d probes were refused", granted, worlds, seen, probes)
	if seen == 0 || granted < 10*worlds {
		t.Errorf("the faults did not fire, or nobody called: %d died, %d calls in %d worlds", seen, granted, worlds)
	}
}
