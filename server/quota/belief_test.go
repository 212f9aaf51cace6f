package quota

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A refusal of a call that was granted before a cool-down began belongs to it: it
// starts no other, and makes it longer but never shorter.
func TestRefusalsThatBelongToACoolDown(t *testing.T) {
	s := newSteps(t, daily(1000))
	a, b, c := s.take(0), s.take(0), s.take(0)
	s.settle(1, a, wait(10*time.Second))
	s.settle(2, b, wait(time.Second))
	s.retryAt(s.denied(2.5, CoolingDown), 11)
	s.l.Advance(at0(11))
	s.settle(11.1, c, refused(Answer{})) // it lapsed, and is heard of only now
	s.take(11.2)                         // still probing
}

// A call that was granted before the probing and passes says nothing of whether the
// upstream answers again.
func TestOldAnswerEndsNoProbing(t *testing.T) {
	s := newSteps(t, daily(1000))
	a, b := s.take(0), s.take(0)
	s.settle(1, a, wait(time.Second))
	s.l.Advance(at0(2))
	s.settle(2.1, b, Answer{})
	s.take(2.2)
	s.denied(2.3, Probing)
}

// What an upstream asks for is bounded, however it says so.
func TestAbsurdResetIsCut(t *testing.T) {
	s := stepsBy(t, &Rules{API: "api", MaxReset: 400 * 24 * time.Hour})
	s.settle(0, s.take(0), refused(numbersReset(500, 0, 300*24*time.Hour)))
	s.retryAt(s.denied(1, CoolingDown), maxCooldown.Seconds())
}

// A report without a permit only tightens: it raises nothing and turns no window.
func TestObserveOnlyTightens(t *testing.T) {
	s := newSteps(t, fixed(100, time.Minute))
	s.settle(0, s.take(0), numbersReset(100, 50, 30*time.Second))
	for i := range 5 {
		s.l.Observe(at0(1+float64(i)), call, numbers(100, 80))
	}
	s.available(6, "app", 50)
	for i := range 5 {
		s.l.Observe(at0(6+float64(i)), call, numbersReset(100, 99, 58*time.Second)) // the next window's
	}
	s.available(11, "app", 50)
	s.l.Observe(at0(12), call, Answer{Unanswered: true, Observations: numbers(100, 0).Observations})
	s.available(12, "app", 50)
	s.l.Observe(at0(12), call, numbers(100, 20))
	s.available(12, "app", 20)
	s.l.Observe(at0(13), call, refused(numbers(100, 0)))
	s.denied(13.5, CoolingDown)
}

// Two rises by calls that were on their way together are one piece of news.
func TestRiseIsConfirmedByALaterCall(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	s.settle(0, s.take(0), numbersReset(100, 50, 59*time.Minute))
	a, b := s.take(1), s.take(1)
	s.settle(2, a, numbers(100, 80))
	s.settle(2.1, b, numbers(100, 79))
	s.available(2.2, "app", 50)
	s.settle(4, s.take(3), numbers(100, 78))
	s.available(4, "app", 78)
}

// A bucket that is closed without a known end is probed after 1, 2, 4 … 60 s.
func TestPaceOfProbes(t *testing.T) {
	s := newSteps(t, Limit{Name: "app", Quota: 10, Provenance: Configured})
	s.settle(0, s.take(0), numbers(10, 0))
	d := s.denied(0, Exhausted)
	now := 0.0
	for _, gap := range []float64{1, 2, 4, 8, 16, 32, 60, 60} {
		s.retryAt(d, now+gap)
		s.denied(now+gap-0.001, Exhausted)
		now += gap
		s.settle(now, s.take(now), numbers(10, 0))
		d = s.denied(now, Exhausted)
	}
}

// More calls passed than the quota has, and nobody knows when it ends: the window
// turned unseen.
func TestMoreThanTheQuotaPassed(t *testing.T) {
	s := newSteps(t, Limit{Name: "app", Quota: 3, Provenance: Configured})
	for range 3 {
		s.settle(0.1, s.take(0), Answer{})
	}
	s.denied(0.2, Exhausted)
	s.settle(1.3, s.take(1.2), Answer{})
	s.available(1.3, "app", 2)
}

// A wait that goes on after the window's turn is not ended by it: a probe is sent
// first.
func TestWaitBeyondTheTurn(t *testing.T) {
	s := newSteps(t, fixed(100, 10*time.Second))
	s.settle(0, s.take(0), numbersReset(100, 50, 5*time.Second))
	a := refused(numbers(100, 0))
	a.RetryAfter = 20 * time.Second
	s.settle(1, s.take(1), a)
	s.retryAt(s.denied(7, CoolingDown), 21)
	s.take(21)
	s.denied(21, Probing)
}

