package quota

import (
	"testing"
	"time"
)

// at1 is an instant some seconds after a test's start.
func at1(seconds float64) instant { return at(at0(seconds)) }

// The curve: 0.7 of what was refused, all of it a climb later, flat there, and
// steep beyond.
func TestGovernorsCurve(t *testing.T) {
	g := governor{refusedAt: at1(0), ceiling: 1000_000, climb: 10 * time.Second}
	if g.holds(at1(0)) != 0 {
		t.Fatal("holds the first call")
	}
	g.granted(at1(0))
	for seconds, want := range map[float64]int64{0: 700_000, 5: 962_500, 10: 1_000_000, 15: 1_037_500, 20: 1_300_000, 40: 9_100_000} {
		if got := g.rate(at1(seconds)); got < want*98/100 || got > want*102/100 {
			t.Errorf("after %v s: %d, want %d", seconds, got, want)
		}
	}
	last := int64(0)
	for i := range 600 {
		rate := g.rate(at1(float64(i) / 10))
		if rate < last {
			t.Fatalf("falls to %d after %v s", rate, float64(i)/10)
		}
		last = rate
	}
	if g.over(at1(49)) || !g.over(at1(50)) {
		t.Error("is not let go after five climbs")
	}
}

// One refusal holds nothing back, nor do two that nothing passed between, nor two
// that are far apart; the second of two that are close says what the upstream
// takes, and each further one less.
func TestGovernorNeedsTwoRefusals(t *testing.T) {
	var g governor
	passes := func(seconds float64, n int) {
		for range n {
			g.heard(at1(seconds), true)
		}
	}
	g.refused(at1(0))
	g.refused(at1(1))
	if passes(700, 50); g.ceiling != 0 || g.holds(at1(2)) != 0 {
		t.Fatalf("holds to %d", g.ceiling)
	}
	g.refused(at1(700))
	if g.ceiling != 0 {
		t.Fatalf("holds to %d after 700 s", g.ceiling)
	}
	passes(705, 60)
	g.refused(at1(760)) // a call a second
	if g.ceiling != 1000 || g.rate(at1(760)) != 700 {
		t.Fatalf("holds to %d, of %d", g.rate(at1(760)), g.ceiling)
	}
	g.refused(at1(762)) // a probe; it goes on
	g.granted(at1(764))
	passes(764, 10)
	g.refused(at1(776)) // beyond what was refused
	if g.ceiling < 700 || g.ceiling > 1010 || g.climb != 2*minClimb {
		t.Fatalf("holds to %d, for %v", g.ceiling, g.climb)
	}
	passes(780, 1)
	g.refused(at1(800)) // before any went out: the rate was not tried
	if g.climb != 2*minClimb || g.origin != 0 {
		t.Fatalf("climbs for %v from %v", g.climb, g.origin)
	}
}

// Calls go at an even pace, a tenth of a second's at once.
func TestGovernorsPace(t *testing.T) {
	g := governor{refusedAt: at1(0), ceiling: 100_000, climb: maxClimb}
	sent := 0
	for i := range 10_000 {
		if now := at1(float64(i) / 1000); g.holds(now) == 0 {
			g.granted(now)
			sent++
		}
	}
	if sent < 700 || sent > 730 {
		t.Errorf("%d calls in 10 s, want 0.7 of 100 a second and few more", sent)
	}
}

// greedy makes a user want one more call each so often, up to as many.
func (w *world) greedy(user string, most int, each time.Duration) {
	if w.waiting[user] < most {
		w.want(user, 1)
	}
	w.after(each, func() { w.greedy(user, most, each) })
}

// A limit that nobody tells anything of, by windows of a minute or of a second:
// refusals become few, and nearly all of it is used. Nothing that was learned of
// the back-off is forgotten between two calls, and an upstream that refuses all
// is called once a probe: peer bug 14.
func TestGovernedWorld(t *testing.T) {
	long(t)
	for name, tc := range map[string]struct {
		limit       trueLimit
		mostRefused int
		leastUsed   int
	}{
		"100 a minute": {trueLimit{quota: 100, period: time.Minute}, 80, 5400},
		"20 a second":  {trueLimit{quota: 20, period: time.Second}, 60, 60_000},
		"refuses all":  {trueLimit{quota: 0, period: time.Minute}, 80, 0},
	} {
		t.Run(name, func(t *testing.T) {
			up := &upstream{mute: true, limits: []trueLimit{tc.limit}}
			w := newWorld(5, epoch, up, &Rules{API: "api"}, faults{rtt: 100 * time.Millisecond})
			w.greedy("u", 30, 20*time.Millisecond)
			w.run(epoch.Add(time.Hour))
			t.Logf("%d refused, %d used", up.refused, up.counted)
			if up.refused > tc.mostRefused || up.counted < tc.leastUsed {
				t.Errorf("%d refused, want at most %d; %d used, want at least %d", up.refused, tc.mostRefused, up.counted, tc.leastUsed)
			}
		})
	}
}

// A gate that nothing holds any more lets its governor go by time alone.
func TestGovernorGoesByTime(t *testing.T) {
	l := NewLedger(&Rules{API: "api", Limits: []Limit{daily(5)}}, 1)
	gate := l.gate(at(epoch), call, Parts{User: true})
	gate.doubt().governor = &governor{refusedAt: at(epoch)}
	gate.advance(at(epoch.Add(cycle)))
	if gate.governor() == nil {
		t.Error("gone while it is needed")
	}
	gate.advance(at(epoch.Add(cycle + 1)))
	if gate.governor() != nil || gate.busy() {
		t.Error("kept for ever")
	}
}

// A group of calls that is held to a rate has what it is asked for, only later: the
// denial says when, and who only asks changes nothing.
func TestGovernedDenial(t *testing.T) {
	s := newSteps(t)
	tooMuch := Answer{Verdict: Overloaded, RetryAfter: time.Second}
	s.settle(0, s.take(0), Answer{})
	s.settle(10, s.take(10), tooMuch)
	for i := range 6 { // a probe, a ramp, and what the upstream takes
		s.settle(12+float64(i), s.take(12+float64(i)), Answer{})
	}
	s.settle(20, s.take(20), tooMuch)
	s.settle(22, s.take(22), Answer{}) // a probe
	g := s.l.find(nameBackoff, call.Only(Parts{Endpoint: true}))
	if g == nil || g.governor() == nil || g.governor().ceiling != 600 {
		t.Fatalf("not governed: %+v", g)
	}
	if rate := s.l.Status(at0(22), g).Rate; rate != 420 {
		t.Errorf("shown to hold calls to %d thousandths a second, want 0.7 of what was refused", rate)
	}
	s.take(23)
	before := decisive(s.l)
	d := s.denied(23, Exhausted)
	if d.Bucket != g || !d.Firm || !d.RetryAt.After(at0(23)) || before != decisive(s.l) {
		t.Fatalf("%+v\n%s", d, diff(before, decisive(s.l)))
	}
	s.denied(d.RetryAt.Sub(epoch).Seconds()-0.001, Exhausted)
	s.take(d.RetryAt.Sub(epoch).Seconds() + 0.001)
}
