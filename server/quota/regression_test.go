package quota

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Each of these once failed; the comment says what went wrong.

// In a zone whose clocks change at midnight (America/Santiago, America/Havana,
// Atlantic/Azores; Pacific/Apia's missing day) time.Date of a midnight that does not
// exist is an hour (a day) earlier: next(t) <= t, so the bucket turns at every look.
func TestPeerBugCalendarMidnightThatDoesNotExist(t *testing.T) {
	for _, tc := range []struct{ zone, now, end string }{
		{"America/Santiago", "2026-09-06T03:30:00Z", "2026-09-06T04:00:00Z"},
		{"America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z"},
		{"America/Havana", "2026-03-08T04:30:00Z", "2026-03-08T05:00:00Z"},
		{"Atlantic/Azores", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		{"Pacific/Apia", "2011-12-29T20:00:00Z", "2011-12-30T10:00:00Z"},
		{"Africa/Cairo", "2026-04-23T21:30:00Z", "2026-04-23T22:00:00Z"},
		{"Asia/Beirut", "2026-03-28T21:30:00Z", "2026-03-28T22:00:00Z"},
	} {
		now, _ := time.Parse(time.RFC3339, tc.now)
		for _, unit := range []CalendarUnit{Day} {
			if got := (Window{Kind: Calendar, Unit: unit, Zone: zone(t, tc.zone)}).next(now).UTC().Format(time.RFC3339); got != tc.end {
				t.Errorf("%s: after %s: %s, want %s", tc.zone, tc.now, got, tc.end)
			}
		}
	}
}

func TestCalendarGapDoesNotOverGrant(t *testing.T) {
	santiago := daily(3)
	santiago.Window.Zone = zone(t, "America/Santiago")
	s := newSteps(t, santiago)
	base := time.Date(2026, 9, 6, 3, 30, 0, 0, time.UTC).Sub(epoch).Seconds() // 23:30 the evening before
	for i := range 3 {
		p := s.take(base + float64(i)) // RESERVING for the whole hour: each look begins a new window
		s.settle(base+float64(i)+0.5, p, Answer{})
	}
	s.denied(base+10, Exhausted)
}

// A turn inside the guard of the next boundary does not note what stood at lo,
// so what lapses in the same step is taken for older than lo.
func TestTurnWithinTheNextGuard(t *testing.T) {
	aligned := Limit{Name: "app", Quota: 10, Provenance: Configured, Window: Window{Kind: Fixed, Period: 3 * time.Second, Aligned: true}}
	s := stepsBy(t, &Rules{API: "api", Limits: []Limit{aligned}, SendWithin: 4500 * time.Millisecond})
	s.take(0.4) // windows end at 3, 6, …, each ± 0.15 s; it lapses at 5.9
	s.available(6.2, "app", 9)
}

// A limit that a response told of once counts every call, and is asked whether it
// can be forgotten while the very call whose answer is read is still charged to it.
func TestToldLimitIsForgottenBySettle(t *testing.T) {
	s := newSteps(t, daily(1000))
	once := numbersReset(60, 50, 2*time.Second)
	once.Observations[0].Limit = "burst"
	s.settle(0, s.take(0), once)
	for range 3 * forgetAfter {
		s.settle(10, s.take(10), numbers(1000, 900))
	}
	if len(s.l.told) != 0 {
		t.Error("never forgotten")
	}
}

// No bucket that was ever answered is idle again: asked stays true.
func TestAnsweredBucketBecomesIdle(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.settle(0, s.take(0), Answer{})
	b := s.bucketOf("day")
	b.advance(at(at0(48 * 3600)))
	s.l.Changed()
	if !b.idle() {
		t.Errorf("not idle two days later: %+v", *b)
	}
}

// A bucket held as a log never forgets n and a.
func TestLoggedBucketBecomesIdle(t *testing.T) {
	for name, w := range map[string]Window{"sliding": {Kind: Sliding, Period: 10 * time.Second}, "silent": {Kind: Fixed, Period: 10 * time.Second}} {
		s := newSteps(t, Limit{Name: "app", Quota: 10, Provenance: Configured, Window: w})
		s.settle(0, s.take(0), Answer{})
		b := s.bucketOf("app")
		b.advance(at(at0(48 * 3600)))
		s.l.Changed()
		b.asked = false // D4
		if !b.idle() {
			t.Errorf("%s: not idle two days later: %+v", name, *b)
		}
	}
}

// A call that three new buckets count waits for the store three times.
func TestReserveAllBucketsAtOnce(t *testing.T) {
	s := newSteps(t, benchLimits(3)...)
	if d := s.takeNow(0); d.Reason != Reserving {
		t.Fatal(d.Reason)
	}
	if n := len(s.l.Wanted(at0(0))); n != 3 {
		t.Errorf("%d reservations are wanted, want those of all three buckets", n)
	}
}

// Forgetting a told limit drops the buckets of other users too, whose calls are in
// flight, which cool down, or at which somebody waits.
func TestForgetKeepsOtherUsersCalls(t *testing.T) {
	s := newSteps(t, daily(1000))
	o := Observation{Limit: "burst", Says: true, Per: Parts{User: true}, Quota: 10, Remaining: 9, Reset: Reset{Known: true, After: time.Second}}
	s.l.Observe(at0(0), userScope("u1"), observed(o))
	s.mustAsk(4, Request{Scope: userScope("u2")}) // in flight; on u2's burst bucket
	s.l.Observe(at0(4.5), userScope("u2"), refused(observed(Observation{Limit: "burst", Quota: 10, Remaining: 0, Reset: Reset{Known: true, After: time.Hour}})))
	if d := s.ask(4.6, Request{Scope: userScope("u2")}); d.Reason != CoolingDown {
		t.Fatalf("u2: %v", d.Reason)
	}
	for range forgetAfter + 1 {
		s.l.Observe(at0(4.7), userScope("u1"), numbers(1000, 900))
	}
	if d := s.ask(4.8, Request{Scope: userScope("u2")}); d.Reason != CoolingDown {
		t.Errorf("u2, which cools down for an hour: %v", d.Reason)
	}
}

// A report for a lapsed permit whose bucket was dropped makes that bucket want a
// reservation for ever: nobody can confirm it.
func TestLateReportOfADroppedBucket(t *testing.T) {
	s := newSteps(t, daily(1000))
	p := s.take(0)
	s.l.Advance(at0(10)) // lapsed
	day := 48 * 3600.0
	s.l.Advance(at0(day))
	s.l.Reserved(at0(day), s.l.Wanted(at0(day)))
	s.l.Changed()
	s.l.swept = -1024
	s.l.sweep(at(at0(day)))
	if n := s.l.size; n != 0 {
		t.Fatalf("%d buckets kept: the case does not arise", n)
	}
	s.settle(day, p, Answer{})
	for range 3 {
		s.try(day, call)
		s.l.Reserved(at0(day), s.l.Wanted(at0(day)))
	}
	if w := s.l.Wanted(at0(day)); len(w) != 0 {
		t.Errorf("wanted for ever: %+v", w)
	}
}

// The same with a refusal: the cool-down goes to a bucket that nobody asks.
func TestLateRefusalOfADroppedBucket(t *testing.T) {
	s := newSteps(t, daily(1000))
	p := s.take(0)
	s.l.Advance(at0(10))
	day := 48 * 3600.0
	s.l.Advance(at0(day))
	s.l.Reserved(at0(day), s.l.Wanted(at0(day)))
	s.l.Changed()
	s.l.swept = -1024
	s.l.sweep(at(at0(day)))
	s.settle(day, p, refused(numbersReset(1000, 0, time.Hour)))
	for _, c := range s.l.cooling {
		b := c.bucket
		if s.l.find(b.rule.Name, b.Key()) != b {
			t.Errorf("a dropped %s cools down", b.Name())
		}
	}
}

// After a restart a waiter at a stored bucket that opens by time alone is not woken
// until the hold of other, unstored windows ends.
func TestHoldDelaysNobodyElse(t *testing.T) {
	user := fixed(5, time.Hour)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, daily(2), user)
	app := Scope{API: "api", App: "app"}
	start := 12*3600 - 60.0 // a minute before midnight
	full := Reservation{Limit: "day", Key: app, Began: at0(0).UnixNano(), Lo: at0(43198.5).UnixNano(), Hi: at0(43201.5).UnixNano(), Reserved: 2, Settled: 2, Quota: 2}
	s = s.successor(start, full)
	d := s.l.Take(at0(start), Request{Scope: app})
	if d.Reason != Exhausted || d.Bucket.Name() != "day" {
		t.Fatalf("%+v", d)
	}
	s.l.Queue(d.Bucket, 1)
	s.l.Opened()
	midnight := 43201.5
	s.l.Advance(at0(midnight))
	if opened := s.l.Opened(); len(opened) != 1 {
		t.Errorf("opened %v at midnight; wakes again in %v", opened, s.l.Wake(at0(midnight)).Sub(at0(midnight)))
	}
}

