package quota

import (
	"testing"
	"time"
)

// unchanged checks that do changes nothing.
func (s *steps) unchanged(what string, do func()) {
	s.Helper()
	before := dump(s.l)
	do()
	if after := dump(s.l); after != before {
		s.Fatalf("%s changed the ledger:\n%s", what, diff(before, after))
	}
}

// ended checks that nothing can be done with a permit any more.
func (s *steps) ended(sec float64, p *Permit) {
	s.Helper()
	s.l.Advance(at0(sec))
	s.unchanged("what came after its end", func() {
		answers := []Answer{
			{}, numbersReset(100, 7, time.Second), refused(Answer{}), wait(time.Hour), {Unanswered: true},
			{Verdict: Overloaded}, {Costs: Costs{Requests: 50}},
		}
		for _, a := range answers {
			if s.l.Settle(at0(sec), p, a) {
				s.Errorf("settled again by %+v", a)
			}
		}
		if s.l.Release(at0(sec), p) {
			s.Error("released after its end")
		}
	})
	if p.Outstanding() {
		s.Error("an ended permit is outstanding")
	}
}

// A permit ends once: settled, released or lapsed; a report for one that lapsed
// is heard once. Whatever comes after changes nothing.
func TestPermitEndsOnce(t *testing.T) {
	lapse := 2*time.Second + Flight
	for name, end := range map[string]func(s *steps, p *Permit) float64{
		"settled":       func(s *steps, p *Permit) float64 { s.settle(1, p, Answer{}); return 1 },
		"with numbers":  func(s *steps, p *Permit) float64 { s.settle(1, p, numbersReset(100, 60, time.Hour)); return 1 },
		"refused":       func(s *steps, p *Permit) float64 { s.settle(1, p, refused(numbers(100, 0))); return 1 },
		"refused, bare": func(s *steps, p *Permit) float64 { s.settle(1, p, refused(Answer{})); return 1 },
		"not answered":  func(s *steps, p *Permit) float64 { s.settle(1, p, Answer{Unanswered: true}); return 1 },
		"released":      func(s *steps, p *Permit) float64 { s.released(1, p); return 1 },
		"lapsed, heard": func(s *steps, p *Permit) float64 {
			s.settle(lapse.Seconds()+1, p, Answer{})
			return lapse.Seconds() + 1
		},
		"lapsed, numbers": func(s *steps, p *Permit) float64 { s.settle(9, p, numbers(100, 60)); return 9 },
		"lapsed, silent":  func(s *steps, p *Permit) float64 { s.settle(9, p, Answer{Unanswered: true}); return 9 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, daily(100))
			p, other := s.take(0), s.take(0)
			if !p.Outstanding() {
				t.Error("a new permit is not outstanding")
			}
			sec := end(s, p)
			s.ended(sec, p)
			s.ended(sec+60, p)
			s.ended(13*3600, p) // in the next window
			if got, want := other.Outstanding(), false; got != want {
				t.Errorf("the other permit is outstanding: %v after an hour", got)
			}
		})
	}
}

func (s *steps) released(sec float64, p *Permit) {
	s.Helper()
	s.l.Advance(at0(sec))
	if !s.l.Release(at0(sec), p) {
		s.Fatalf("at %v: not released", sec)
	}
}

// ask takes as often as the store has to be asked first, once for each bucket.
func (s *steps) ask(sec float64, r Request) Decision {
	s.Helper()
	s.l.Advance(at0(sec))
	for range 8 {
		s.confirm(sec)
		if d := s.l.Take(at0(sec), r); d.Reason != Reserving {
			return d
		}
	}
	s.Fatalf("at %v: the store confirms, and that is not enough", sec)
	return Decision{}
}

func (s *steps) mustAsk(sec float64, r Request) *Permit {
	s.Helper()
	d := s.ask(sec, r)
	if !d.Allowed() {
		s.Fatalf("at %v: denied: %v by %s", sec, d.Reason, d.Bucket.Name())
	}
	return d.Permit
}

// Giving back credits, exactly once, in every bucket.
func TestReleaseCredits(t *testing.T) {
	user := daily(2)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, daily(3), user)
	one := Request{Scope: call}
	a, b := s.mustAsk(0, one), s.mustAsk(0, one)
	s.denied(0, Exhausted)
	s.released(1, a)
	s.available(1, "day", 2)
	s.available(1, "user", 1)
	s.ended(1, a)
	s.available(1, "user", 1)
	s.take(1)
	s.released(1, b)
	s.take(1)
	s.denied(1, Exhausted)
}

