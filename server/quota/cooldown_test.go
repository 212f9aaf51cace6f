package quota

import (
	"testing"
	"time"
)

// steps is a ledger at named instants: t(n) is n seconds after its start.
type steps struct {
	*testing.T
	l *Ledger
	// store is what was confirmed.
	store map[recordID]Reservation
}

func newSteps(t *testing.T, limits ...Limit) *steps {
	t.Helper()
	return stepsBy(t, &Rules{API: "api", Limits: limits, SendWithin: 2 * time.Second})
}

func stepsBy(t *testing.T, rules *Rules) *steps {
	return &steps{t, NewLedger(rules, 1), map[recordID]Reservation{}}
}

func at0(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

var call = Scope{API: "api", App: "app", User: "u", Endpoint: "GET /"}

// fixed is a limit whose phase is learned; daily is one that needs no telling.
func fixed(quota int64, period time.Duration) Limit {
	return Limit{Name: "app", Quota: quota, Provenance: Configured, Window: Window{Kind: Fixed, Period: period}}
}

func daily(quota int64) Limit {
	return Limit{Name: "day", Quota: quota, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day}}
}

// try takes at an instant, with a store that confirms at once.
func (s *steps) try(sec float64, scope Scope) Decision {
	s.l.Advance(at0(sec))
	s.confirm(sec)
	d := s.l.Take(at0(sec), Request{Scope: scope})
	if d.Reason == Reserving {
		s.confirm(sec)
		d = s.l.Take(at0(sec), Request{Scope: scope})
	}
	return d
}

// confirm has the store write what is wanted.
func (s *steps) confirm(sec float64) {
	w := s.l.Wanted(at0(sec))
	for _, r := range w {
		merge(s.store, r)
	}
	s.l.Reserved(at0(sec), w)
}

func (s *steps) take(sec float64) *Permit { s.Helper(); return s.takeFor(sec, call) }

func (s *steps) takeFor(sec float64, scope Scope) *Permit {
	s.Helper()
	d := s.try(sec, scope)
	if !d.Allowed() {
		s.Fatalf("at %v: denied: %v by %s until %v", sec, d.Reason, d.Bucket.Name(), d.RetryAt.Sub(epoch))
	}
	return d.Permit
}

func (s *steps) denied(sec float64, why Reason) Decision {
	s.Helper()
	d := s.try(sec, call)
	if d.Reason != why {
		s.Fatalf("at %v: %v, want %v", sec, d.Reason, why)
	}
	return d
}

func (s *steps) settle(sec float64, p *Permit, a Answer) {
	s.Helper()
	s.l.Advance(at0(sec))
	if !s.l.Settle(at0(sec), p, a) {
		s.Fatalf("at %v: the permit had ended", sec)
	}
}

// retryAt checks a denial's instant to the millisecond.
func (s *steps) retryAt(d Decision, sec float64) {
	s.Helper()
	if got := d.RetryAt.Sub(epoch).Seconds(); got < sec-0.001 || got > sec+0.001 {
		s.Fatalf("retry at %v, want %v", got, sec)
	}
}

func numbers(quota, remaining int64) Answer {
	return Answer{Observations: []Observation{{Quota: quota, Remaining: remaining}}}
}

func numbersReset(quota, remaining int64, after time.Duration) Answer {
	a := numbers(quota, remaining)
	a.Observations[0].Reset = Reset{Known: true, After: after}
	return a
}

func refused(a Answer) Answer {
	a.Verdict = Refused
	for i := range a.Observations {
		a.Observations[i].Blocked = a.Observations[i].Remaining == 0
	}
	return a
}

func wait(d time.Duration) Answer { return Answer{Verdict: Refused, RetryAfter: d} }

// The guide's example: 500, 0 left, 60 seconds to go, of an API of which nothing
// is configured.
func TestToldByTheGuide(t *testing.T) {
	s := newSteps(t)
	p := s.take(0)
	s.settle(0.1, p, refused(numbersReset(500, 0, 60*time.Second)))
	d := s.denied(0.2, CoolingDown)
	// Told in whole seconds, rounded we don't know how: a second is added.
	s.retryAt(d, 61.1)
	st := s.l.Status(at0(0.2), d.Bucket)
	if st.Quota != 500 || st.Remaining != 0 || st.Provenance != Told || st.State != Cooling {
		t.Errorf("status %+v", st)
	}
	s.denied(61, CoolingDown)
	// Nobody has said that all is back at once then: the first call asks.
	first := s.take(61.2)
	s.denied(61.2, Probing)
	s.settle(61.3, first, numbersReset(500, 499, 60*time.Second))
	for range 499 {
		s.take(61.3)
	}
	s.denied(61.3, Exhausted)
	// After two such turns the next is believed without a probe.
	s.settle(122.5, s.take(122.4), numbersReset(500, 499, 60*time.Second))
	for range 500 {
		s.take(184)
	}
	s.denied(184, Exhausted)
}

