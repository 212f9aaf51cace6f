package quota

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"
)

// What an upstream, a clock and a network can do to the core, by the numbers of the
// fault matrix. Rows that have a test under a name of its own:
//
//	18     TestRestoreFutureBegin, TestRestoreAbsurdEnd
//	24     TestLapseNoticedLate, TestPropertyNoOverGrant
//	26     TestPropertyInvariants (what is reported twice), TestPropertyOrderOfReports
//	27     TestPropertyOrderOfReports
//	28     TestPeerBugLateReportGivesNoCredit, TestLateAnswerOfTheLastWindow
//	30     TestPermitEndsOnce, TestReleaseCredits
//	32     TestPermitLapses
//	33     TestCostsValidate, TestTooLarge
//	34     TestToldLimitsAreBounded, TestRoutesAreBounded
//	35, 36 trust_test.go
//	41     TestRiseNeedsASecondAnswer, TestQuotaIsTold
//	46     bare_test.go, whose_test.go
//	49     weight_test.go, less_test.go
//	50     others_test.go
//	51     kind_test.go, refill_test.go, slots_test.go
//
// Rows 17, 22, 29 and 31 are the broker's, 37 to 39 the dialects'.

// sole is a world with one limit, whose fleet always wants more.
func sole(quota int64, w Window, l trueLimit, f faults) *world {
	l.quota = quota
	rules := &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{{Name: "app", Quota: quota, Window: w, Provenance: Configured}}}
	world := newWorld(11, epoch.Add(l.period/3), &upstream{limits: []trueLimit{l}}, rules, f)
	world.want("u", 1<<20)
	return world
}

// used is the share of the complete windows' quota that was used.
func (u *upstream) used() float64 {
	sum := int64(0)
	for _, n := range u.history {
		sum += n
	}
	return float64(sum) / float64(int64(len(u.history))*u.limits[0].quota)
}

// holds checks what a world must have kept: nobody refused, and so much used.
func (w *world) holds(t *testing.T, windows int, used float64) {
	t.Helper()
	t.Logf("%d granted, %d died, %d windows, %.3f used", w.granted, w.dead, len(w.up.history), w.up.used())
	if w.innocent+w.probes > 0 || len(w.up.history) < windows || w.up.used() < used {
		t.Errorf("%d refused and %d probes, %.3f of %d windows used, want none and %.2f",
			w.innocent, w.probes, w.up.used(), len(w.up.history), used)
	}
}

// Fault 19: the clock is a day ahead after a restart, so that a window seems over
// that is not: one call asks before the rest goes.
func TestFault19ClockADayAheadAfterARestart(t *testing.T) {
	s := newSteps(t, daily(100))
	for range 50 {
		s.settle(0.1, s.take(0), Answer{})
	}
	records := s.records(1)
	s = s.successor(24*3600+1, records...)
	probe := s.take(24*3600 + 1)
	s.denied(24*3600+1.1, Probing)
	s.settle(24*3600+1.2, probe, numbers(100, 49))
	if left := s.bucketOf("day").available(); left > 49 || left < 40 {
		t.Errorf("%d available, want 49 less what was on its way", left)
	}
}

// Fault 20: the zone of the process changes nothing, on days on which its clocks
// change least of all.
func TestFault20ZoneOfTheProcess(t *testing.T) {
	was := time.Local
	defer func() { time.Local = was }()
	for _, day := range []string{"2026-03-08", "2026-04-05", "2011-12-30", "2026-03-29", "2026-11-01"} {
		began, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		var hashes []string
		for _, name := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Europe/Kyiv"} {
			time.Local = zone(t, name)
			hash, events := sha256.New(), 0
			up := &upstream{limits: []trueLimit{{quota: 40, period: time.Hour}}}
			rules := &Rules{API: "api", Limits: []Limit{{Name: "app", Quota: 40, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Hour}}}}
			w := newWorld(5, began.Add(-3*time.Hour).Local(), up, rules, faults{rtt: time.Second, loseHeaders: 0.5, dieAfter: 0.1})
			w.trace = func(format string, args ...any) { events++; fmt.Fprintf(hash, format, args...) }
			w.want("u", 1<<20)
			w.run(began.Add(3 * time.Hour))
			if events < 200 || w.innocent > 0 {
				t.Errorf("%s: %d events, %d refused", name, events, w.innocent)
			}
			hashes = append(hashes, fmt.Sprintf("%x", hash.Sum(nil)))
		}
		if len(slices.Compact(hashes)) != 1 {
			t.Errorf("%s: not the same everywhere", day)
		}
	}
}

