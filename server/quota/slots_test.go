package quota

import (
	"testing"
	"time"
)

func slotted(t *testing.T, quota int64) *steps {
	limit := declared(quota, Window{Kind: Concurrent})
	return stepsBy(t, &Rules{API: "api", SendWithin: 2 * time.Second, ReportWithin: time.Minute, Limits: []Limit{limit}})
}

// A slot is held until the report, also beyond the permit's lapse, and no longer
// than a report is awaited.
func TestSlotIsHeldUntilTheReport(t *testing.T) {
	s := slotted(t, 2)
	slow, dead := s.take(0), s.take(1)
	s.denied(10, Exhausted) // both have lapsed
	if slow.Outstanding() || dead.Outstanding() {
		t.Fatal("a permit did not lapse")
	}
	s.settle(30, slow, Answer{})
	s.available(30, "app", 1)
	s.ended(30, slow)
	if wake := s.l.Wake(at0(30)); !wake.Equal(at0(61)) {
		t.Errorf("wakes at %v, want when the report is not awaited any more", wake.Sub(epoch))
	}
	s.available(60.9, "app", 1)
	s.available(61, "app", 2)
	if s.l.Settle(at0(62), dead, Answer{}) {
		s.available(62, "app", 2)
	}
	if got := s.bucketOf("app").tally; got.Lapsed != 1 || got.Granted != 2 {
		t.Errorf("%+v, want one that lapsed", got)
	}
}

// However a call ends, its slot is free, once.
func TestSlotIsFreedOnce(t *testing.T) {
	for name, end := range map[string]func(s *steps, p *Permit){
		"passed":        func(s *steps, p *Permit) { s.settle(1, p, Answer{}) },
		"numbers":       func(s *steps, p *Permit) { s.settle(1, p, numbers(3, 0)) },
		"not answered":  func(s *steps, p *Permit) { s.settle(1, p, Answer{Unanswered: true}) },
		"not sent":      func(s *steps, p *Permit) { s.released(1, p) },
		"late":          func(s *steps, p *Permit) { s.settle(20, p, Answer{}) },
		"late, silent":  func(s *steps, p *Permit) { s.settle(20, p, Answer{Unanswered: true}) },
		"never":         func(s *steps, p *Permit) {},
		"passed, often": func(s *steps, p *Permit) { s.settle(1, p, Answer{Costs: Costs{Requests: 2}}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := slotted(t, 3)
			p := s.take(0)
			s.available(0, "app", 2)
			end(s, p)
			s.available(60, "app", 3)
			s.l.Settle(at0(61), p, Answer{})
			s.available(61, "app", 3)
			if b := s.bucketOf("app"); b.flying != 0 || b.n != 0 || b.a != 0 || b.lapsed() != 0 {
				t.Errorf("%d flying, n %d, a %d, lapsed %d: nothing counts on", b.flying, b.n, b.a, b.lapsed())
			}
		})
	}
}

// After a crash the slots of an earlier owner are held as long as its reports were
// awaited; after a stop those that were taken.
func TestSlotsAfterARestart(t *testing.T) {
	s := slotted(t, 100)
	for range 3 {
		s.take(0)
	}
	crashed := s.successor(1, s.records(0)...)
	reserved := s.bucketOf("app").reserved
	if reserved < 3 || reserved > 10 {
		t.Fatalf("%d are reserved", reserved)
	}
	crashed.available(60.9, "app", 100-reserved)
	crashed.available(61, "app", 100)

	stopped := s.successor(1, s.l.Final(at0(1))...)
	stopped.available(60.9, "app", 97)
	stopped.available(61, "app", 100)
}

// A reload that drops the limit forgets its slots, and one that keeps it keeps
// them.
func TestSlotsAfterAReload(t *testing.T) {
	s := slotted(t, 2)
	p := s.take(0)
	s.available(10, "app", 1)
	more := declared(5, Window{Kind: Concurrent})
	rules := *s.l.rules
	rules.Limits = []Limit{more}
	s.l.Adopt(at0(10), &rules)
	s.available(10, "app", 4)
	gone := rules
	gone.Limits = []Limit{daily(10)}
	s.l.Adopt(at0(11), &gone)
	s.settle(12, p, Answer{})
	s.available(12, "day", 10)
}
