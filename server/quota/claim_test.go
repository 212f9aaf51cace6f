package quota

import (
	"slices"
	"testing"
	"time"
)

// tells answers a call of each of so many users with the first of their ten in an hour;
// the hours are by the clock.
func (s *steps) tells(sec float64, users ...int) {
	s.Helper()
	for _, n := range users {
		s.settle(sec+0.1, s.takeFor(sec, member(n)), ofHour(sec, 9))
	}
}

func ofHour(sec float64, remaining int64) Answer {
	return numbersReset(10, remaining, time.Hour-time.Duration(sec)*time.Second%time.Hour)
}

func (s *steps) stands(want ...string) {
	s.Helper()
	if got := s.l.standsFor(); !slices.Equal(got, want) {
		s.Fatalf("%v stand, want %v", got, want)
	}
}

// A refusal that none of those left would have held back brings back all that was
// contradicted, once a window: and from then on that takes twice as much more.
func TestRefusalThatNobodyPredicted(t *testing.T) {
	s := newSteps(t)
	refuse := func(sec float64, n int) {
		t.Helper()
		s.settle(sec+0.1, s.takeFor(sec, member(n)), refused(ofHour(sec, 0)))
	}
	s.tells(0, 1, 2)
	s.stands("10 app")
	s.tells(1, 3)
	s.stands("10 app+user")
	refuse(10, 1)
	s.stands("10 app", "10 app+user")
	s.try(11, member(2)) // that nothing is left of all is doubted: after a second one asks
	s.tells(12, 2, 3, 4)
	s.stands("10 app", "10 app+user")
	s.tells(13, 5)
	s.stands("10 app+user")
	refuse(20, 2)
	s.stands("10 app+user")
	const hour = 3600
	s.tells(hour+10, 1)
	refuse(hour+20, 3)
	s.stands("10 app", "10 app+user")
	s.try(hour+21, member(2))
	s.tells(hour+22, 2, 4, 5, 6, 7)
	s.stands("10 app", "10 app+user")
	s.tells(hour+23, 8)
	s.stands("10 app+user")
}

// What follows a limit that was contradicted begins with what that counted in this
// window: all of it may have been this one's.
func TestContradictedLimitIsFollowed(t *testing.T) {
	s := newSteps(t)
	s.tells(0, 1, 2, 3, 4)
	s.stands("10 app+user")
	s.takeFor(5, member(5))
	if b := s.bucketFor(member(5)); b.n != 2 || b.available() != 7 || !b.end.known() || b.heardOf().hull != b.end {
		t.Errorf("a new user's: %d counted, %d left, ends %v, heard %+v", b.n, b.available(), b.end, b.heardOf())
	}
	s.takeFor(3610, member(6))
	if b := s.bucketFor(member(6)); b.n != 0 || b.available() != 9 {
		t.Errorf("in the next window: %d counted, %d left", b.n, b.available())
	}
}

// What it takes to contradict is halved again after many calm windows, and never less
// than it was.
func TestSlackHalves(t *testing.T) {
	c := &claim{doublings: 2, revivedUntil: 100}
	c.candidate(Parts{})
	c.candidate(Parts{User: true})
	for i := range 4 * slackHalves {
		c.begun(99, Parts{})
		c.begun(100, Parts{User: true})
		if got, want := c.slack(10), int64(4)>>min(i/slackHalves, 2); got != want {
			t.Fatalf("a slack of %d after %d calm windows, want %d", got, i, want)
		}
		c.begun(100, Parts{})
	}
	if c.revive(200, 0); c.doublings != 0 {
		t.Error("nothing was contradicted, and it takes more from now on")
	}
	c.candidate(Parts{}).out = true
	if c.revive(200, 0); c.revivedUntil != instant(200).add(time.Second) { // no reset was told
		t.Errorf("brought back until %d", c.revivedUntil)
	}
	for i := range 20 {
		c.candidates[0].out = true
		c.revive(instant(300+i).add(time.Duration(i)*time.Second), 0)
	}
	if got := c.slack(10); got != 1<<8 {
		t.Errorf("a slack of %d after very many refusals, want 256", got)
	}
}

// Numbers that two configured limits of one quota may both have had are forgotten by
// the one that was contradicted; what passed by its own count is not.
func TestContradictedLimitForgetsNumbers(t *testing.T) {
	for _, quota := range []int64{10, 0} {
		hour := Window{Kind: Fixed, Period: time.Hour, Aligned: true}
		app, user := Limit{Name: "app", Quota: quota, Window: hour}, Limit{Name: "user", Per: Parts{User: true}, Quota: quota, Window: hour}
		if quota > 0 {
			app.Provenance, user.Provenance = Configured, Configured
		}
		other := Limit{Name: "other", Quota: 50, Provenance: Configured, Window: hour}
		s := newSteps(t, app, user, other)
		tells := func(sec float64, n int) {
			a := ofHour(sec, 9)
			a.Observations = append(a.Observations, Observation{Limit: "other", Quota: 50, Remaining: 20})
			s.settle(sec+0.1, s.takeFor(sec, member(n)), a)
		}
		tells(0, 1)
		tells(0.5, 2)
		s.available(1, "app", 8)
		s.tells(1, 3)
		if b := s.bucketOf("other"); b.m != 20 {
			t.Errorf("of another limit %d remain", b.m)
		}
		if b := s.bucketOf("app"); b.quota != quota || b.provenance != app.Provenance || b.n != 3 || b.m != b.full() || b.heardNow() {
			t.Errorf("configured %d: %d remain of %d, %v, after %d", quota, b.m, b.quota, b.provenance, b.n)
		}
		if b := s.l.find("user", member(3).Only(user.Per)); b.quota != 10 || b.m != 9 {
			t.Errorf("the user's: %d remain of %d", b.m, b.quota)
		}
	}
}