// A report without a permit may only tighten, but a reset that it tells is
// believed, and opens a window early.
func TestPermitlessResetDoesNotLoosen(t *testing.T) {
	s := newSteps(t, fixed(10, time.Minute))
	for range 10 {
		s.settle(0.5, s.take(0), Answer{})
	}
	s.denied(1, Exhausted)
	s.l.Observe(at0(1), call, numbersReset(10, 0, 3*time.Second))
	granted := 0
	for range 20 {
		if s.try(6, call).Allowed() {
			granted++
		}
	}
	if granted > 0 {
		t.Errorf("%d more granted 5 s later, of 10 a minute that are spent", granted)
	}
}

// A limit that the upstream calls "backoff" is charged twice.
func TestLimitNamedBackoff(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.settle(0, s.take(0), observed(Observation{Limit: nameBackoff, Quota: 10, Remaining: 9}))
	s.take(1)
	var o []string
	for _, b := range s.l.Counted(at0(1), call) {
		o = append(o, fmt.Sprint(b.Name(), " ", b.o, " ", b.gate))
	}
	if slices.Contains(o, "backoff 2 false") {
		t.Errorf("one call in flight: %v", o)
	}
}

// S7 for resets that disagree: the end depends on their order.
func TestOrderOfResetsThatDisagree(t *testing.T) {
	r := func(after time.Duration) reported {
		a := numbersReset(20, 10, after)
		a.Sent = at0(3.9)
		return reported{time.Second, a}
	}
	all := []reported{r(9 * time.Second), r(10800 * time.Millisecond), r(12600 * time.Millisecond)}
	first := numbersReset(20, 15, 14*time.Second)
	want := heard([]Limit{fixed(20, 30*time.Second)}, first, all, []int{0, 1, 2})
	for _, order := range [][]int{{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		if got := heard([]Limit{fixed(20, 30*time.Second)}, first, all, order); got != want {
			t.Errorf("%v: ends %v..%v; in order: %v..%v", order,
				got.end.lo.time().Sub(epoch), got.end.hi.time().Sub(epoch), want.end.lo.time().Sub(epoch), want.end.hi.time().Sub(epoch))
		}
	}
}

// A told limit per user does not count other users' calls in flight.
func TestToldLimitCountsOtherUsersCallsInFlight(t *testing.T) {
	s := newSteps(t, daily(1000))
	for range 8 {
		s.takeFor(0, userScope("u2"))
	}
	s.settle(0.1, s.takeFor(0, userScope("u1")), observed(Observation{Limit: "burst", Says: true, Per: Parts{User: true}, Quota: 10, Remaining: 9, Window: Window{Kind: Calendar, Unit: Hour}}))
	granted := 0
	for range 20 {
		if s.try(0.2, userScope("u2")).Allowed() {
			granted++
		}
	}
	if granted+8 > 10 {
		t.Errorf("%d granted of 10 an hour", granted+8)
	}
}

// A quota that was told to be lower than the configured one is lost in a restart.
func TestRestoreToldQuota(t *testing.T) {
	s := newSteps(t, daily(100))
	for i := range 10 {
		a := numbers(20, 19-int64(i))
		a.Observations[0].Limit = "day"
		s.settle(0.1, s.take(0), a)
	}
	if q := s.bucketOf("day").quota; q != 20 {
		t.Fatal("quota", q)
	}
	s = s.successor(1, s.records(1)...)
	granted := 0
	for range 100 {
		if s.try(1, call).Allowed() {
			granted++
		}
	}
	if granted > 10 {
		t.Errorf("%d more granted after 10 of 20", granted)
	}
}

// A permit that is due is not lapsed until Advance comes by: until then it can be
// released, with credit, though the upstream may have counted it.
func TestReleaseWhenDue(t *testing.T) {
	s := newSteps(t, daily(100))
	p := s.take(0)
	if s.l.Release(at0(60), p) {
		t.Errorf("released a minute later, with credit")
	}
}

// A bucket in which a call in flight costs nothing is idle for the sweep.
func TestSweepKeepsFreeCalls(t *testing.T) {
	tokens := Limit{Name: "tokens", Unit: "tokens", Quota: 100, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day}}
	s := newSteps(t, tokens)
	p := s.take(0) // costs no tokens
	b := s.bucketOf("tokens")
	s.l.Changed()
	s.l.swept = -1024
	s.l.sweep(at(at0(1)))
	s.settle(1, p, Answer{Costs: Costs{"tokens": 40}})
	if got := s.l.Counted(at0(1), call)[0]; got != b || got.available() != 60 {
		t.Errorf("the bucket of a call in flight was dropped: %d available, want 60", got.available())
	}
}

