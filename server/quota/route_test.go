package quota

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func userScope(user string) Scope {
	return Scope{API: "api", App: "app", User: user, Endpoint: "GET /"}
}

// observed is an answer that tells of one bucket.
func observed(o Observation) Answer { return Answer{Observations: []Observation{o}} }

func (s *steps) names(scope Scope) []string {
	var names []string
	for _, b := range s.l.Counted(at0(0), scope) {
		names = append(names, b.Name())
	}
	return names
}

// Whose numbers they are, in this order: the limit that is named; the one counted
// as the response says; the one of that quota; the widest that is not known.
func TestMatchingOrder(t *testing.T) {
	day := Window{Kind: Calendar, Unit: Day}
	user, endpoint := Parts{User: true}, Parts{Endpoint: true}
	limits := []Limit{
		{Name: "narrow", Per: Parts{User: true, Endpoint: true}, Window: day},
		{Name: "app", Quota: 100, Provenance: Configured, Window: day},
		{Name: "user", Per: user, Quota: 50, Provenance: Configured, Window: day},
		{Name: "minute", Per: user, Quota: 50, Provenance: Configured, Window: Window{Kind: Fixed, Period: time.Minute}},
		{Name: "endpoint", Per: endpoint, Window: day},
		{Name: "tokens", Unit: "tokens", Quota: 100, Provenance: Configured, Window: day},
	}
	minute := Window{Kind: Fixed, Period: time.Minute}
	for name, tc := range map[string]struct {
		o    Observation
		want string
	}{
		"the name before all else":                         {Observation{Limit: "narrow", Says: true, Per: user, Quota: 100, Remaining: 3}, "narrow"},
		"what it says before the quota":                    {Observation{Says: true, Per: endpoint, Quota: 100, Remaining: 3}, "endpoint"},
		"says the user, and a day":                         {Observation{Says: true, Per: user, Window: day, Remaining: 3}, "user"},
		"says the user, and a minute":                      {Observation{Says: true, Per: user, Window: minute, Remaining: 3}, "minute"},
		"says the application":                             {Observation{Says: true, Remaining: 3}, "app"},
		"the quota before what is not known":               {Observation{Quota: 100, Remaining: 3}, "app"},
		"a quota nobody has: the widest that is not known": {Observation{Quota: 77, Remaining: 3}, "endpoint"},
		"no quota: the widest of all":                      {Observation{Remaining: 3}, "app"},
		"another unit of the same quota":                   {Observation{Unit: "tokens", Quota: 100, Remaining: 3}, "tokens"},
		"a name of another unit":                           {Observation{Limit: "app", Unit: "points", Quota: 9, Remaining: 3}, ""},
		"a name that nobody knows, and a quota":            {Observation{Limit: "other", Quota: 100, Remaining: 3}, "app"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, limits...)
			before := map[*Bucket]int64{}
			for _, b := range s.l.Counted(at0(0), call) {
				before[b] = b.m
			}
			s.l.Observe(at0(1), call, observed(tc.o))
			var got []string
			for b, m := range before {
				if b.m != m {
					got = append(got, b.Name())
				}
			}
			if tc.want == "" && len(got) == 0 || len(got) == 1 && got[0] == tc.want {
				return
			}
			t.Errorf("taken by %v, want %q", got, tc.want)
		})
	}
}

// A limit that responses tell of is made once, whoever hears of it, counted as the
// response says.
func TestToldLimitIsMadeOnce(t *testing.T) {
	s := newSteps(t, daily(1000))
	o := Observation{Limit: "burst", Says: true, Per: Parts{User: true}, Quota: 10, Remaining: 9, Window: Window{Kind: Fixed, Period: time.Minute}}
	for _, u := range []string{"u1", "u2", "u1", "u3"} {
		p := s.takeFor(0, userScope(u))
		s.settle(0, p, observed(o))
	}
	if n := len(s.l.told); n != 1 {
		t.Fatalf("%d limits are told, want one", n)
	}
	for _, u := range []string{"u1", "u2", "u3", "u4"} {
		if names := s.names(userScope(u)); !slices.Equal(names, []string{"day", "burst"}) {
			t.Errorf("a call of %s is counted by %v", u, names)
		}
	}
	if names := s.names(Scope{API: "api", App: "app"}); !slices.Equal(names, []string{"day"}) {
		t.Errorf("a call of no user is counted by %v", names)
	}
}