// Of very many users a part of the answers is enough: those of a window that has ended
// make room.
func TestWitnessesAreBounded(t *testing.T) {
	var x candidate
	for i := range maxWitnesses {
		if w := x.witness(1, member(i), instant(10+i%2)); w == nil || w != x.witness(2, member(i), 0) {
			t.Fatalf("%d is not watched", i)
		}
	}
	if w := x.witness(10, member(maxWitnesses), 12); w != nil || x.witness(10, member(0), 12) == nil {
		t.Error("one more is watched, or one less")
	}
	if w := x.witness(11, member(maxWitnesses), 22); w == nil || len(x.witnesses) != 1 {
		t.Errorf("%d are watched after the windows' end, want the new one", len(x.witnesses))
	}
}

// An answer that says that its call took nothing shows nothing of who is counted
// together: many of those may show the same use.
func TestFreeCallsContradictNothing(t *testing.T) {
	for name, a := range map[string]Answer{"free": {Free: true}, "of no request": {Costs: Costs{Requests: 0}}, "of none that is said": {Free: true, Costs: Costs{"points": 1}}} {
		s := newSteps(t)
		for i := range 20 {
			free := ofHour(0, 9)
			free.Free, free.Costs = a.Free, a.Costs
			s.settle(0.1, s.takeFor(0, member(i)), free)
		}
		if got := s.l.standsFor(); !slices.Equal(got, []string{"10 app"}) {
			t.Errorf("%s: %v stand", name, got)
		}
	}
}

// What was contradicted is after a restart.
func TestRestartKeepsWhatIsContradicted(t *testing.T) {
	for how, end := range endings() {
		t.Run(how, func(t *testing.T) {
			s := newSteps(t)
			s.tells(0, 1, 2, 3)
			s.takeFor(1, member(3))
			s.stands("10 app+user")
			delete(s.store, recordID{"told-10", call.Only(Parts{})})
			s = end(s, 2)
			s.tells(10, 4, 5)
			s.stands("10 app+user")
		})
	}
}

// A limit that turned out not to be there is believed again by new rules.
func TestReloadBelievesAgain(t *testing.T) {
	s := newSteps(t, daily(200))
	s.l.claims = []*claim{{name: "other", unit: Requests, void: true}}
	other := Answer{Observations: []Observation{{Limit: "other", Quota: 20, Remaining: 12}}}
	s.settle(1, s.take(0), other)
	if names := s.names(call); !slices.Equal(names, []string{"day"}) {
		t.Fatalf("counted by %v", names)
	}
	s.reload(2, daily(100))
	s.settle(3, s.take(3), other)
	if names := s.names(call); !slices.Equal(names, []string{"day", "other"}) {
		t.Errorf("after a reload: counted by %v", names)
	}
}

// Which of two windows an answer is of, as a witness places it: by the reset as it was
// written where both were, else by where the resets can lie.
func TestWitnessPlaces(t *testing.T) {
	w := witness{end: span{100, 200}, epoch: 7}
	for want, all := range map[int][]sighting{
		1:  {{epoch: 8, end: span{150, 160}}, {end: span{201, 300}}},
		0:  {{epoch: 7, end: span{500, 600}}, {end: span{200, 300}}, {end: span{50, 100}}},
		-1: {{epoch: 6, end: span{150, 160}}, {end: span{50, 99}}},
	} {
		for _, x := range all {
			if got := w.place(&x); got != want {
				t.Errorf("%+v: %d, want %d", x, got, want)
			}
		}
	}
	w.epoch = 0
	if x := (sighting{epoch: 8, end: span{150, 160}}); w.place(&x) != 0 {
		t.Error("a reset that is written otherwise is another window's")
	}
}

// Limits that are told without their scope are told apart by their name and unit, and
// where they have none by their quota and window.
func TestClaimIsOf(t *testing.T) {
	day := Window{Kind: Calendar, Unit: Day}
	named := claim{name: "a", unit: Requests}
	nameless := claim{unit: "points", quota: 10, window: day}
	for _, tt := range []struct {
		o               Observation
		named, nameless bool
	}{
		{Observation{Limit: "a", Quota: 5}, true, false},
		{Observation{Limit: "a", Unit: "points"}, false, false},
		{Observation{Limit: "b"}, false, false},
		{Observation{Unit: "points", Quota: 10, Window: day}, false, true},
		{Observation{Unit: "points", Quota: 11, Window: day}, false, false},
		{Observation{Unit: "points", Quota: 10}, false, false},
		{Observation{Quota: 10, Window: day}, false, false},
	} {
		if a, b := named.claims(&tt.o), nameless.claims(&tt.o); a != tt.named || b != tt.nameless {
			t.Errorf("%+v: of the one that is named %v, of the other %v", tt.o, a, b)
		}
	}
}