// A permit lapses one flight allowance after its send deadline, not before.
func TestPermitLapses(t *testing.T) {
	s := newSteps(t, daily(100))
	p := s.take(0)
	due := 2*time.Second + Flight
	if wake := s.l.Wake(at0(0)); !wake.Equal(epoch.Add(due)) {
		t.Errorf("wakes at %v, want when it lapses", wake.Sub(epoch))
	}
	s.l.Advance(epoch.Add(due - 1))
	if !p.Outstanding() {
		t.Fatal("lapsed a nanosecond early")
	}
	s.l.Advance(epoch.Add(due))
	if p.Outstanding() {
		t.Fatal("did not lapse when it was due")
	}
	b := s.bucketOf("day")
	if b.o != 0 || b.flying != 0 || b.a-b.aCov != 1 || b.lapsed() != 1 || b.n != 0 {
		t.Errorf("o %d, flying %d, a %d, covered %d, lapsed %d, n %d: want it spent without evidence", b.o, b.flying, b.a, b.aCov, b.lapsed(), b.n)
	}
	s.available(3, "day", 99)
	s.unchanged("Release after the lapse", func() {
		if s.l.Release(at0(3), p) {
			t.Error("released after it lapsed")
		}
	})
	if wake := s.l.Wake(at0(3)); !wake.IsZero() {
		t.Errorf("wakes at %v for nothing", wake.Sub(epoch))
	}
}

// A permit is lapsed a second after its default deadline where none is set.
func TestPermitLapsesByDefault(t *testing.T) {
	l := NewLedger(&Rules{API: "api", Limits: []Limit{{Name: "day", Window: Window{Kind: Calendar, Unit: Day}}}}, 1)
	p := l.Take(epoch, Request{Scope: call}).Permit
	l.Advance(epoch.Add(DefaultSendWithin + Flight - 1))
	if !p.Outstanding() {
		t.Error("lapsed early")
	}
	if l.Advance(epoch.Add(DefaultSendWithin + Flight)); p.Outstanding() {
		t.Error("did not lapse")
	}
}

// Permits lapse in the order of their grants, each when it is due, however late
// that is noticed; those that ended before are passed over.
func TestPermitsLapseInOrder(t *testing.T) {
	s := newSteps(t, daily(100))
	a, b, c, d := s.take(0), s.take(0.5), s.take(1), s.take(1.5)
	s.settle(1.6, b, numbers(100, 96))
	s.released(1.7, a)
	s.l.Advance(at0(3.9))
	if !c.Outstanding() || !d.Outstanding() {
		t.Fatal("lapsed early")
	}
	s.l.Advance(at0(4))
	if c.Outstanding() || !d.Outstanding() {
		t.Fatal("want the third lapsed and the fourth not")
	}
	s.l.Advance(at0(100))
	if d.Outstanding() {
		t.Fatal("the fourth did not lapse")
	}
	n := 0
	for range s.l.permits.all {
		n++
	}
	if n != 0 || s.l.permits.first != nil || s.l.permits.last != nil {
		t.Errorf("%d permits are kept", n)
	}
	s.take(100)
	s.available(100, "day", 93) // 96 less c, d and the new one
}

// Peer bug 9: a report that comes after the lapse counts once and gives no
// credit; the next answer tells what the upstream counted.
func TestPeerBugLateReportGivesNoCredit(t *testing.T) {
	s := newSteps(t, daily(10))
	p := s.take(0)
	s.available(4, "day", 9)
	s.settle(5, p, Answer{})
	s.available(5, "day", 9)
	b := s.bucketOf("day")
	if b.o != 0 || b.flying != 0 || b.a != 1 || b.n != 1 || b.lost != 0 {
		t.Errorf("o %d, flying %d, a %d, n %d, lost %d: counted twice", b.o, b.flying, b.a, b.n, b.lost)
	}
	late := s.take(6)
	s.l.Advance(at0(10))
	s.settle(11, late, numbers(10, 8))
	// 8 are left, and of the call that this answer is of nobody knows whether it
	// is counted in it: it was not settled when it left.
	s.available(11, "day", 7)
	s.settle(12, s.take(12), numbers(10, 7))
	s.available(12, "day", 7)
}