// A record whose window ends in a hundred years closes the bucket until then.
func TestRestoreAbsurdEnd(t *testing.T) {
	r := Reservation{Limit: "day", Key: Scope{API: "api", App: "app"}, Began: epoch.UnixNano(), Lo: epoch.AddDate(100, 0, 0).UnixNano(), Hi: epoch.AddDate(100, 0, 0).UnixNano(), Reserved: 100, Settled: 100, Quota: 100}
	s := newSteps(t, daily(100)).successor(0, r)
	if d := s.try(40*24*3600, call); !d.Allowed() {
		t.Errorf("forty days later: %v until %v", d.Reason, d.RetryAt)
	}
}

// A window that began in the future for us, because a clock was set back over a
// restart: answers count.
func TestRestoreFutureBegin(t *testing.T) {
	r := Reservation{Limit: "app", Key: Scope{API: "api", App: "app"}, Began: at0(3600).UnixNano(), Lo: at0(3605).UnixNano(), Hi: at0(3609).UnixNano(), Reserved: 5, Settled: 5, Quota: 100}
	s := newSteps(t, fixed(100, 10*time.Second)).successor(0, r)
	granted := 0
	for i := range 300 {
		if d := s.try(20, call); d.Allowed() {
			granted++
			s.settle(20, d.Permit, numbersReset(100, max(0, 99-int64(i)), 5*time.Second))
		}
	}
	if granted > 100 {
		t.Errorf("%d granted of 100", granted)
	}
}