// The ramp goes on while it holds somebody back, and is over when it does not.
func TestRampEndsWhenNobodyIsHeldBack(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.settle(0, s.take(0), wait(time.Second))
	s.settle(1, s.take(1), Answer{})
	s.settle(1, s.take(1), Answer{})
	a := s.take(1)
	s.take(1)
	s.take(1)
	gate := s.denied(1, Probing).Bucket // three in flight, and a fourth wants to go
	s.settle(1, a, Answer{})
	if gate.state != Ramping {
		t.Fatalf("%v, though somebody was held back", gate.state)
	}
	for range 2 {
		s.settle(1, s.take(1), Answer{})
	}
	if gate.state != Open {
		t.Errorf("%v, though nobody was held back for a round", gate.state)
	}
	if s.l.Advance(at0(1)); len(s.l.cooling) != 0 {
		t.Error("a bucket that is open is looked after for ever")
	}
}

// Of two denials the one that nothing but time can end decides.
func TestFirmDenialDecides(t *testing.T) {
	s := newSteps(t, daily(2))
	a := s.take(0)
	s.take(0) // a permit that is given back would do
	s.settle(1, a, Answer{Unanswered: true})
	s.l.Observe(at0(1), call, Answer{Verdict: Overloaded, RetryAfter: 10 * time.Second})
	d := s.denied(1.5, CoolingDown)
	if !d.Firm {
		t.Errorf("%+v", d)
	}
	s.retryAt(d, 11)
}

// A lapse that is noticed late is what it would have been in time.
func TestLapseNoticedLate(t *testing.T) {
	midnight := 12 * 3600.0
	dumps := map[bool]string{}
	for _, late := range []bool{false, true} {
		s := newSteps(t, daily(100))
		s.take(midnight - 4) // lapses a second before midnight, when it may be the next day
		if !late {
			for ms := range 5000 {
				s.l.Advance(at0(midnight - 4 + float64(ms)/1000))
			}
		}
		s.available(midnight+2, "day", 99)
		b := s.bucketOf("day")
		dumps[late] = s.state(b)
	}
	if dumps[true] != dumps[false] {
		t.Errorf("late: %s\nin time: %s", dumps[true], dumps[false])
	}
}

func (s *steps) state(b *Bucket) string {
	var w strings.Builder
	c := *b
	c.turned, c.ident, c.last = 0, 0, nil // when the turn was noticed
	dumpBucket(&w, c)
	return w.String()
}

// A bare refusal of a call of the last window is not this one's, though it has
// nothing left; also where it is the first that is heard in this one.
func TestBareRefusalOfTheLastWindow(t *testing.T) {
	for _, turned := range []float64{1.6, 1.7} {
		s := newSteps(t, daily(1))
		p := s.take(midnight - 0.1)
		s.l.Advance(at0(midnight + turned))
		s.settle(midnight+1.7, p, refused(Answer{}))
		if st := s.bucketOf("day").state; st != Open {
			t.Errorf("the new day is %v", st)
		}
	}
}

// A refusal that is the first to tell of a limit closes it, though it tells no reset.
func TestFirstRefusalOfALimit(t *testing.T) {
	for _, user := range []bool{false, true} {
		s := newSteps(t)
		s.settle(0.1, s.take(0), spent(user))
		s.retryAt(s.denied(0.2, CoolingDown), midnight+calendarGuard.Seconds())
	}
}

// Two windows of a bucket that begin in one instant are two for the store.
func TestWindowsOfOneInstant(t *testing.T) {
	s := newSteps(t, daily(100))
	s.take(0)
	b := s.bucketOf("day")
	first := b.ident
	b.begin(at(at0(0)))
	second := b.ident
	b.begin(at(at0(0)))
	if first == second || second == b.ident {
		t.Errorf("windows %d, %d, %d", first, second, b.ident)
	}
}

// reported is one permit's report: its answer, and when it was granted.
type reported struct {
	granted time.Duration
	answer  Answer
}

// Reports of permits that were all granted before the first of them was heard
// leave one state, in whatever order they come.
func TestPropertyOrderOfReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := splitmix(rapid.Uint64().Draw(t, "reports"))
		d := dice(seed.next())
		limits := []Limit{daily(20)}
		if d.roll(2) == 0 {
			limits = []Limit{fixed(20, 30*time.Second)}
		}
		// What was heard before: nothing, or an answer that told the phase. One that
		// is told for the first time by one of these reports makes a window of a log,
		// and the log holds what is lost in n too.
		first := []Answer{{}, numbers(20, 15), numbersReset(20, 15, 25*time.Second)}[d.roll(3)]
		// One window's reset, told in whole seconds, does not contradict itself.
		resets := len(first.Observations) > 0 && first.Observations[0].Reset.Known
		var all []reported
		for range 2 + d.roll(4) {
			d = dice(seed.next())
			r := reported{time.Second + d.ms(2000), Answer{}}
			switch d.roll(6) {
			case 0:
			case 1:
				r.answer.Unanswered = true
			case 2:
				r.answer = refused(numbers(20, 0))
				r.answer.RetryAfter = time.Duration(1+d.roll(3)) * 20 * time.Second
			default:
				r.answer = numbers([]int64{20, 20, 17}[d.roll(3)], int64(d.roll(16)))
			}
			if o := r.answer.Observations; o != nil {
				o[0].Limit = limits[0].Name
				if resets && d.roll(2) == 0 {
					o[0].Reset = Reset{Known: true, After: 20*time.Second + d.ms(900)}
				}
			}
			all = append(all, r)
		}
		slices.SortStableFunc(all, func(a, b reported) int { return int(a.granted - b.granted) })
		order := make([]int, len(all))
		for i := range order {
			order[i] = i
		}
		other := rapid.Permutation(order).Draw(t, "order")
		if a, b := heard(limits, first, all, order), heard(limits, first, all, other); a != b {
			t.Fatalf("%+v\nin order:  %+v\nin %v: %+v\nreports: %+v", limits[0].Window, a, other, b, all)
		}
	})
}