// A call without an answer is spent: the upstream may have counted it.
func TestUnansweredIsSpent(t *testing.T) {
	s := newSteps(t, daily(10))
	s.settle(1, s.take(0), Answer{Unanswered: true, Verdict: Refused, RetryAfter: time.Hour})
	s.available(1, "day", 9)
	if b := s.bucketOf("day"); b.state != Open || b.n != 0 || b.lapsed() != 0 {
		t.Errorf("%+v: the rest of an answer that did not come was read", b)
	}
}

// A refused call costs nothing of our own count.
func TestRefusedIsNotCounted(t *testing.T) {
	s := newSteps(t, daily(10))
	s.settle(1, s.take(0), Answer{Verdict: Overloaded, Backoff: time.Second})
	if b := s.bucketOf("day"); b.n != 0 || b.o != 0 {
		t.Errorf("n %d, o %d", b.n, b.o)
	}
}

// What a call really took replaces what was reserved for it.
func TestActualCosts(t *testing.T) {
	tokens := Limit{Name: "tokens", Unit: "tokens", Quota: 1000, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day}}
	s := newSteps(t, daily(10), tokens)
	take := func() *Permit { return s.mustAsk(0, Request{Scope: call, Costs: Costs{"tokens": 400}}) }
	a, b := take(), take()
	s.available(0, "tokens", 200)
	s.settle(1, a, Answer{Costs: Costs{"tokens": 50}})
	s.available(1, "tokens", 550)
	s.settle(1, b, Answer{Costs: Costs{"tokens": 700, Requests: 0}})
	s.available(1, "tokens", 250)
	s.available(1, "day", 9) // the second said that it was no request at all
}

// A call that costs more than a whole window has can never be made, and says so.
func TestTooLarge(t *testing.T) {
	s := newSteps(t, daily(10))
	d := s.l.Take(at0(0), Request{Scope: call, Costs: Costs{Requests: 11}})
	if d.Reason != TooLarge || !d.Firm || !d.RetryAt.IsZero() || d.Allowed() || d.Permit != nil {
		t.Errorf("%+v", d)
	}
	s.l.Take(at0(0), Request{Scope: call, Costs: Costs{Requests: 10}})
	s.l.Reserved(at0(0), s.l.Wanted(at0(0)))
	if d := s.l.Take(at0(0), Request{Scope: call, Costs: Costs{Requests: 10}}); !d.Allowed() {
		t.Errorf("all of it at once: %+v", d)
	}
}

// Peer bug 1: with k left exactly k are granted. Peer bug 2: a call that one
// bucket denies is charged in none.
func TestPeerBugAllOrNothing(t *testing.T) {
	user := daily(2)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, daily(5), user)
	granted := map[string]int{}
	for range 10 {
		for _, u := range []string{"u1", "u2", "u3"} {
			if s.ask(0, Request{Scope: Scope{API: "api", App: "app", User: u, Endpoint: "GET /"}}).Allowed() {
				granted[u]++
			}
		}
	}
	if granted["u1"] != 2 || granted["u2"] != 2 || granted["u3"] != 1 {
		t.Errorf("granted %v, want 2, 2 and 1", granted)
	}
	for b := range s.l.Buckets(Scope{User: "u3"}) {
		if b.o != 1 {
			t.Errorf("the third user is charged %d for one call", b.o)
		}
	}
}

// Check decides as Take does, and takes nothing.
func TestCheckSpendsNothing(t *testing.T) {
	s := newSteps(t, daily(2))
	for range 10 {
		if d := s.l.Check(at0(0), Request{Scope: call}); d.Reason != Reserving || d.Permit != nil {
			t.Fatalf("%+v, want that it has to be reserved first", d)
		}
	}
	s.take(0)
	s.l.Reserved(at0(0), s.l.Wanted(at0(0)))
	s.unchanged("Check", func() {
		for range 10 {
			if d := s.l.Check(at0(0), Request{Scope: call}); !d.Allowed() || d.Permit != nil {
				t.Fatalf("%+v", d)
			}
		}
	})
	s.take(0)
	d := s.l.Check(at0(0), Request{Scope: call})
	if d.Reason != Exhausted || d.Bucket.Name() != "day" {
		t.Errorf("%+v", d)
	}
}
