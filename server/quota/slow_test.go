package quota

import (
	"testing"
	"time"
)

// Calls that take longer than their permits live. They lapse first, in these tests
// three seconds after their grant, and are heard of later.

// S6: a call that is never heard of stays counted, even where nodes that lag tell of
// more than our own count leaves.
func TestLapsedCallStaysCounted(t *testing.T) {
	s := newSteps(t, daily(10))
	for range 3 {
		s.settle(0, s.take(0), numbers(10, 9))
	}
	s.available(0, "day", 7)
	s.take(1)
	s.available(1, "day", 6)
	s.available(10, "day", 6)
	s.settle(11, s.take(11), numbers(10, 5)) // covers it
	s.available(11, "day", 5)
}

// An upstream that tells nothing has answered all calls, if late: the bucket is spent,
// and not closed without a reason to stay so.
func TestSlowCallsAreAnswered(t *testing.T) {
	s := newSteps(t, daily(8))
	var calls []*Permit
	for range 8 {
		calls = append(calls, s.take(0))
	}
	for _, p := range calls {
		s.settle(20, p, Answer{})
	}
	for sec := 20.0; sec < 600; sec += 10 {
		if d := s.denied(sec, Exhausted); !d.Firm {
			t.Fatalf("at %v: %+v", sec, d)
		}
	}
}

// What was on its way when a call was refused, and passed, belongs to the lesson.
func TestSlowCallsTeach(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	day := nextDay(1)
	s.use(day, 3, appCall)
	slow := []*Permit{s.takeFor(day, appCall), s.takeFor(day, appCall), s.takeFor(day, appCall)}
	s.settle(day+1, s.takeFor(day, appCall), spent(false))
	s.l.Advance(at0(day + 4))
	s.quota(appCall, 3, Learned)
	for _, p := range slow[:2] {
		s.settle(day+20, p, Answer{})
	}
	if l := s.bucketOf("day").lesson; l.base != 5 || l.beyond {
		t.Errorf("taken for calls beyond what was learned: %+v", l)
	}
	s.settle(day+20, slow[2], spent(false))
	s.quota(appCall, 5, Learned)
	s.use(nextDay(2), 5, appCall)
	if d := s.try(nextDay(2), appCall); d.Reason != Exhausted || !d.Firm {
		t.Fatalf("beyond what was learned: %+v", d)
	}
}

// Where a window may begin at its first use, a call of which nobody heard may not have
// begun it: the next that is answered may.
func TestLapsedCallBeginsNoWindow(t *testing.T) {
	s := newSteps(t, fixed(1, 6*time.Second))
	s.settle(0, s.take(0), numbersReset(1, 0, 6*time.Second))
	s.take(7)
	s.denied(10.5, Exhausted)
	s.settle(11.6, s.take(11.5), Answer{}) // a probe
	if hi := s.bucketOf("app").end.hi; hi < at(at0(17.6)) {
		t.Errorf("it has ended by %v", hi.time().Sub(epoch))
	}
}

// The late answer to a call that has lapsed may be the first to tell of a limit.
func TestLapsedCallTellsOfALimit(t *testing.T) {
	s := newSteps(t, daily(100))
	late := s.take(0)
	s.l.Advance(at0(9))
	s.settle(10, late, observed(Observation{Limit: "burst", Says: true, Quota: 20, Remaining: 3, Window: Window{Kind: Fixed, Period: time.Minute}, Reset: Reset{Known: true, After: 40 * time.Second}}))
	if b := s.bucketOf("burst"); b.quota != 20 || b.m != 3 {
		t.Errorf("%d remain of %d", b.m, b.quota)
	}
}
