package quota

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// kindCase is an upstream that counts its own way, and how it is declared.
type kindCase struct {
	declared Limit
	meter    func() meter
	limits   []trueLimit
	faults   faults
	// rate is how many calls it takes at most in a second, in the long run.
	rate  float64
	least float64
	// steady demand comes at a pace a little above the rate, not all at once.
	steady bool
}

func declared(quota int64, w Window) Limit {
	return Limit{Name: "app", Quota: quota, Provenance: Configured, Window: w}
}

// play saturates the upstream for so long, and says what share of what it takes in
// that time was used.
func (tc *kindCase) play(seed uint64, d time.Duration) (w *world, share float64) {
	up := &upstream{limits: tc.limits}
	if tc.meter != nil {
		up.meter = tc.meter()
	}
	w = newWorld(seed, epoch, up, &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{tc.declared}}, tc.faults)
	if tc.steady {
		w.steady(tc.rate, d*6/5)
	} else {
		w.want("u", 1<<20)
	}
	warm := epoch.Add(d / 5)
	w.run(warm)
	before := up.counted
	w.run(warm.Add(d))
	return w, float64(up.counted-before) / (tc.rate * d.Seconds())
}

// steady makes demand for as long of a little more than a rate.
func (w *world) steady(rate float64, d time.Duration) {
	each := time.Duration(float64(time.Second) / rate / 1.1)
	for at := time.Duration(0); at < d; at += each/2 + w.upTo(each) {
		w.after(at, func() { w.want("u", 1) })
	}
}

func TestUseOfEveryKind(t *testing.T) {
	long(t)
	rtt := faults{rtt: 100 * time.Millisecond}
	silent := faults{rtt: 100 * time.Millisecond, loseHeaders: 1}
	mixed := faults{rtt: 100 * time.Millisecond, loseHeaders: 0.3, slowSend: 500 * time.Millisecond, slowReport: 500 * time.Millisecond}
	leaky := declared(2, Window{Kind: Refill, Period: time.Second, Burst: 40})
	shopify := func() meter { return &gcra{each: time.Second / 2, burst: 40} }
	wide := declared(100, Window{Kind: Refill, Period: time.Second, Burst: 100})
	hundred := func() meter { return &gcra{each: 10 * time.Millisecond, burst: 100} }
	ten := Window{Kind: Sliding, Period: 10 * time.Second}
	counter := Window{Kind: Sliding, Period: 10 * time.Second, Counter: true}
	first := Window{Kind: Fixed, Period: 10 * time.Second, FirstUse: true}
	for name, tc := range map[string]kindCase{
		"leaky":                   {leaky, shopify, nil, rtt, 2, 0.97, false},
		"leaky, silent":           {leaky, shopify, nil, silent, 2, 0.97, false},
		"leaky, mixed":            {leaky, shopify, nil, mixed, 2, 0.97, false},
		"token bucket":            {wide, hundred, nil, rtt, 100, 0.97, false},
		"token bucket, silent":    {wide, hundred, nil, silent, 100, 0.97, false},
		"token bucket, mixed":     {wide, hundred, nil, mixed, 100, 0.97, false},
		"sliding log":             {declared(300, ten), func() meter { return &slidingMeter{quota: 300, period: 10 * time.Second} }, nil, rtt, 30, 0.97, false},
		"sliding log, newest":     {declared(300, ten), func() meter { return &slidingMeter{quota: 300, period: 10 * time.Second, newest: true} }, nil, rtt, 30, 0.97, false},
		"sliding log, silent":     {declared(300, ten), func() meter { return &slidingMeter{quota: 300, period: 10 * time.Second} }, nil, silent, 30, 0.97, false},
		"sliding counter":         {declared(300, counter), func() meter { return &counterMeter{quota: 300, period: 10 * time.Second, phase: 3 * time.Second} }, nil, rtt, 30, 0.97, false},
		"sliding counter, silent": {declared(300, counter), func() meter { return &counterMeter{quota: 300, period: 10 * time.Second} }, nil, silent, 30, 0.97, false},
		"concurrent":              {declared(20, Window{Kind: Concurrent}), func() meter { return &slotMeter{quota: 20} }, nil, rtt, 200, 0.9, false},
		"first use":               {declared(300, first), nil, []trueLimit{{quota: 300, period: 10 * time.Second, firstUse: true}}, rtt, 30, 0.97, false},
		"first use, silent":       {declared(300, first), nil, []trueLimit{{quota: 300, period: 10 * time.Second, firstUse: true}}, silent, 30, 0.97, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, share := tc.play(3, 200*time.Second)
			t.Logf("%.3f used, %d refused, %d probes refused of %d", share, w.innocent, w.probes, w.granted)
			if w.innocent+w.probes > 0 || share < tc.least {
				t.Errorf("%.3f used, want %.2f; refused %d, and %d probes", share, tc.least, w.innocent, w.probes)
			}
		})
	}
}

// drawKind draws an upstream of one kind that is declared as it is.
func drawKind(t *rapid.T) (*upstream, Limit) {
	quota := int64(rapid.IntRange(1, 40).Draw(t, "quota"))
	period := time.Duration(rapid.IntRange(1, 20).Draw(t, "period")) * time.Second
	up := &upstream{rounding: rapid.SampledFrom([]rounding{roundCeil, roundFloor, roundNearest}).Draw(t, "rounding")}
	either := rapid.Bool().Draw(t, "either")
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		burst := int64(rapid.IntRange(1, 60).Draw(t, "burst"))
		// A unit's time is a whole number of nanoseconds, but not of the period.
		each := period/time.Duration(quota) + 1
		up.meter = &gcra{each: each, burst: burst, next: either}
		return up, declared(1, Window{Kind: Refill, Period: each, Burst: burst})
	case 1:
		up.meter = &slidingMeter{quota: quota, period: period, newest: either}
		return up, declared(quota, Window{Kind: Sliding, Period: period})
	case 2:
		phase := time.Duration(rapid.Int64Range(0, int64(period)-1).Draw(t, "phase"))
		up.meter = &counterMeter{quota: quota, period: period, phase: phase}
		return up, declared(quota, Window{Kind: Sliding, Period: period, Counter: true})
	case 3:
		up.meter = &slotMeter{quota: quota}
		return up, declared(quota, Window{Kind: Concurrent})
	default:
		up.limits = []trueLimit{{quota: quota, period: period, firstUse: true}}
		return up, declared(quota, Window{Kind: Fixed, Period: period, FirstUse: true})
	}
}

// The upstream refuses nothing but probes, whatever kind of window it has, if it is
// declared; whatever happens to reports on the way.
func TestPropertyNoOverGrantOfEveryKind(t *testing.T) {
	granted := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		up, limit := drawKind(t)
		w := newWorld(rapid.Uint64().Draw(t, "seed"), epoch, up, &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{limit}}, drawFaults(t))
		w.check = func() {
			if stuck := w.stuck(); stuck != "" {
				t.Fatal(stuck)
			}
		}
		if testing.Verbose() {
			w.trace = t.Logf
		}
		for range rapid.IntRange(1, 8).Draw(t, "bursts") {
			n := 1 + w.rng.IntN(60)
			w.after(w.upTo(time.Minute), func() { w.want("u", n) })
		}
		w.run(epoch.Add(2 * time.Minute))
		if w.innocent > 0 {
			t.Fatalf("%v: %d of %d calls were refused, and %d probes", limit.Window, w.innocent, w.granted, w.probes)
		}
		granted[limit.Window.String()[:6]] += w.granted
	})
	t.Log(granted)
}
