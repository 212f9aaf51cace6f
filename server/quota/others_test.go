package quota

import (
	"testing"
	"time"
)

// crowd is somebody else who calls with the same credentials: at a mean rate, but
// only while on, and then by so much more; so many calls in the same instant.
type crowd struct {
	rate    float64 // a second
	on, off time.Duration
	pack    int
}

// join lets the crowd call until the end.
func (w *world) join(c crowd) {
	if c.rate == 0 {
		return
	}
	pack := max(1, c.pack)
	busy := time.Duration(0) // time on, of which each call takes a random part
	var next func()
	next = func() {
		busy += time.Duration(w.rng.ExpFloat64() / c.rate * float64(pack) * float64(time.Second))
		begun := busy
		if c.off > 0 {
			spent := time.Duration(float64(busy) * float64(c.on) / float64(c.on+c.off))
			begun = spent + c.off*(spent/c.on) //nolint:durationcheck // so many times off
		}
		w.after(epoch.Add(begun).Sub(w.now), func() {
			for range pack {
				w.up.takeOther(w.now)
			}
			next()
		})
	}
	next()
}

// takeOther counts a call that is not the fleet's, unless the limit is spent.
func (u *upstream) takeOther(now time.Time) {
	if u.meter != nil {
		u.meter.take(now, 1)
		return
	}
	w := u.window(0, "", now)
	if w.count < u.limits[0].quota {
		w.count++
		w.taken++
	}
}

// rest is how much the fleet used of what others left of each complete window.
func (u *upstream) rest() (share float64, taken int64) {
	var ours, rest int64
	for i, n := range u.history {
		ours += n - u.taken[i]
		rest += u.limits[0].quota - u.taken[i]
		taken += u.taken[i]
	}
	return float64(ours) / float64(rest), taken
}

// visit is a fleet's demand of 25 calls a second, which is more than others leave;
// or 250 at once every window; or always more than there is.
func (w *world) visit(demand string) {
	every := func(d time.Duration, n int) {
		var next func()
		next = func() { w.want("u", n); w.after(d, next) }
		next()
	}
	switch demand {
	case "steady":
		every(40*time.Millisecond, 1)
	case "at once":
		every(10*time.Second, 250)
	default:
		w.want("u", 1<<20)
	}
}

// Fault 50: another consumer takes 30 % of the quota, evenly or in bursts. While
// the fleet has met it, few calls are refused; and it uses what others leave.
func TestFault50OthersTakeAThird(t *testing.T) {
	const windows, learning = 80, 5
	for name, c := range map[string]crowd{
		"evenly":       {rate: 9},
		"on 5 off 5":   {rate: 9, on: 5 * time.Second, off: 5 * time.Second},
		"on 1 off 4":   {rate: 9, on: time.Second, off: 4 * time.Second},
		"nine at once": {rate: 9, pack: 9},
	} {
		for _, demand := range []string{"saturating", "steady", "at once"} {
			if testing.Short() && demand != "steady" {
				continue // the longer half
			}
			t.Run(name+", "+demand, func(t *testing.T) {
				limit := trueLimit{quota: 300, period: 10 * time.Second, phase: 3 * time.Second}
				up := &upstream{limits: []trueLimit{limit}}
				w := newWorld(1, epoch, up, &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{fixed(300, 10*time.Second)}},
					faults{rtt: 100 * time.Millisecond})
				w.join(c)
				w.visit(demand)
				w.run(epoch.Add(learning * limit.period))
				granted, refused := w.granted, w.innocent+w.probes
				w.run(epoch.Add(windows * limit.period))
				granted, refused = w.granted-granted, w.innocent+w.probes-refused
				share, taken := up.rest()
				t.Logf("%d of %d refused, %.3f of the rest used, others took %d of %d windows", refused, granted, share, taken, len(up.history))
				if taken == 0 || granted < 5000 || refused*1000 > granted || share < 0.95 {
					t.Errorf("%d of %d refused, want at most one in a thousand; %.3f of the rest used, want 0.95; others took %d",
						refused, granted, share, taken)
				}
			})
		}
	}
}

