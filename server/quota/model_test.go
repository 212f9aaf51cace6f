package quota

import (
	"testing"
	"time"
)

// The cases of the model's trials, one by one: each broke a model without the
// rule that it names.

// bucketOf is the one bucket of the named limit.
func (s *steps) bucketOf(name string) *Bucket {
	s.Helper()
	for b := range s.l.Buckets(Scope{}) {
		if b.Name() == name {
			return b
		}
	}
	s.Fatalf("no bucket of %q", name)
	return nil
}

func (s *steps) available(sec float64, name string, want int64) {
	s.Helper()
	b := s.bucketOf(name)
	s.l.Advance(at0(sec))
	b.advance(at(at0(sec)))
	if got := b.available(); got != want {
		s.Fatalf("at %v: available %d, want %d", sec, got, want)
	}
}

// Trial 1: our turn came early, and every answer says that the old window goes
// on: it is taken whole, and from then on we turn later.
func TestTrialEarlyTurnIsTakenBack(t *testing.T) {
	s := newSteps(t, fixed(100, 20*time.Second))
	s.settle(0.1, s.take(0), numbersReset(100, 10, 3*time.Second))
	s.take(4.2) // we turned at 4.1
	s.available(4.2, "app", 99)
	p := s.take(4.3)
	s.settle(4.4, p, numbersReset(100, 5, 2*time.Second))
	// Back in the old window: 5 left, less the call that is still on its way.
	s.available(4.4, "app", 4)
	b := s.bucketOf("app")
	if b.pad() < time.Second {
		t.Errorf("pad %v, want at least the second by which we were early", b.pad())
	}
	if hi := b.turnsAt().time().Sub(epoch); hi < 7*time.Second {
		t.Errorf("turns at %v, want after the told end and the pad", hi)
	}
}

// Trial 1: two resets of one window that disagree keep the later, and one that is
// further away than the window is long is none.
func TestTrialResetsThatDisagree(t *testing.T) {
	s := newSteps(t, fixed(100, 20*time.Second))
	ends := func(want float64) {
		t.Helper()
		if got := s.bucketOf("app").end.hi.time().Sub(epoch).Seconds(); got != want {
			t.Fatalf("ends by %v, want %v", got, want)
		}
	}
	s.settle(0, s.take(0), numbersReset(100, 90, 10*time.Second))
	ends(11)
	s.settle(1, s.take(1), numbersReset(100, 89, 12*time.Second))
	ends(14)
	s.settle(2, s.take(2), numbersReset(100, 88, 8*time.Second))
	ends(14)
	s.settle(3, s.take(3), numbersReset(100, 87, 10*365*24*time.Hour))
	ends(14)
}

// Trial 2: at the turn the sums go on, so that a permit granted before it cannot
// cover more than there is.
func TestTrialSumsNeverGoBack(t *testing.T) {
	s := newSteps(t, fixed(100, 10*time.Second))
	s.settle(0, s.take(0), numbersReset(100, 90, 5*time.Second))
	for range 20 {
		s.settle(1, s.take(1), Answer{}) // no numbers: 20 uncovered
	}
	late := s.take(3.5)
	s.available(3.5, "app", 69)
	s.take(6.1) // the turn; one in flight carried over
	s.settle(6.2, late, numbersReset(100, 98, 9*time.Second))
	// 98, less the one of 6.1; the 20 belong to the window that ended.
	s.available(6.2, "app", 97)
}

// Trial 3: what is answered when the window may have ended already counts in the
// next one too.
func TestTrialAnswersAroundMidnight(t *testing.T) {
	s := newSteps(t, daily(100))
	midnight := 12 * 3600.0
	s.settle(midnight-10, s.take(midnight-10), Answer{})
	s.settle(midnight-1, s.take(midnight-1.2), Answer{})         // without numbers
	s.settle(midnight+0.5, s.take(midnight-1), numbers(100, 97)) // without a reset
	s.available(midnight+1.6, "day", 98)
}

// Trial 4: only a calendar, or a window declared aligned, carries its phase.
func TestTrialPhaseIsNotCarried(t *testing.T) {
	s := newSteps(t, fixed(10, 10*time.Second))
	s.settle(0, s.take(0), numbersReset(10, 9, 5*time.Second))
	s.l.Advance(at0(7))
	p := s.take(7)
	b := s.bucketOf("app")
	if b.end.known() {
		t.Fatalf("knows its end %v without being told", b.end)
	}
	// First use at 7; no answer tells: settled first, plus a period.
	s.settle(8, p, Answer{})
	if hi := b.end.hi.time().Sub(epoch); hi != 18*time.Second {
		t.Errorf("ends by %v, want 18s", hi)
	}
}