var _ = rapid.Check

// A late answer of the window before the first one that anything was known of was
// taken for this one's. Its end then lay anywhere in two windows, and all that this
// one had counted was charged to the next.
func TestLateAnswerOfAWindowThatWasNotKnown(t *testing.T) {
	s := newSteps(t, fixed(100, 10*time.Second))
	late, next := s.take(0.8), s.take(0.9) // the upstream's window turns at 1
	s.settle(1.1, next, numbersReset(100, 99, 10*time.Second))
	ends := s.explain(1.1, "app").EndLo
	s.settle(1.2, late, numbersReset(100, 20, time.Second))
	if got := s.explain(1.2, "app").EndLo; !got.Equal(ends) {
		t.Errorf("ends at %v or later, want %v", got.Sub(epoch), ends.Sub(epoch))
	}
	for range 50 {
		s.settle(2.2, s.take(2), Answer{})
	}
	s.available(12.5, "app", 100)
}

// A reset that disagrees moves the earliest end of the window back: before what was
// noted at the old one, or before a number that covers what lies between.
func TestEndThatMayHavePassedEarlier(t *testing.T) {
	for _, covered := range []bool{false, true} {
		s := newSteps(t, declared(9, Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}))
		s.settle(0, s.take(0), numbersReset(9, 8, 6300*time.Millisecond)) // it may end from 5.3 s on
		s.settle(3, s.take(3), Answer{Unanswered: true})
		vague, left := s.take(3.2), int64(7)
		if covered {
			s.settle(4, s.take(4), numbers(9, 6))
			left-- // it, too, may be of either window
		}
		s.bucketOf("app").advance(at(at0(6)))
		s.settle(6, vague, numbersReset(9, Unknown, 0)) // or from 2.2 s on
		s.available(11, "app", left)
	}
}