// An upstream that invents limits gets no more than so many.
func TestToldLimitsAreBounded(t *testing.T) {
	s := newSteps(t, daily(1000))
	var all Answer
	for i := range 100 {
		all.Observations = append(all.Observations,
			Observation{Limit: fmt.Sprint("limit ", i), Quota: int64(5000 + i), Remaining: 1},
			Observation{Says: true, Per: Parts{User: true}, Quota: int64(9000 + i), Remaining: 1, Unit: fmt.Sprint("unit", i)})
	}
	s.l.Observe(at0(1), call, all)
	if n := len(s.l.told); n != maxTold {
		t.Errorf("%d limits are told, want %d", n, maxTold)
	}
	if n := len(s.l.Counted(at0(1), call)); n != maxTold+1 {
		t.Errorf("%d buckets count a call", n)
	}
}

// A told limit is named by what is known of it.
func TestToldNames(t *testing.T) {
	for want, o := range map[string]Observation{
		"told-500":               {Quota: 500, Remaining: 1},
		"told-500-day":           {Quota: 500, Remaining: 1, Window: Window{Kind: Calendar, Unit: Day}},
		"told-500-1m0s-app+user": {Quota: 500, Remaining: 1, Says: true, Per: Parts{User: true}, Window: Window{Kind: Fixed, Period: time.Minute}},
		"told-tokens":            {Unit: "tokens", Remaining: 1},
		"its own name":           {Limit: "its own name", Quota: 3, Remaining: 1},
	} {
		s := newSteps(t, Limit{Name: "points", Unit: "points", Quota: 1, Provenance: Configured})
		s.l.Observe(at0(0), call, observed(o))
		if len(s.l.told) != 1 || s.l.told[0].Name != want || s.l.told[0].Provenance != Told {
			t.Errorf("told %+v, want %q", s.l.told, want)
		}
	}
}

// A told limit is forgotten after twenty answers that speak of others, once its
// window has ended; not while it is open or in use.
func TestToldLimitIsForgotten(t *testing.T) {
	s := newSteps(t, daily(1000))
	once := numbersReset(60, 50, 30*time.Second)
	once.Observations[0].Limit = "burst"
	s.settle(0, s.take(0), once)
	if names := s.names(call); !slices.Equal(names, []string{"day", "burst"}) {
		t.Fatalf("counted by %v", names)
	}
	other := func(sec float64) {
		t.Helper()
		s.settle(sec, s.take(sec), numbers(1000, 900))
	}
	for range 40 {
		other(1)
	}
	if len(s.l.told) != 1 {
		t.Fatal("forgotten while its window was open")
	}
	again := numbersReset(60, 50, 10*time.Second)
	again.Observations[0].Limit = "burst"
	s.settle(20, s.take(20), again) // told of again: counting starts over
	for range forgetAfter - 1 {
		other(32)
	}
	if len(s.l.told) != 1 {
		t.Fatal("forgotten after 19 answers")
	}
	other(32)
	if len(s.l.told) != 0 {
		t.Fatal("not forgotten after 20 answers")
	}
	if names := s.names(call); !slices.Equal(names, []string{"day"}) {
		t.Errorf("still counted by %v", names)
	}
	s.settle(33, s.take(33), once)
	if names := s.names(call); !slices.Equal(names, []string{"day", "burst"}) {
		t.Errorf("told of again: counted by %v", names)
	}
}

// Answers that say nothing are no reason to forget.
func TestSilenceForgetsNothing(t *testing.T) {
	s := newSteps(t, daily(1000))
	once := numbersReset(60, 50, 2*time.Second)
	once.Observations[0].Limit = "burst"
	s.settle(0, s.take(0), once)
	for range 40 {
		s.settle(10, s.take(10), Answer{})
	}
	if len(s.l.told) != 1 {
		t.Error("forgotten for want of news")
	}
}