// Trial 5: a window whose phase nobody tells is held as a sliding log.
func TestTrialSilentWindowSlides(t *testing.T) {
	s := newSteps(t, fixed(2, 64*time.Second))
	s.settle(1, s.take(0), Answer{})
	s.settle(2, s.take(1), Answer{})
	s.retryAt(s.denied(3, Exhausted), 65)
	s.take(65.1)
	s.denied(65.2, Exhausted)
}

// Trial 7: our own count caps what lagging nodes say.
func TestTrialLaggingNodes(t *testing.T) {
	s := newSteps(t, fixed(10, 10*time.Second))
	s.settle(0, s.take(0), numbersReset(10, 9, 9*time.Second))
	for range 9 {
		s.settle(1, s.take(1), numbers(10, 9)) // a node that lags
	}
	s.denied(2, Exhausted)
}

// Trial 9: remaining told, but never a reset, and no period: closed without a
// known end, it is probed, and two rises open it.
func TestTrialNoResetNoPeriod(t *testing.T) {
	s := newSteps(t, Limit{Name: "app", Quota: 10, Provenance: Configured})
	s.settle(0, s.take(0), numbers(10, 0))
	s.retryAt(s.denied(0.1, Exhausted), 1.1)
	s.settle(1.2, s.take(1.1), numbers(10, 0))
	s.denied(2, Exhausted)
	s.settle(3.2, s.take(3.2), numbers(10, 9)) // one rise: not believed yet
	s.denied(3.3, Exhausted)
	s.settle(4.3, s.take(4.2), numbers(10, 8))
	s.available(4.4, "app", 8)
}

// Trial 10: clients that died close a bucket only until a probe is answered.
func TestTrialDeadClients(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	s.settle(0, s.take(0), numbersReset(100, 99, 59*time.Minute))
	for range 99 {
		s.take(1)
	}
	s.denied(2, Exhausted)
	s.denied(10, Exhausted) // lapsed by now: a probe goes in a second
	s.settle(11.2, s.take(11.1), numbers(100, 98))
	s.available(11.2, "app", 98)
}

// Trial 10: less than a quarter that lapsed is no reason to probe.
func TestTrialFewDeadClients(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	s.settle(0, s.take(0), numbersReset(100, 99, 59*time.Minute))
	for range 20 {
		s.take(1)
	}
	for i := range 79 {
		s.settle(2, s.take(1.5), numbers(100, 98-int64(i)))
	}
	s.denied(10, Exhausted)
	if d := s.denied(30, Exhausted); !d.Firm {
		t.Errorf("a probe is due: %+v", d)
	}
}

// Trial 11: a remaining that nothing explains is obeyed, but one probe goes and
// its answer is believed at once.
func TestTrialDoubtfulFall(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	s.settle(0, s.take(0), numbersReset(100, 99, 59*time.Minute))
	s.settle(1, s.take(1), numbers(100, 0))
	s.retryAt(s.denied(1.5, Exhausted), 2.5)
	s.settle(2.6, s.take(2.5), numbers(100, 97))
	s.available(2.6, "app", 97)
}

// An honest fall to nothing is not probed.
func TestHonestEndIsNotProbed(t *testing.T) {
	s := newSteps(t, fixed(3, time.Hour))
	s.settle(0, s.take(0), numbersReset(3, 2, 59*time.Minute))
	s.settle(1, s.take(1), numbers(3, 1))
	s.settle(2, s.take(2), numbers(3, 0))
	if d := s.denied(30, Exhausted); !d.Firm || d.RetryAt.Sub(epoch) < 59*time.Minute {
		t.Errorf("denied %+v", d)
	}
}

// Peer bugs 3 and 18: an older answer does not raise what remains, and what is in
// flight is subtracted.
func TestPeerBugOlderAnswer(t *testing.T) {
	s := newSteps(t, fixed(10, time.Minute))
	a, b, c := s.take(0), s.take(0), s.take(0)
	s.settle(1, b, numbersReset(10, 7, 50*time.Second))
	s.settle(1.1, a, numbersReset(10, 9, 50*time.Second))
	s.available(1.2, "app", 6)
	s.settle(1.3, c, numbersReset(10, 8, 50*time.Second))
	s.available(1.4, "app", 7)
}

// A rise inside a window is believed when a second call, granted after the first
// was heard, says so too.
func TestRiseNeedsASecondAnswer(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	s.settle(0, s.take(0), numbersReset(100, 50, 59*time.Minute))
	s.settle(2, s.take(1), numbers(100, 80))
	s.available(2, "app", 50)
	s.settle(4, s.take(3), numbers(100, 79))
	s.available(4, "app", 79)
}

