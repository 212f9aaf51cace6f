package quota

import (
	"testing"
	"time"
)

// oracle is one of the upstreams by whose answers its kind is to be found out.
type oracle struct {
	meter  func() meter
	limits []trueLimit
	quota  int64
	rate   float64
}

const oraclePeriod = 10 * time.Second

func oracles() map[string]oracle {
	return map[string]oracle{
		"aligned":       {nil, []trueLimit{{quota: 100, period: oraclePeriod}}, 100, 10},
		"phase":         {nil, []trueLimit{{quota: 100, period: oraclePeriod, phase: 3 * time.Second}}, 100, 10},
		"first use":     {nil, []trueLimit{{quota: 100, period: oraclePeriod, firstUse: true}}, 100, 10},
		"sliding, next": {func() meter { return &slidingMeter{quota: 100, period: oraclePeriod} }, nil, 100, 10},
		"sliding, all":  {func() meter { return &slidingMeter{quota: 100, period: oraclePeriod, newest: true} }, nil, 100, 10},
		"counter":       {func() meter { return &counterMeter{quota: 100, period: oraclePeriod} }, nil, 100, 10},
		"gcra, all":     {func() meter { return &gcra{each: oraclePeriod / 100, burst: 100} }, nil, 100, 10},
		"gcra, next":    {func() meter { return &gcra{each: oraclePeriod / 100, burst: 100, next: true} }, nil, 100, 10},
		"slow, all":     {func() meter { return &gcra{each: time.Second, burst: 10} }, nil, 10, 1},
		"slow, next":    {func() meter { return &gcra{each: time.Second, burst: 10, next: true} }, nil, 10, 1},
	}
}

// found is what the bucket that the upstream tells of shows.
func (w *world) found() (Finding, *Bucket) {
	for b := range w.ledger.Buckets(Scope{}) {
		if f := b.finds(at(w.now)); f != (Finding{}) {
			return f, b
		}
	}
	return Finding{}, nil
}

// Faults, row 51: a window that nobody declared is refused at most once in each, and
// not any more once its kind is known; whether the quota is configured or not.
func TestFaultUndeclaredKinds(t *testing.T) {
	for name, o := range oracles() {
		for _, quota := range []int64{0, o.quota} {
			for _, steady := range []bool{false, true} {
				limit := declared(quota, Window{})
				if quota == 0 {
					limit.Provenance = Nobody
				}
				tc := kindCase{declared: limit, meter: o.meter, limits: o.limits, faults: faults{rtt: 100 * time.Millisecond}, rate: o.rate, steady: steady}
				w, share := tc.play(5, 10*oraclePeriod)
				early := w.up.refused
				w.run(w.now.Add(10 * oraclePeriod))
				f, _ := w.found()
				t.Logf("%-13s quota %3d, steady %-5v: %.3f used, refused %d and then %d; found %v, %.2f", name, quota, steady, share, early, w.up.refused-early, f.Window, f.Confidence)
				if early > 12 || w.up.refused > early || f == (Finding{}) {
					t.Errorf("%s: refused %d in 12 windows and %d in 10; found %v", name, early, w.up.refused-early, f)
				}
			}
		}
	}
}

// What answers show is what the upstream does, once demand is such that kinds
// differ at all.
func TestFindings(t *testing.T) {
	all := oracles()
	for _, tc := range []struct {
		name     string
		declared Window
		want     Window
		each     time.Duration // of a refill
	}{
		{"phase", Window{}, Window{Kind: Fixed, Period: oraclePeriod}, 0},
		{"phase", Window{Kind: Fixed, Period: oraclePeriod}, Window{Kind: Fixed, Period: oraclePeriod}, 0},
		{"aligned", Window{Kind: Fixed, Period: oraclePeriod}, Window{Kind: Fixed, Period: oraclePeriod}, 0},
		{"sliding, next", Window{}, Window{Kind: Sliding, Period: oraclePeriod}, 0},
		{"counter", Window{}, Window{Kind: Sliding, Period: oraclePeriod}, 0},
		{"counter", Window{Kind: Fixed, Period: oraclePeriod}, Window{Kind: Sliding, Period: oraclePeriod}, 0},
		{"gcra, all", Window{}, Window{Kind: Refill, Burst: 100}, 100 * time.Millisecond},
		{"gcra, next", Window{}, Window{Kind: Refill, Burst: 100}, 100 * time.Millisecond},
		{"slow, all", Window{}, Window{Kind: Refill, Burst: 10}, time.Second},
		{"slow, next", Window{}, Window{Kind: Refill, Burst: 10}, time.Second},
	} {
		o := all[tc.name]
		play := kindCase{declared: declared(o.quota, tc.declared), meter: o.meter, limits: o.limits, faults: faults{rtt: 100 * time.Millisecond}, rate: o.rate, steady: true}
		w, _ := play.play(5, 20*oraclePeriod)
		f, _ := w.found()
		got := f.Window
		t.Logf("%s: %v, %.2f", tc.name, got, f.Confidence)
		if tc.each > 0 {
			if got.Period < tc.each*9/10 || got.Period > tc.each*11/10 {
				t.Errorf("%s: a unit comes back in %v, want %v", tc.name, got.Period, tc.each)
			}
			got.Period = 0
		}
		if got != tc.want || f.Confidence <= 0.5 || f.Confidence >= 1 {
			t.Errorf("%s, declared %v: found %v, %.2f, want %v", tc.name, tc.declared, f.Window, f.Confidence, tc.want)
		}
	}
}