// A limit of which nothing is configured is learned, and not known again when the
// upstream stops telling of it.
func TestUnknownLimitIsNotKnownAgain(t *testing.T) {
	s := newSteps(t)
	s.settle(0, s.take(0), numbersReset(60, 50, 2*time.Second))
	b := s.bucketOf("told-60")
	if b.quota != 60 || b.provenance != Told {
		t.Fatalf("quota %d, %v", b.quota, b.provenance)
	}
	for range forgetAfter {
		o := Observation{Limit: "other", Unit: "tokens", Remaining: 5}
		s.settle(10, s.take(10), observed(o))
	}
	if names := s.names(call); slices.Contains(names, "told-60") {
		t.Errorf("counted by %v: want it not known again", names)
	}
	for range 100 {
		s.take(11)
	}
}

// gateOf is the gate of a group of calls, nil when there is none.
func (s *steps) gateOf(key Scope) *Bucket { return s.l.find(nameBackoff, key) }

// Gates come to be only when an upstream says wait and names no bucket: one closes
// the user's calls, one lets a call of all others find out whether they are served.
func TestGatesAreMadeWhenNeeded(t *testing.T) {
	s := newSteps(t, daily(1000))
	gates := func(want int) {
		t.Helper()
		n := 0
		for b := range s.l.Buckets(Scope{}) {
			if b.gate {
				n++
			}
		}
		if n != want {
			t.Errorf("%d gates, want %d", n, want)
		}
	}
	s.settle(0, s.take(0), Answer{})
	s.settle(0, s.take(0), numbers(1000, 990))
	s.settle(0, s.take(0), Answer{Unanswered: true})
	gates(0)
	p, q := s.take(0), s.take(0)
	s.settle(1, p, wait(time.Second))
	gates(2)
	s.settle(1, q, wait(time.Second))
	gates(2)
	if !slices.Contains(s.names(call), nameBackoff) {
		t.Errorf("a call is counted by %v, not by the gate", s.names(call))
	}
	if b := s.gateOf(userScope("u2").Only(Parts{User: true})); b != nil {
		t.Error("another user is held back")
	}
	if b := s.gateOf(call.Only(Parts{})); b.state != ProbingState {
		t.Errorf("for all others: %v", b.state)
	}
}

// A gate that comes to be in mid-flight counts the calls in flight that it holds
// back, and lets go of them as they end.
func TestGateAdoptsCallsInFlight(t *testing.T) {
	s := newSteps(t, daily(1000))
	a, b, c := s.take(0), s.take(0), s.take(0)
	other := s.takeFor(0, Scope{API: "api", App: "app", User: "u2", Endpoint: "GET /other"})
	s.settle(1, a, wait(10*time.Second))
	gate := s.gateOf(call.Only(Parts{User: true}))
	if gate.flying != 2 || gate.o != 2 {
		t.Errorf("the gate counts %d calls, want the two of its user in flight", gate.flying)
	}
	s.settle(1, b, Answer{})
	s.released(1, c)
	s.settle(1, other, Answer{})
	if gate.flying != 0 || gate.o != 0 {
		t.Errorf("the gate still counts %d calls", gate.flying)
	}
}

// A bare refusal is nobody's of several empty buckets: it is not blamed on one.
func TestBareRefusalOfTwoEmptyBuckets(t *testing.T) {
	user := daily(1)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, daily(1), user)
	p := s.mustAsk(0, Request{Scope: call})
	s.settle(1, p, refused(Answer{}))
	for _, name := range []string{"day", "user"} {
		if st := s.bucketOf(name).state; st != Open {
			t.Errorf("%s is %v", name, st)
		}
	}
	if st := s.gateOf(call.Only(Parts{User: true})).state; st != Cooling {
		t.Errorf("the gate is %v", st)
	}
}