// What others take is shown: in this window, and today.
func TestOthersAreShown(t *testing.T) {
	monthly := daily(1000)
	monthly.Window.Unit = Month
	s := newSteps(t, monthly)
	shown := func(sec float64, window, today int64) {
		t.Helper()
		b := s.bucketOf("day")
		if st := s.l.Status(at0(sec), b); st.Others != window || st.OthersToday != today {
			t.Errorf("at %v: %d in this window, %d today, want %d and %d", sec, st.Others, st.OthersToday, window, today)
		}
	}
	s.settle(1, s.take(0), numbers(1000, 899)) // a hundred before we came
	shown(1, 0, 0)
	s.settle(3, s.take(2), numbers(1000, 878))
	shown(3, 20, 20)
	s.settle(4, s.take(3.5), Answer{}) // says nothing
	shown(4, 20, 20)
	day := 24 * 3600.0
	shown(day, 20, 0)
	s.settle(day+1, s.take(day), numbers(1000, 870))
	shown(day+1, 26, 6)
}

// A bogus number is nobody's use until a second one says so too.
func TestDoubtfulNumbersAreNobodys(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.settle(1, s.take(0), numbers(1000, 999))
	s.settle(3, s.take(2), numbers(1000, 400))
	b := s.bucketOf("day")
	if st := s.l.Status(at0(3), b); st.Others != 0 || st.OthersToday != 0 {
		t.Errorf("%d of others, %d today, by one doubtful number", st.Others, st.OthersToday)
	}
	s.settle(5, s.take(4), numbers(1000, 399))
	if st := s.l.Status(at0(5), b); st.Others != 598 || st.OthersToday != 598 {
		t.Errorf("%d of others, %d today, and two numbers say so", st.Others, st.OthersToday)
	}
	s = newSteps(t, daily(10000))
	s.settle(1, s.take(0), numbers(10000, 9999))
	s.settle(3, s.take(2), numbers(10000, 9970))
	before := s.explain(3, "day").Sudden
	for i, left := range []int64{5000, 9969, 9968} { // the first is bogus
		s.settle(float64(5+2*i), s.take(float64(4+2*i)), numbers(10000, left))
	}
	if e := s.explain(9, "day"); e.Sudden != before {
		t.Errorf("others may take %d at once by a number that proved false, %d before", e.Sudden, before)
	}
}

// What others take in a window is what they took in the last few, fading; and what is
// left to them at the end falls by half with each time that it has long cost nothing.
func TestOthersFade(t *testing.T) {
	var d drift
	d.see(0, 80)
	for _, want := range []int64{80, 69, 60} {
		d.turn()
		if d.others() != 0 || d.rate() != want {
			t.Errorf("%d in a new window, at a rate of %d, want 0 and %d", d.others(), d.rate(), want)
		}
	}
	for _, want := range []int64{1, 2, 4, 5, 5} {
		if d.refused(5 * mostFloor); d.floor != want {
			t.Errorf("%d is left to others after a refusal, want %d", d.floor, want)
		}
	}
	for i := range 2 * calmAfter {
		if want := []int64{5, 2, 1}[i/calmAfter]; d.floor != want {
			t.Fatalf("%d is left to others after %d calm answers, want %d", d.floor, i, want)
		}
		d.rest()
	}
}

// The last units that others may take before a call arrives go a few at a time, so
// that each answer tells what others took.
func TestLittleInFlightNearTheEnd(t *testing.T) {
	s := newSteps(t, fixed(800, time.Hour))
	s.settle(0.1, s.take(0), numbersReset(800, 799, 30*time.Minute))
	s.settle(0.3, s.take(0.2), numbers(800, 758)) // forty of others' at once
	s.settle(0.5, s.take(0.4), numbers(800, 720))
	s.available(0.5, "app", 720)
	granted := 0
	for s.try(0.6, call).Allowed() {
		granted++
	}
	e := s.explain(0.6, "app")
	if e.Sudden != 60 || e.Rate == 0 || int64(granted) != 720-e.Sudden {
		t.Fatalf("%d granted, of 720 that remain: %+v", granted, e)
	}
	b := s.bucketOf("app")
	for b.o > 0 {
		for p := range s.l.permits.all {
			s.settle(0.7, p, numbers(800, b.m-1))
			break
		}
	}
	for b.o == 0 && b.m > e.Theirs+1 {
		s.l.Advance(at0(0.8))
		granted = 0
		for s.try(0.8, call).Allowed() {
			granted++
		}
		if most := max(1, b.m/tapers); int64(granted) > most || granted == 0 {
			t.Fatalf("%d in flight of %d that remain, want at most %d", granted, b.m, most)
		}
		for p := range s.l.permits.all {
			s.settle(0.8, p, numbers(800, b.m-1))
		}
		e = s.explain(0.8, "app")
	}
}

