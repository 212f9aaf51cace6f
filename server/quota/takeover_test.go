package quota

import (
	"testing"
	"time"
)

// A long window of which nothing is recorded is not waited out where the upstream tells
// what remains of it: once no permit of the earlier owner can be on its way one call asks.
func TestTakeoverAsks(t *testing.T) {
	const hold = 2 + 1 // until the earlier owner's permits have lapsed
	for name, tc := range map[string]struct {
		answer Answer
		opens  float64 // until when it is closed
		left   int64
	}{
		"it tells what remains":    {numbersReset(50, 30, time.Minute), hold + 1, 29},
		"and not when it ends":     {numbers(50, 30), hold + 1, 29},
		"it tells nothing":         {Answer{}, hold + 3600, 48},
		"nobody knows what became": {Answer{Unanswered: true}, hold + 1, 48},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, fixed(50, time.Hour)).successor(0)
			s.retryAt(s.denied(1, Exhausted), hold)
			p := s.take(hold)
			s.retryAt(s.denied(hold+0.5, Probing), hold+1)
			s.settle(hold+0.6, p, tc.answer)
			if tc.opens > hold+1 {
				s.retryAt(s.denied(hold+1, Exhausted), tc.opens)
			}
			s.take(tc.opens)
			s.available(tc.opens, "app", tc.left)
		})
	}
}

// A window of a minute is waited out without asking.
func TestTakeoverWaitsForAMinute(t *testing.T) {
	for period, retry := range map[time.Duration]float64{time.Minute: 2 + 1 + 60, time.Minute + 1: 2 + 1} {
		s := newSteps(t, fixed(50, period)).successor(0)
		s.retryAt(s.denied(1, Exhausted), retry)
	}
}

// What is recorded of a window while nobody knows what an earlier owner granted of it
// would be taken for all there is by the next: there is nothing recorded.
func TestTakeoverRecordsNothing(t *testing.T) {
	s := newSteps(t, learnDay(false)).successor(0)
	s.retryAt(s.denied(0, Exhausted), 2+1)
	s.l.Observe(at0(1), call, numbers(5, 3))
	if b := s.bucketOf("day"); b.quota != 5 || b.stored() {
		t.Fatalf("quota %d, stored %v", b.quota, b.stored())
	}
	s = s.successor(2, s.records(2)...)
	s.retryAt(s.denied(2, Exhausted), 2+2+1)
}

// Reports of calls that an earlier owner granted do not tell where a window turns.
func TestObserveTellsNoPhase(t *testing.T) {
	s := newSteps(t, fixed(5, 10*time.Second)).successor(0)
	s.l.Observe(at0(1), call, numbersReset(5, 3, 8*time.Second))
	s.l.Observe(at0(1.1), call, numbersReset(5, 2, 9*time.Second))
	if b := s.bucketOf("app"); !b.logged() {
		t.Error("it is not held as a log any more")
	}
	s.retryAt(s.denied(2, Exhausted), 2+1+10)
}

// A report that says neither when its call was sent nor when it was answered may be old:
// its reset does not say that the window cannot end before.
func TestObserveOfLongAgo(t *testing.T) {
	s := newSteps(t, declared(9, Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}))
	s.settle(0, s.take(0), numbersReset(9, 8, 9*time.Second))
	s.l.Observe(at0(5), call, numbersReset(9, 8, 9*time.Second))
	if b := s.bucketOf("app"); b.end.lo > at(at0(9.5)) {
		t.Errorf("ends from %v on", b.end.lo.time().Sub(epoch))
	}
}

// A number that shows more taken than our calls explain may turn out false. It is not
// recorded as settled: permits that are granted then would be forgotten with a crash.
func TestDoubtfulNumberIsNotSettled(t *testing.T) {
	for _, limit := range []Limit{daily(100), declared(100, Window{})} {
		s := newSteps(t, limit)
		s.settle(0, s.take(0), numbers(100, 99))
		s.settle(1, s.take(1), numbers(100, 10))
		b := s.bucketOf(limit.Name)
		if r := b.reservation(at(at0(1))); !b.doubtful || r.Reserved < 90 || r.Settled > 2 {
			t.Errorf("%v: doubtful %v, reserved %d, settled %d, want 90 reserved and our two settled at most", limit.Window, b.doubtful, r.Reserved, r.Settled)
		}
	}
}

// A bucket that once turned early, and whose window's end nobody has told yet, is not
// recorded as one whose window is over.
func TestTakeoverOfAnEndThatIsNotKnown(t *testing.T) {
	s := newSteps(t, fixed(10, 20*time.Second))
	s.settle(0.1, s.take(0), numbersReset(10, 8, 3*time.Second))
	s.settle(4.4, s.take(4.3), numbersReset(10, 7, 2*time.Second)) // turned at 4.1
	s.take(20)                                                     // of a window of which nobody has told yet
	b := s.bucketOf("app")
	if r := b.record(at(at0(20))); b.pad() == 0 || b.end.known() || r.Hi != 0 {
		t.Fatalf("a pad of %v, ends %v, recorded as by %v", b.pad(), b.end, time.Duration(r.Hi))
	}
	s = s.crash(21)
	s.retryAt(s.denied(21, Exhausted), 21+2+1+20)
}

// What an earlier owner's permits may have taken is spent when they lapse, not when
// that is noticed.
func TestGhostsLaidLate(t *testing.T) {
	for crash, left := range map[float64]int64{-5: 10, -4: 5} { // the day ends from -1.5 on, they lapse after 3, and one more was reserved
		for _, late := range []bool{false, true} {
			s := newSteps(t, daily(10))
			for range 4 {
				s.take(midnight - 10)
			}
			s = s.crash(midnight + crash)
			for sec := -2.0; sec < 10 && !late; sec += 0.1 {
				s.l.Advance(at0(midnight + sec))
			}
			s.available(midnight+10, "day", left)
		}
	}
}

// A call that went out before the earlier owner's had lapsed tells of nothing that may
// come yet: not even what remains.
func TestTakeoverForced(t *testing.T) {
	s := newSteps(t, fixed(50, time.Hour)).successor(0)
	p := s.ask(1, Request{Scope: call, Force: true}).Permit
	s.settle(1.2, p, numbersReset(50, 30, time.Minute))
	s.retryAt(s.denied(2, Exhausted), 2+1)
	s.settle(3.2, s.take(3), numbersReset(50, 20, time.Minute))
	s.available(3.2, "app", 20)
	s.take(3.3)
}