// Many users come and go: the buckets of windows that ended are dropped, those of
// open windows are kept, and a user who comes again finds all as it should be.
func TestSweep(t *testing.T) {
	user := daily(5)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, user)
	spend := func(sec float64, scope Scope) { s.settle(sec, s.takeFor(sec, scope), Answer{}) }
	const perDay, days = 4000, 25
	most := 0
	for day := range days {
		sec := float64(day) * 24 * 3600
		for i := range perDay {
			spend(sec+float64(i)/1000, userScope(fmt.Sprintf("u%d-%d", day, i)))
			s.l.Changed() // the status of each is shown
			most = max(most, s.l.size)
		}
		for range 5 {
			spend(sec+1000, userScope("every day"))
		}
		if d := s.try(sec+1000, userScope("every day")); d.Reason != Exhausted {
			t.Fatalf("day %d: %v after 5 of 5", day, d.Reason)
		}
	}
	if most > 4*perDay {
		t.Errorf("%d buckets at most, with %d users a day", most, perDay)
	}
	// An open window is kept, whatever was dropped around it.
	open := s.bucketFor(userScope("every day"))
	s.l.swept = 0
	s.l.sweep(at(at0(float64(days-1)*24*3600 + 2000)))
	if open == nil || s.bucketFor(userScope("every day")) != open || open.n != 5 {
		t.Error("a bucket of an open window was dropped")
	}
	if d := s.try(float64(days-1)*24*3600+2000, userScope("every day")); d.Reason != Exhausted {
		t.Errorf("%v after the sweep", d.Reason)
	}
	// One that was dropped is as new.
	if b := s.bucketFor(userScope("u0-0")); b != nil {
		t.Error("a bucket of the first day is kept")
	}
	spend(float64(days-1)*24*3600+2001, userScope("u0-0"))
	if b := s.bucketFor(userScope("u0-0")); b == nil || b.n != 1 {
		t.Error("the first user's second call is not counted")
	}
}

func (s *steps) bucketFor(scope Scope) *Bucket {
	for b := range s.l.Buckets(Scope{User: scope.User}) {
		if b.rule.Per.User {
			return b
		}
	}
	return nil
}

// What is open in any way is kept: a call in flight, a cool-down, a queue, a
// charge that nobody has told of.
func TestSweepKeepsWhatIsOpen(t *testing.T) {
	user := daily(5)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, user)
	flying := s.takeFor(0, userScope("flying"))
	s.settle(0, s.takeFor(0, userScope("cooling")), wait(time.Hour))
	s.released(0, s.takeFor(0, userScope("waiting")))
	s.settle(0, s.takeFor(0, userScope("silent")), Answer{Unanswered: true})
	s.settle(0, s.takeFor(0, userScope("of a node that lags")), numbers(5, 5))
	s.l.Queue(s.bucketFor(userScope("waiting")), 1)
	s.released(0, s.takeFor(0, userScope("idle")))
	s.l.Changed()
	s.l.swept = -1024
	s.l.sweep(at(at0(1)))
	kept := map[string]int{}
	for b := range s.l.Buckets(Scope{}) {
		kept[b.user]++
	}
	for user, want := range map[string]int{"flying": 1, "cooling": 2, "waiting": 1, "silent": 1, "of a node that lags": 1, "idle": 0} {
		if kept[user] != want {
			t.Errorf("%s: %d buckets, want %d", user, kept[user], want)
		}
	}
	s.settle(1, flying, numbers(5, 4))
	if b := s.bucketFor(userScope("flying")); b == nil || b.m != 4 {
		t.Error("the answer did not reach the bucket of its call")
	}
}

// Of a quota that nobody knows, what was counted towards a lesson is kept, and what
// remains where that is told; else it is asked again.
func TestSweepOfUnknownQuotas(t *testing.T) {
	for name, tc := range map[string]struct {
		limit  Limit
		called int
	}{
		"learned":   {learnDay(true), 1},
		"not known": {Limit{Name: "day", Per: Parts{User: true}}, 0},
	} {
		s := newSteps(t, tc.limit)
		s.use(0, 1, userScope("called"))
		s.settle(0, s.takeFor(0, userScope("told")), numbers(0, 3))
		s.released(0, s.takeFor(0, userScope("idle")))
		s.l.Changed()
		s.l.swept = -1024
		s.l.sweep(at(at0(1)))
		for user, want := range map[string]int{"called": tc.called, "told": 1, "idle": 0} {
			if n := len(slices.Collect(s.l.Buckets(userScope(user).Only(Parts{User: true})))); n != want {
				t.Errorf("%s, %s: %d buckets, want %d", name, user, n, want)
			}
		}
	}
}