// An old number begins nothing near the end: others may have taken the rest since.
func TestOldNumberNearTheEnd(t *testing.T) {
	s := newSteps(t, fixed(800, time.Hour))
	s.settle(0.1, s.take(0), numbersReset(800, 799, time.Minute))
	s.settle(0.3, s.take(0.2), numbers(800, 758)) // forty of others' at once
	for b := s.bucketOf("app"); b.m > 50; {
		s.settle(1, s.take(1), numbers(800, b.m-1))
	}
	s.settle(1.1, s.take(1), numbers(800, 49))
	s.denied(2.2, Exhausted)
	s.take(63) // the next window
}

// Nor does it matter that calls have no endpoint, and that one reported what it took:
// others are still told from them.
func TestOthersBesideCallsWithoutEndpoint(t *testing.T) {
	points := Limit{Name: "points", Quota: 1000, Unit: "points", Window: Window{Kind: Fixed, Period: time.Hour, Aligned: true}, Provenance: Configured}
	l := NewLedger(&Rules{API: "api", Limits: []Limit{points}}, 1)
	r := Request{Scope: Scope{API: "api", App: "app"}, Costs: Costs{"points": 10}}
	answer := func(left int64) Answer {
		a := numbers(1000, left)
		a.Observations[0].Unit, a.Costs = "points", Costs{"points": 10}
		return a
	}
	l.Settle(epoch.Add(time.Second), granted(t, l, epoch, r), answer(990))
	l.Settle(epoch.Add(2*time.Second), granted(t, l, epoch.Add(time.Second), r), answer(950))
	if st := l.Status(epoch.Add(2*time.Second), l.find("points", Scope{API: "api", App: "app"})); st.Others != 30 {
		t.Errorf("others took %d, want 30", st.Others)
	}
}

// A call that takes nothing of a bucket leaves others all that there is.
func TestOthersAreLeftWhatACallDoesNotTake(t *testing.T) {
	s := newSteps(t, declared(20, Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}))
	s.released(0, s.take(0))
	s.settle(12, s.take(12), numbersReset(20, 10, 8*time.Second)) // nine were others'
	s.settle(13, s.take(13), numbersReset(20, 0, 7*time.Second))
	b := s.bucketOf("app")
	if b.drift() == nil {
		t.Fatal("others were not seen")
	}
	s.denied(13, Exhausted)
	if d := s.ask(13, Request{Scope: call, Costs: Costs{Requests: 0}}); !d.Allowed() {
		t.Errorf("denied: %v", d.Reason)
	}
}

// That a refusal meant the bucket that was expected to be empty is a guess, and no
// evidence of others who took the rest.
func TestPredictedRefusalShowsNoOthers(t *testing.T) {
	window := Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}
	s := newSteps(t, declared(100, window), Limit{Name: "user", Per: Parts{User: true}, Quota: 4, Provenance: Configured, Window: window})
	s.released(0, s.take(0))
	calls := []*Permit{s.take(12), s.take(12), s.take(12)}
	s.settle(12.1, calls[0], each(numbers(3, 2), "user"))
	s.settle(12.2, calls[1], Answer{})
	s.settle(12.3, calls[2], Answer{Verdict: Refused})
	if b := s.bucketOf("user"); b.tally.Refused[Predicted] != 1 || b.foreign() != 0 || b.drift() != nil {
		t.Errorf("predicted %d, others %d, %+v", b.tally.Refused[Predicted], b.foreign(), b.drift())
	}
}
