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
	period := time.Duration(rapid.IntRange(4, 20).Draw(t, "period")) * time.Second
	aligned := rapid.Bool().Draw(t, "declared aligned")
	firstUse := !aligned && rapid.Bool().Draw(t, "first use")
	up := &upstream{
		rounding: rapid.SampledFrom([]rounding{roundCeil, roundFloor, roundNearest}).Draw(t, "rounding"),
		epoch:    rapid.Bool().Draw(t, "epoch"),
	}
	up.limits = []trueLimit{{
		quota: int64(rapid.IntRange(1, 40).Draw(t, "quota")), period: period, firstUse: firstUse,
	}}
	if !aligned {
		up.limits[0].phase = time.Duration(rapid.Int64Range(0, int64(period)-1).Draw(t, "phase"))
	}
	rules := &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{{
		Name: "app", Quota: up.limits[0].quota, Provenance: Configured,
		Window: Window{Kind: Fixed, Period: period, Aligned: aligned},
	}}}
	users := 1
	if rapid.Bool().Draw(t, "two limits") {
		l := up.limits[0]
		l.quota, l.perUser = l.quota+int64(rapid.IntRange(-5, 5).Draw(t, "user quota")), true
		if l.quota > 0 && l.quota != up.limits[0].quota {
			up.limits = append(up.limits, l)
			rules.Limits = append(rules.Limits, Limit{
				Name: "user", Per: Parts{User: true}, Quota: l.quota, Provenance: Configured,
				Window: Window{Kind: Fixed, Period: period, Aligned: aligned},
			})
			users = 3
		}
	}
	odds := func(name string, most int) float64 {
		return float64(rapid.IntRange(0, most).Draw(t, name)) / 100
	}
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
	w := newWorld(rapid.Uint64().Draw(t, "seed"), epoch.Add(ms("start", 20000)), up, rules, f)
	windows := 5
	bursty := rapid.Bool().Draw(t, "bursty")
	names := []string{"u1", "u2", "u3"}[:users]
	if !bursty {
		for _, u := range names {
			w.want(u, int(up.limits[0].quota)*windows*2)
		}
		return w
	}
	for range rapid.IntRange(2, 12).Draw(t, "bursts") {
		u := names[w.rng.IntN(len(names))]
		n := 1 + w.rng.IntN(int(up.limits[0].quota)*2)
		w.after(w.upTo(time.Duration(windows)*period), func() { w.want(u, n) })
	}
	return w
}

// The upstream never counts more than its limit in any window, for a sole
// consumer: no call is refused that the model was sure of.
func TestPropertyNoOverGrant(t *testing.T) {
	var faultsSeen world
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		if testing.Verbose() {
			w.trace = t.Logf
		}
		w.run(w.now.Add(5 * w.up.limits[0].period))
		if w.innocent > 0 {
			t.Fatalf("%d of %d calls were refused (%d probes)", w.innocent, w.granted, w.probes)
		}
		faultsSeen.dead += w.dead
		faultsSeen.granted += w.granted
	})
	t.Logf("granted %d, dead %d", faultsSeen.granted, faultsSeen.dead)
}