// minutes plays windows of a minute, each with a call at each of the offsets after
// the one before ended, or after a pause.
func minutes(t *testing.T, limit Limit, ends func(first float64) float64, pauses ...float64) Finding {
	s := newSteps(t, limit)
	now := 60.0
	for _, pause := range pauses {
		now += pause
		end := ends(now)
		for i := range 5 {
			at := now + float64(i)
			s.settle(at+0.1, s.take(at), numbersReset(10, int64(9-i), time.Duration((end-at-0.05)*float64(time.Second)).Round(time.Second)))
		}
		now = end + 1.2
	}
	return s.bucketOf("app").finds(at(at0(now)))
}

// Windows that begin at their first use are told from those that begin by the clock
// by pauses in between.
func TestFindingsByPauses(t *testing.T) {
	limit := declared(10, Window{Kind: Fixed, Period: time.Minute})
	pauses := []float64{0, 7, 31, 12, 55, 20, 3}
	first := minutes(t, limit, func(now float64) float64 { return now + 60 }, pauses...)
	if w := (Window{Kind: Fixed, Period: time.Minute, FirstUse: true}); first.Window != w || first.Confidence <= 0.5 {
		t.Errorf("found %v, want %v", first, w)
	}
	clock := func(now float64) float64 { return float64(int(now/60)+1) * 60 }
	aligned := minutes(t, limit, clock, pauses...)
	if w := (Window{Kind: Fixed, Period: time.Minute, Aligned: true}); aligned.Window != w || aligned.Confidence <= 0.5 {
		t.Errorf("found %v, want %v", aligned, w)
	}
}

// Where the kind is declared, or no number was ever told, nothing is found out; and a
// turn that answers have proved twice is believed without asking.
func TestNothingToFind(t *testing.T) {
	for _, limit := range []Limit{daily(100), leaky(), declared(9, Window{Kind: Fixed, Period: time.Minute, FirstUse: true}), declared(9, Window{Kind: Sliding, Period: time.Minute})} {
		s := newSteps(t, limit)
		s.settle(0.1, s.take(0), numbersReset(limit.holds(), 7, 30*time.Second))
		if b := s.bucketOf(limit.Name); b.finds(at(at0(1))) != (Finding{}) || b.found() != nil {
			t.Errorf("%v: found %v", limit.Window, b.finds(at(at0(1))))
		}
	}
	s := newSteps(t, declared(10, Window{}))
	s.settle(0.1, s.take(0), Answer{})
	if f := s.bucketOf("app").finds(at(at0(1))); f != (Finding{}) {
		t.Errorf("nothing was told, and found %v", f)
	}
}

// A call that asks may die: the next asks a second later.
func TestAskingIsPaced(t *testing.T) {
	s := newSteps(t, declared(10, Window{}))
	for i := range 5 {
		s.settle(0.1, s.take(0), numbersReset(10, int64(9-i), 10*time.Second))
	}
	s.take(12)
	d := s.denied(12.1, Probing)
	s.retryAt(d, 13)
	p := s.take(13)
	s.denied(13.1, Probing)
	s.settle(13.2, p, numbersReset(10, 8, 9*time.Second))
	for range 7 {
		s.take(13.2)
	}
	s.denied(13.2, Exhausted)
}

// policy is an answer that tells a limit by its name, with the length of its windows.
func policy(remaining int64, reset time.Duration) Answer {
	a := each(numbersReset(10, remaining, reset), "policy")
	a.Observations[0].Window = Window{Kind: Fixed, Period: 10 * time.Second}
	return a
}

// An upstream that tells how long a window is does not say that all is back at its end:
// its first turns ask, and those after calls were refused that our own count left room
// for, however many there were before; one that is declared asks nothing.
func TestToldWindowsAskAtTheirTurns(t *testing.T) {
	s := newSteps(t)
	open := func(sec float64, want bool) {
		t.Helper()
		p := s.take(sec)
		if !want {
			s.denied(sec, Probing)
		} else {
			s.settle(sec+0.1, s.take(sec), policy(8, 9*time.Second))
		}
		s.settle(sec+0.2, p, policy(9, 9*time.Second))
	}
	s.settle(0.1, s.take(0), policy(9, 10*time.Second))
	open(11.5, false)
	open(22, false)
	open(33, true)
	s.settle(34.1, s.take(34), refused(policy(0, 8*time.Second)))
	open(44, false)
	if b := s.bucketOf("policy"); b.state != Ramping {
		t.Errorf("%v after a refusal that came too early, want a probe and a ramp", b.state)
	}
	declared := newSteps(t, Limit{Name: "policy", Quota: 10, Provenance: Configured, Window: Window{Kind: Fixed, Period: 10 * time.Second}})
	declared.settle(0.1, declared.take(0), policy(9, 10*time.Second))
	declared.take(11.5)
	declared.take(11.5)
}