// A refusal that only says how long to wait closes until then, then lets one
// call probe, then a few more with each success.
func TestCoolDownProbesThenRamps(t *testing.T) {
	s := newSteps(t, daily(1000))
	a, b := s.take(0), s.take(0)
	s.settle(1, a, wait(10*time.Second))
	if r := s.l.Revoked(); len(r) != 1 || r[0].Generation <= b.Generation || !b.Scope.Matches(r[0].Scope) {
		t.Fatalf("revoked %+v, want one that voids %d", r, b.Generation)
	}
	d := s.denied(2, CoolingDown)
	s.retryAt(d, 11)
	// Granted before it began: it belongs to it, may lengthen it, starts no other.
	s.settle(3, b, wait(12*time.Second))
	s.retryAt(s.denied(4, CoolingDown), 15)
	if r := s.l.Revoked(); len(r) != 0 {
		t.Fatalf("revoked %+v by the same event", r)
	}
	probe := s.take(15)
	s.retryAt(s.denied(15, Probing), 16)
	s.settle(15.2, probe, Answer{})
	one, two := s.take(15.2), s.take(15.2)
	s.denied(15.2, Probing) // two in flight
	s.settle(15.3, one, Answer{})
	s.take(15.3)
	s.take(15.3)
	s.denied(15.3, Probing) // three
	s.settle(15.4, two, Answer{})
	for range 4 {
		s.settle(15.5, s.take(15.5), Answer{})
	}
	// Nobody was held back for a whole round: it is over.
	for range 50 {
		s.take(15.6)
	}
}

// A probe that is not heard of is followed by the next after a second.
func TestProbeThatDies(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.settle(0, s.take(0), wait(5*time.Second))
	s.take(5)
	s.denied(5.9, Probing)
	s.take(6)
	s.denied(6.1, Probing)
}

// Without a hint the back-off doubles with each event that follows a probe, and
// only with those; its jitter never makes it shorter.
func TestBackoffGrowsByProbesOnly(t *testing.T) {
	s := newSteps(t, daily(1000))
	a, b := s.take(0), s.take(0)
	s.settle(0, a, refused(Answer{}))
	s.settle(0, b, refused(Answer{})) // the same event
	now := 0.0
	for _, least := range []float64{1, 2, 4, 8, 16, 32, 60, 60} {
		d := s.denied(now, CoolingDown)
		until := d.RetryAt.Sub(epoch).Seconds()
		if got := until - now; got < least || got >= 2*least {
			t.Fatalf("backed off for %v s, want %v to %v", got, least, 2*least)
		}
		now = until + 1e-6 // an instant is more exact than a float
		s.settle(now, s.take(now), refused(Answer{}))
	}
}

// Peer bug 23: a day that is spent is not tried again before midnight.
func TestSpentDayWaitsForMidnight(t *testing.T) {
	s := newSteps(t, daily(1000))
	body := Answer{Verdict: Refused, Observations: []Observation{{
		Says: true, Remaining: 0, Blocked: true, Window: Window{Kind: Calendar, Unit: Day},
	}}}
	s.settle(0, s.take(0), body)
	d := s.denied(1, CoolingDown)
	s.retryAt(d, 12*3600+1.5)
	s.take(12*3600 + 1.6)
}

// A refusal of the last day's that arrives after midnight closes nothing.
func TestLateRefusalOfTheLastWindow(t *testing.T) {
	s := newSteps(t, daily(1000))
	midnight := 12 * 3600.0
	p := s.take(midnight - 0.1)
	body := Answer{Verdict: Refused, Observations: []Observation{{
		Says: true, Remaining: 0, Blocked: true, Window: Window{Kind: Calendar, Unit: Day},
	}}}
	s.take(midnight + 1.6)
	s.settle(midnight+1.7, p, body)
	s.take(midnight + 1.8)

	s = newSteps(t, fixed(100, 10*time.Second))
	s.settle(0, s.take(0), numbersReset(100, 50, 5*time.Second))
	p = s.take(4.5)
	s.take(6.1)
	late := refused(numbersReset(100, 0, time.Second))
	late.Sent, late.Received = at0(4.5), at0(4.6)
	s.settle(6.2, p, late) // it tells when the last window ended
	s.take(6.3)
}

// A bucket of which the response tells that something is left is not the one that
// refused.
func TestRefusalOfWhatIsNotSpent(t *testing.T) {
	s := newSteps(t, daily(1))
	s.settle(0.1, s.take(0), refused(numbers(1, 1))) // spent by our count, and not by what it says
	if st := s.bucketOf("day").state; st != Open {
		t.Errorf("%v", st)
	}
	if st := s.gateOf(call.Only(Parts{Endpoint: true})).state; st != Cooling {
		t.Errorf("the endpoint is %v", st)
	}
}