// Fault 21: a day that ends at midnight by a clock up to 1.4 s from ours, around the
// end of a leap year's February, of an upstream that tells nothing.
func TestFault21MidnightByAnotherClock(t *testing.T) {
	for _, skew := range []time.Duration{-1400 * time.Millisecond, 0, 1400 * time.Millisecond} {
		const day = 24 * time.Hour
		limit := trueLimit{quota: 300, period: day, phase: (skew + day) % day}
		w := sole(300, Window{Kind: Calendar, Unit: Day}, limit, faults{rtt: 100 * time.Millisecond, loseHeaders: 1})
		w.now = time.Date(2028, 2, 27, 20, 0, 0, 0, time.UTC)
		w.run(time.Date(2028, 3, 4, 20, 0, 0, 0, time.UTC))
		w.holds(t, 4, 0.99)
	}
}

// Fault 23: the machine is suspended, so that our clock stops for half a minute:
// windows look longer, never shorter.
func TestFault23OurClockStops(t *testing.T) {
	w := sole(100, Window{Kind: Fixed, Period: 10 * time.Second}, trueLimit{period: 10 * time.Second, phase: time.Second}, faults{rtt: 100 * time.Millisecond})
	stops := 0
	var stop func()
	stop = func() {
		stops++
		w.up.ahead += 7 * time.Second // the upstream's went on meanwhile
		w.after(40*time.Second, stop)
	}
	w.after(25*time.Second, stop)
	w.run(epoch.Add(5 * time.Minute))
	if w.holds(t, 25, 0.75); stops < 5 {
		t.Errorf("the clock stopped %d times", stops)
	}
}

// Fault 25: three reports in ten are lost, or all of them. What was sent is spent,
// and what is not heard of is not held for ever.
func TestFault25ReportsLost(t *testing.T) {
	minute := trueLimit{period: time.Minute, phase: 7 * time.Second}
	w := sole(600, Window{Kind: Fixed, Period: time.Minute}, minute, faults{rtt: 100 * time.Millisecond, dieAfter: 0.3})
	w.run(epoch.Add(20 * time.Minute))
	// A quarter of the quota that lapsed unheard is asked after by a probe.
	if w.innocent > 0 || w.probes > 2*len(w.up.history) || w.up.used() < 0.95 || w.dead < 1000 {
		t.Errorf("%d reports were lost; %d refused and %d probes in %d windows, %.3f used", w.dead, w.innocent, w.probes, len(w.up.history), w.up.used())
	}
	w = sole(600, Window{Kind: Calendar, Unit: Hour}, trueLimit{period: time.Hour}, faults{rtt: 100 * time.Millisecond, dieAfter: 1})
	w.waiting["u"] = 2000
	w.run(epoch.Add(10 * time.Hour))
	w.ledger.Advance(w.now.Add(2*time.Second + Flight))
	w.ledger.Buckets(Scope{})(func(b *Bucket) bool {
		if b.o != 0 || b.flying != 0 {
			t.Errorf("%s: %d are outstanding", b.Name(), b.o)
		}
		return true
	})
	if w.innocent > 0 || w.dead == 0 {
		t.Errorf("%d refused, %d reports lost", w.innocent, w.dead)
	}
}

// Fault 40: a limit that shrinks in mid-window to less than is used: nothing more is
// granted in it, and never less than nothing is shown.
func TestFault40LimitShrinksInMidWindow(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	for i := range 50 {
		s.settle(1, s.take(1), numbersReset(100, 99-int64(i), 50*time.Minute))
	}
	cut := numbersReset(20, 0, 50*time.Minute)
	cut.Observations[0].Limit = "app"
	s.settle(2, s.take(2), cut)
	for sec := 2.0; sec < 3000; sec += 97 {
		s.denied(sec, Exhausted)
		if st := s.l.Status(at0(sec), s.bucketOf("app")); st.Remaining != 0 || st.Quota != 20 {
			t.Fatalf("at %v: %+v", sec, st)
		}
	}
	granted := 0
	for s.try(3010, call).Allowed() {
		granted++
	}
	if granted != 20 {
		t.Errorf("%d granted in the next window, want 20", granted)
	}
}