// Faults 35, 40: the limit falls at once, rises by a second answer, and never
// above what was configured.
func TestQuotaIsTold(t *testing.T) {
	named := func(quota, remaining int64) Answer {
		a := numbersReset(quota, remaining, time.Minute)
		a.Observations[0].Limit = "day"
		return a
	}
	s := newSteps(t, daily(100))
	quota := func(want int64) {
		t.Helper()
		if got := s.bucketOf("day").quota; got != want {
			t.Fatalf("quota %d, want %d", got, want)
		}
	}
	s.settle(1, s.take(0), named(20, 0))
	quota(20)
	s.denied(1.5, Exhausted)
	s = newSteps(t, daily(100))
	s.settle(1, s.take(0), named(50, 40))
	s.settle(2, s.take(1.5), named(80, 39))
	quota(50)
	s.settle(3, s.take(2.5), named(80, 38))
	quota(80)
	s.settle(4, s.take(3.5), named(1e9, 1e9))
	s.settle(5, s.take(4.5), named(1e9, 1e9))
	quota(80)
}

// Short windows are held as a log, whatever resets say.
func TestShortWindowIsALog(t *testing.T) {
	s := newSteps(t, fixed(2, time.Second))
	s.settle(0.1, s.take(0), numbersReset(2, 1, time.Second))
	s.settle(0.2, s.take(0), numbersReset(2, 0, 0))
	s.denied(1, Exhausted)
	s.take(1.15)
	s.denied(1.16, Exhausted)
}

// A limit that a response names becomes one, and counts the calls in flight.
func TestToldLimitAdoptsCallsInFlight(t *testing.T) {
	s := newSteps(t, daily(1000))
	a := s.take(0)
	s.take(0)
	s.take(0)
	o := numbersReset(60, 50, 30*time.Second)
	o.Observations[0].Limit = "burst"
	s.settle(0.1, a, o)
	s.available(0.2, "burst", 48)
	if st := s.l.Status(at0(0.2), s.bucketOf("burst")); st.Quota != 60 || st.Provenance != Told {
		t.Errorf("status %+v", st)
	}
}

// One set of headers, always of the limit that is closest to its end: told apart
// by the configured quota.
func TestToldApartByQuota(t *testing.T) {
	user := fixed(40, 10*time.Second)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, fixed(300, 10*time.Second), user)
	s.settle(0.1, s.take(0), numbersReset(40, 39, 5*time.Second))
	s.settle(0.2, s.take(0.1), numbersReset(300, 12, 5*time.Second))
	s.available(0.3, "user", 38)
	s.available(0.3, "app", 12)
}

// A limit of equal quota is, until more is known, the widest.
func TestEqualQuotasAreTheWidest(t *testing.T) {
	user := fixed(40, 10*time.Second)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, user, fixed(40, 10*time.Second))
	s.settle(0.1, s.take(0), numbersReset(40, 7, 5*time.Second))
	s.available(0.2, "app", 7)
	s.available(0.2, "user", 39)
}

// We turned late, in the middle of a window that had gone by unseen: its own last
// answers come after the first of the next one. They are neither the old window's,
// by which we would have turned early, nor this one's, whose end they would narrow.
func TestWindowThatWentByUnseen(t *testing.T) {
	s := newSteps(t, fixed(20, 3*time.Second))
	s.settle(0.1, s.take(0), numbersReset(20, 0, 3*time.Second))
	unseen := s.take(5.9) // the upstream's windows end at 3, 6, 9
	s.take(6)
	p := s.take(6)
	b := s.bucketOf("app")
	s.settle(6.05, p, numbersReset(20, 18, 3*time.Second))
	s.settle(6.06, unseen, numbersReset(20, 19, time.Second))
	if b.pad() != 0 || b.end.hi < at(at0(9)) {
		t.Errorf("pad %v, ends by %v, want none and 9s or later", b.pad(), b.end.hi.time().Sub(epoch))
	}
	s.available(6.1, "app", 17) // 18, less the one in flight
}

func TestWindowThatWentByUnseenWithVagueResets(t *testing.T) {
	vague := func(remaining int64, after time.Duration) Answer {
		a := numbersReset(20, remaining, after)
		a.Observations[0].Reset.Slack = 3 * time.Second / 2
		return a
	}
	s := newSteps(t, fixed(20, 3*time.Second))
	s.settle(0.1, s.take(0), vague(0, 2500*time.Millisecond))
	unseen := s.take(5.8)
	p := s.take(6.02)
	s.settle(6.1, p, vague(16, 3500*time.Millisecond))
	late := vague(17, 1500*time.Millisecond)
	late.Received = at0(5.9) // and reported late
	s.settle(6.13, unseen, late)
	if hi := s.bucketOf("app").end.hi; hi < at(at0(9)) {
		t.Errorf("ends by %v, want 9s or later", hi.time().Sub(epoch))
	}
}