// A refusal that names nobody, with numbers to spare, is the upstream protecting
// itself: the endpoint rests, and no quota is charged.
func TestRefusalWithNumbersToSpare(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.settle(0, s.take(0), refused(numbers(1000, 900)))
	s.denied(0.1, CoolingDown)
	s.takeFor(0.1, Scope{API: "api", App: "app", User: "u", Endpoint: "GET /other"})
	for b := range s.l.Buckets(Scope{}) {
		if st := s.l.Status(at0(0.1), b); b.Name() == "day" && (st.Remaining != 899 || st.State != Open) {
			t.Errorf("the day: %+v", st)
		}
	}
}

// A bare refusal holds back its user, and the application once a second user is
// hit.
func TestBareRefusalWidensOnEvidence(t *testing.T) {
	s := newSteps(t, daily(1000))
	u2 := Scope{API: "api", App: "app", User: "u2", Endpoint: "GET /"}
	u3 := Scope{API: "api", App: "app", User: "u3", Endpoint: "GET /"}
	a, b := s.take(0), s.takeFor(0, u2)
	s.settle(0.1, a, refused(Answer{}))
	s.denied(0.2, CoolingDown)
	s.takeFor(0.2, u3)
	s.settle(0.3, b, refused(Answer{}))
	if d := s.try(0.4, u3); d.Reason != CoolingDown {
		t.Errorf("the third user: %v", d.Reason)
	}
}

// A bare refusal is blamed on the one bucket that was expected to be empty.
func TestBareRefusalOfAnEmptyBucket(t *testing.T) {
	s := newSteps(t, daily(2))
	a, b := s.take(0), s.take(0)
	s.settle(0.1, a, Answer{})
	s.settle(0.2, b, refused(Answer{}))
	s.retryAt(s.denied(0.3, CoolingDown), 12*3600+1.5)
}

// Peer bug 16: a refusal for the whole of an endpoint, by Retry-After only, holds
// everybody back, for as long as it says.
func TestPeerBugGlobalRefusal(t *testing.T) {
	s := newSteps(t, daily(1000))
	app := Scope{API: "api", App: "app", Endpoint: "GET /"}
	s.settle(0, s.takeFor(0, app), wait(3*time.Second))
	if d := s.try(2.9, app); d.Reason != CoolingDown {
		t.Errorf("at 2.9: %v", d.Reason)
	}
	s.denied(2.9, CoolingDown)
	s.takeFor(3, app)
}

// A wait of years is cut to the longest window there is.
func TestAbsurdWaitIsCut(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.settle(0, s.take(0), wait(100*365*24*time.Hour))
	s.retryAt(s.denied(1, CoolingDown), DefaultMaxReset.Seconds())
}

// Nothing is known of the limit: one call asks, the next goes after a second if
// it is not heard of, and an answer that says nothing holds nothing back.
func TestUnknownLimitAsksOnce(t *testing.T) {
	s := newSteps(t)
	s.released(0, s.take(0)) // was not sent: the next asks instead
	s.take(0)
	s.retryAt(s.denied(0.5, Probing), 1)
	p := s.take(1)
	s.denied(1, Probing)
	s.settle(1.1, p, Answer{})
	for range 1000 {
		s.take(1.2)
	}
}

// A refusal that says nothing is only thought to be of the bucket that was nearly
// spent. When its window has turned one call asks whether that ended it, and the
// others wait for the answer; where the upstream says so itself, none needs to.
func TestTurnAfterAGuessAsksFirst(t *testing.T) {
	const midnight = 12 * 3600.0
	for name, tc := range map[string]struct {
		refusal Answer
		sure    bool
	}{
		"a guess":  {wait(0), false},
		"it is so": {refused(numbers(3, 0)), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, daily(3))
			last := []*Permit{s.take(0), s.take(0), s.take(0)}
			s.settle(1, last[0], tc.refusal)
			s.retryAt(s.denied(2, CoolingDown), midnight+1.5)
			probe := s.take(midnight + 1.5)
			if tc.sure {
				s.take(midnight + 1.5)
				return
			}
			s.denied(midnight+1.5, Probing)
			s.settle(midnight+1.6, probe, wait(0)) // an outage: the next day is no better
			if d := s.denied(midnight+1.7, CoolingDown); d.RetryAt.Sub(epoch).Seconds() > midnight+5 {
				t.Errorf("held back for the whole day, until %v", d.RetryAt)
			}
		})
	}
}

// What may belong to the window that began while the bucket cooled down stays charged
// to it: the probe that passes tells nothing of that.
func TestProbeAfterATurnCreditsNothing(t *testing.T) {
	const midnight = 12 * 3600.0
	s := newSteps(t, daily(10))
	for range 10 {
		s.settle(midnight-1, s.take(midnight-1), Answer{}) // by the upstream's clock it may be the next day
	}
	s.l.Observe(at0(midnight), call, refused(Answer{RetryAfter: 5 * time.Second}))
	s.denied(midnight+4, CoolingDown)
	if d := s.try(midnight+5.1, call); d.Allowed() {
		s.settle(midnight+5.2, d.Permit, Answer{})
	}
	s.available(midnight+5.3, "day", -1)
}