// model is what of a bucket must not depend on the order of reports.
type model struct {
	quota, m, n, o, uncovered, available int64
	held                                 int64
	end                                  span
	state                                State
	until                                instant
}

// heard is the bucket after the reports in the given order, all at one instant.
func heard(limits []Limit, first Answer, all []reported, order []int) model {
	l := NewLedger(&Rules{API: "api", Limits: limits}, 1)
	take := func(at time.Time) *Permit {
		for range 3 {
			l.Advance(at)
			l.Reserved(at, l.Wanted(at))
			if d := l.Take(at, Request{Scope: call}); d.Allowed() {
				return d.Permit
			}
		}
		return nil
	}
	l.Settle(epoch.Add(time.Second/2), take(epoch), first)
	var permits []*Permit
	for _, r := range all {
		permits = append(permits, take(epoch.Add(r.granted)))
	}
	now := epoch.Add(4 * time.Second)
	l.Advance(now)
	for _, i := range order {
		l.Settle(now, permits[i], all[i].answer)
		for j := range i + 1 { // S7: reported again, with another's answer
			l.Settle(now, permits[i], all[j].answer)
		}
	}
	for b := range l.Buckets(Scope{}) {
		until := instant(0)
		if b.state != Open && !b.told { // else by what was known of its end when it began
			until = b.until
		}
		return model{b.quota, b.m, b.n, b.o, b.a - b.aCov, b.available(), heldBy(b), b.end, b.state, until}
	}
	return model{}
}

// What a number may not cover is taken off only while there may be another
// consumer, or while what came before us is not known: our own count has it already.
func TestAlone(t *testing.T) {
	l := Limit{Name: "app", Quota: 20, Window: Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}, Provenance: Configured}
	for name, tc := range map[string]struct {
		began, told int64 // the second of the first call, and what is told to remain
		want        int64
	}{
		"watched from its start, no other seen": {21, 17, 17},
		"others took two":                       {21, 15, 13},
		"nobody knows what came before us":      {1, 17, 15},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, l)
			at := float64(tc.began)
			if at > 10 {
				s.released(0, s.take(0))
			}
			a, b, c := s.take(at), s.take(at), s.take(at)
			s.settle(at+1, b, numbersReset(20, tc.told, 8*time.Second))
			s.settle(at+1, a, Answer{})
			s.settle(at+1, c, Answer{})
			s.available(at+1, "app", tc.want)
		})
	}
}

// A call that was lost on the way is spent all the same, and so is one that may
// have been counted after the window turned.
func TestAloneCountsWhatIsLost(t *testing.T) {
	s := newSteps(t, Limit{Name: "app", Quota: 20, Window: Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}, Provenance: Configured})
	s.released(0, s.take(0))
	s.take(12) // lapses before the turn
	s.settle(19.8, s.take(19.8), Answer{})
	p, q := s.take(21), s.take(21)
	s.settle(22, q, numbersReset(20, 17, 8*time.Second))
	s.settle(22, p, Answer{Unanswered: true})
	s.available(22, "app", 17) // one straddled the turn, one was lost, one answered
	s.take(23)
	s.available(29.4, "app", 16)
}

// What closed a bucket whose end nobody knew is over once a probe passes: what remained
// then counts no more.
func TestProbeThatPassesBeginsAnew(t *testing.T) {
	s := newSteps(t, Limit{Name: "app", Quota: 10, Provenance: Configured})
	s.settle(0.1, s.take(0), numbers(10, 9))
	shut := refused(numbers(10, 0))
	shut.RetryAfter = 5 * time.Second
	s.settle(1.1, s.take(1), shut)
	s.settle(6.5, s.take(6.2), Answer{})
	s.available(6.6, "app", 8) // two of ours have passed
	s.settle(6.8, s.take(6.7), numbers(10, 3))
	s.available(6.8, "app", 3)
}