// Fault 42: three answers in ten come from nodes that have not heard of the last
// five calls.
func TestFault42NodesThatLag(t *testing.T) {
	w := sole(300, Window{Kind: Fixed, Period: 10 * time.Second}, trueLimit{period: 10 * time.Second, phase: 3 * time.Second}, faults{rtt: 100 * time.Millisecond, loseHeaders: 0.1})
	lagged := 0
	w.distort = func(_ string, a *Answer) {
		if len(a.Observations) > 0 && w.chance(0.3) && a.Verdict == Passed {
			lagged++
			a.Observations[0].Remaining = min(300, a.Observations[0].Remaining+5)
		}
	}
	w.run(epoch.Add(210 * time.Second))
	if w.holds(t, 15, 0.95); lagged < 1000 {
		t.Errorf("%d answers lagged", lagged)
	}
}

// Fault 43: each answer's reset is up to two seconds off, either way.
func TestFault43ResetsThatJitter(t *testing.T) {
	w := sole(300, Window{Kind: Fixed, Period: 20 * time.Second}, trueLimit{period: 20 * time.Second, phase: 3 * time.Second}, faults{rtt: 100 * time.Millisecond})
	off := 0
	w.distort = func(_ string, a *Answer) {
		r := &a.Observations[0].Reset
		r.After = max(0, r.After+w.upTo(4*time.Second)-2*time.Second)
		off++
	}
	w.run(epoch.Add(410 * time.Second))
	if w.holds(t, 15, 0.95); off < 1000 {
		t.Errorf("%d resets were off", off)
	}
}

// Fault 44: resets that are absent, now, past, or ten years away.
func TestFault44AbsurdResets(t *testing.T) {
	w := sole(300, Window{Kind: Fixed, Period: 10 * time.Second}, trueLimit{period: 10 * time.Second, phase: 3 * time.Second}, faults{rtt: 100 * time.Millisecond})
	absurd := 0
	w.distort = func(_ string, a *Answer) {
		r := &a.Observations[0].Reset
		switch roll := w.rng.IntN(10); roll {
		case 0:
			*r = Reset{}
		case 1:
			r.After = 10 * 365 * 24 * time.Hour
		case 2:
			r.After = -time.Hour
		default:
			return
		}
		absurd++
	}
	w.run(epoch.Add(210 * time.Second))
	if w.holds(t, 15, 0.95); absurd < 1000 {
		t.Errorf("%d resets were absurd", absurd)
	}
}

// Fault 45: more remaining than the limit counts as the limit; nothing left on an
// answer that passed is obeyed; a limit of nothing is asked again, ever more slowly.
func TestFault45NumbersThatDisagree(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	more := numbersReset(50, 80, time.Minute)
	more.Observations[0].Limit = "app"
	s.settle(0, s.take(0), more)
	s.available(0, "app", 49)

	s = newSteps(t, Limit{Name: "app", Quota: 0})
	s.settle(0, s.take(0), numbers(0, 0))
	s.denied(0, Exhausted)
	now := 0.0
	for _, gap := range []float64{1, 2, 4, 8, 16, 32, 60, 60} {
		s.denied(now+gap-0.001, Exhausted)
		now += gap
		s.settle(now, s.take(now), numbers(0, 0))
		s.denied(now, Exhausted)
	}
}

// Fault 47: a hundred calls in flight are told to wait, each for another time: one
// cool-down begins, and it lasts as long as the longest.
func TestFault47AHundredRefusalsAreOne(t *testing.T) {
	s := newSteps(t, daily(1000))
	var flight []*Permit
	for range 100 {
		flight = append(flight, s.take(0))
	}
	for i, p := range flight {
		s.settle(1, p, wait(time.Duration(10+i*37%100)*time.Second))
		s.denied(1, CoolingDown)
	}
	for limit, tally := range s.l.Tallies {
		if limit == nameBackoff && tally.Cooldowns != 1 {
			t.Errorf("%d cool-downs began", tally.Cooldowns)
		}
	}
	if n := len(s.l.Revoked()); n != 1 {
		t.Errorf("%d revocations", n)
	}
	s.retryAt(s.denied(109.9, CoolingDown), 110)
	s.take(110)
}

// Fault 48: calls that time out, or whose connection breaks, may have been counted
// or not: they stay spent.
func TestFault48WhoseAnswerIsLost(t *testing.T) {
	w := sole(300, Window{Kind: Fixed, Period: 10 * time.Second}, trueLimit{period: 10 * time.Second, phase: 3 * time.Second},
		faults{rtt: 100 * time.Millisecond, dieBefore: 0.1})
	broken := 0
	w.distort = func(_ string, a *Answer) {
		if a.Unanswered = w.chance(0.2); a.Unanswered {
			broken++
		}
	}
	w.run(epoch.Add(210 * time.Second))
	if w.holds(t, 15, 0.85); broken < 500 || w.dead < 100 {
		t.Errorf("%d broke, %d were never sent", broken, w.dead)
	}
}
