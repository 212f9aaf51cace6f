package quota

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func (s *steps) explain(sec float64, name string) Explanation {
	s.Helper()
	b := s.bucketOf(name)
	e := s.l.Explain(at0(sec), b)
	st := s.l.Status(at0(sec), b)
	if st.Quota != Unknown {
		left := st.Quota - e.Counted
		if e.Confirmed != Unknown {
			left = min(left, e.Confirmed-e.Uncovered)
		}
		if left = max(0, left-e.Held-e.Theirs); left != st.Remaining {
			s.Errorf("at %v: %+v makes %d remaining, and there are %d", sec, e, left, st.Remaining)
		}
	}
	return e
}

func TestExplainStepByStep(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	first := s.take(0)
	if e := s.explain(0, "app"); e.Held != 1 || e.Counted != 0 || e.Confirmed != Unknown || !e.Sliding || !e.ConfirmedAt.IsZero() || !e.EndHi.IsZero() {
		t.Errorf("after a grant: %+v", e)
	}
	s.settle(1, first, numbersReset(100, 40, 10*time.Minute))
	e := s.explain(1, "app")
	if e.Held != 0 || e.Counted != 1 || e.Confirmed != 40 || e.Uncovered != 0 || e.Sliding || !e.ConfirmedAt.Equal(at0(1)) {
		t.Errorf("after numbers: %+v", e)
	}
	if !e.EndLo.Equal(at0(599)) || !e.EndHi.Equal(at0(602)) {
		t.Errorf("ends within [%v, %v], want 9 m 59 s to 10 m 2 s", e.EndLo, e.EndHi)
	}
	s.settle(3, s.take(2), Answer{})
	if e := s.explain(3, "app"); e.Uncovered != 1 || e.Counted != 2 || e.Confirmed != 40 {
		t.Errorf("after an answer without numbers: %+v", e)
	}
	s.settle(5, s.take(4), numbers(100, 5))
	if e := s.explain(5, "app"); e.Confirmed != 5 || e.Uncovered != 0 || !e.Doubtful {
		t.Errorf("after a fall that nothing explains: %+v", e)
	}
	s.take(603) // the window has turned
	if e := s.explain(603, "app"); e.Held != 1 || !e.ConfirmedAt.IsZero() || e.Began.Before(at0(602)) || !e.EndHi.IsZero() {
		t.Errorf("after the turn: %+v", e)
	}
}

func TestExplainAGate(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	s.settle(1, s.take(0), Answer{Verdict: Overloaded, Reason: "busy"})
	if e := s.explain(1, nameBackoff); !e.Gate || e.Confirmed != Unknown || s.explain(1, "app").Gate {
		t.Errorf("got %+v", e)
	}
}

func TestHeard(t *testing.T) {
	s := newSteps(t, fixed(100, time.Hour))
	p, q := s.take(0), s.take(0)
	s.settle(1, p, Answer{})
	b := s.bucketOf("app")
	if got := s.l.Heard(b); !got.IsZero() {
		t.Errorf("before any numbers: %v", got)
	}
	r := s.take(2)
	s.settle(3, r, numbers(100, 50))
	s.settle(4, q, numbers(100, 60)) // overtaken, and heard all the same
	if got := s.l.Heard(b); !got.Equal(at0(4)) {
		t.Errorf("heard at %v, want 4 s", got)
	}
}

// The bucket that a refusal was blamed on is told, and none for a call that
// passed or that nothing is said of.
func TestBlamed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer Answer
		want   string
	}{
		{"passed", numbers(100, 50), ""},
		{"said", refused(numbers(100, 0)), "app"},
		{"overloaded", Answer{Verdict: Overloaded}, ""},
		{"with numbers to spare", refused(numbers(100, 50)), ""},
		{"bare", wait(time.Second), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSteps(t, fixed(100, time.Hour))
			p := s.take(0)
			s.settle(1, p, tt.answer)
			if got := p.Blamed(); got != tt.want {
				t.Errorf("blamed on %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBlamedWhenPredicted(t *testing.T) {
	s := newSteps(t, fixed(1, time.Hour))
	s.settle(1, s.take(0), numbers(1, 0))
	d := s.l.Take(at0(2), Request{Scope: call, Force: true})
	if d.Reason != Exhausted || d.Permit == nil {
		t.Fatalf("forced: %+v", d)
	}
	s.settle(3, d.Permit, Answer{Verdict: Refused})
	if got := d.Permit.Blamed(); got != "app" {
		t.Errorf("blamed on %q, want the one that was known to be empty", got)
	}
	s.settle(5, s.l.Take(at0(4), Request{Scope: call, Force: true}).Permit, Answer{Verdict: Overloaded})
	p := s.l.Take(at0(6), Request{Scope: call, Force: true}).Permit
	if got := slices.Collect(p.Limits); !slices.Equal(got, []string{"app"}) {
		t.Errorf("counted by %q, want the limit and not what only backs off", got)
	}
}

// Of a limit of which the upstream tells less than is configured, both are told.
func TestCorrected(t *testing.T) {
	user := daily(50)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, daily(100), user)
	p := s.mustAsk(0, Request{Scope: call})
	s.settle(1, p, each(numbers(40, 39), "day"))
	var got []string
	p = s.mustAsk(2, Request{Scope: call})
	p.Corrected(func(limit string, configured, told int64) {
		got = append(got, fmt.Sprintf("%s %d, not %d", limit, told, configured))
	})
	if want := "[day 40, not 100]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestScopeCompare(t *testing.T) {
	labels := mustLabels("tenant", "t1")
	sorted := []Scope{
		{}, {Labels: labels}, {Endpoint: "e"}, {User: "a", Endpoint: "f"}, {User: "b"}, {App: "a", User: "a"}, {API: "a"}, {API: "a", App: "b"}, {API: "b"},
	}
	for i, a := range sorted {
		for j, b := range sorted {
			if got, want := a.Compare(b), min(1, max(-1, i-j)); got != want {
				t.Errorf("%v and %v: %d, want %d", a, b, got, want)
			}
		}
	}
}
