package quota

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// reload adopts rules that are like those of the steps but for their limits.
func (s *steps) reload(sec float64, limits ...Limit) {
	s.l.Adopt(at0(sec), &Rules{API: "api", Limits: limits, SendWithin: 2 * time.Second})
}

// taken takes and settles without numbers.
func (s *steps) taken(sec float64, n int) {
	s.Helper()
	for range n {
		s.settle(sec, s.take(sec), Answer{})
	}
}

// What was used is used, whichever way the quota goes.
func TestReloadKeepsCounts(t *testing.T) {
	s := newSteps(t, daily(10))
	s.taken(0, 4)
	s.take(1)
	s.reload(1, daily(20))
	s.available(1, "day", 15)
	s.reload(1, daily(8))
	s.available(1, "day", 3)
	s.reload(1, daily(4))
	s.available(1, "day", -1)
	s.denied(1, Exhausted)
	if st := s.l.Status(at0(1), s.bucketOf("day")); st.Remaining != 0 || st.Quota != 4 {
		t.Errorf("remaining %d of %d, want 0 of 4", st.Remaining, st.Quota)
	}
	s.reload(1, daily(10))
	s.available(1, "day", 5)
}

// A quota that shrinks with permits out holds at once for those that come, and a
// permit that lapses stays charged.
func TestReloadShrinksWithPermitsOut(t *testing.T) {
	s := newSteps(t, daily(10))
	p := []*Permit{s.take(0), s.take(0), s.take(0)}
	s.reload(0, daily(2))
	s.denied(0, Exhausted)
	s.settle(0, p[0], Answer{})
	s.released(0, p[1])
	s.available(0, "day", 0)
	s.released(0, p[2])
	s.available(0, "day", 1)
	s.take(0)
	s.available(4, "day", 0)
	s.reload(4, daily(3))
	s.available(4, "day", 1)
}

// A response that told less than the operator's new quota is believed; what
// remained by a response may be out of date, and one probe finds out.
func TestReloadGrowsAgainstWhatWasTold(t *testing.T) {
	t.Run("the limit", func(t *testing.T) {
		s := newSteps(t, daily(10))
		a := numbers(5, 4)
		a.Observations[0].Limit = "day"
		s.settle(0, s.take(0), a)
		s.reload(0, daily(20))
		s.available(0, "day", 4)
		s.reload(0, daily(3))
		s.available(0, "day", 2)
	})
	t.Run("what remains", func(t *testing.T) {
		s := newSteps(t, daily(10))
		s.settle(0, s.take(0), numbers(10, 0))
		s.denied(0, Exhausted)
		s.reload(1, daily(20))
		s.denied(1, Exhausted)
		probe := s.take(2.5)
		s.denied(2.5, Exhausted)
		s.settle(2.5, probe, numbers(20, 9))
		s.available(2.5, "day", 9)
	})
	t.Run("a mistake that is taken back", func(t *testing.T) {
		s := newSteps(t, daily(100))
		s.settle(0, s.take(0), numbers(100, 60))
		s.reload(0, daily(10))
		s.denied(0, Exhausted)
		s.reload(1, daily(100))
		s.denied(1, Exhausted)
		s.settle(2.5, s.take(2.5), numbers(100, 59))
		s.available(2.5, "day", 59)
	})
}

// A quota can be known from now on, or not any more.
func TestReloadToAndFromLearn(t *testing.T) {
	learn := daily(0)
	learn.Provenance = Nobody
	s := newSteps(t, learn)
	s.taken(0, 3)
	s.reload(1, daily(5))
	s.available(1, "day", 2)
	s.reload(1, learn)
	asked := s.take(1)
	s.denied(1, Probing)
	s.settle(1, asked, Answer{})
	s.take(1)
	s.take(1)
	s.reload(1, daily(5))
	s.available(1, "day", -1)
	s = newSteps(t, daily(10))
	s.settle(0, s.take(0), each(numbers(5, 4), "day"))
	s.reload(1, learn)
	if b := s.bucketOf("day"); b.quota != 5 || b.provenance != Told {
		t.Errorf("what a response told: %d, %v", b.quota, b.provenance)
	}
}

// A limit that counts the same calls as one that goes begins with what that had
// used and with its cool-down, whether it is its name or its window that changed.
func TestReloadTakesOver(t *testing.T) {
	sliding := Limit{Name: "day", Quota: 10, Provenance: Configured, Window: Window{Kind: Sliding, Period: time.Hour}}
	renamed := daily(10)
	renamed.Name = "app-day"
	for name, limit := range map[string]Limit{"window": sliding, "name": renamed} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, daily(10))
			s.taken(0, 4)
			out := s.take(0)
			s.reload(1, limit)
			s.available(1, limit.Name, 5)
			s.released(1, out)
			s.available(1, limit.Name, 6)
			s.settle(1, s.take(1), wait(time.Minute))
			s.reload(2, daily(10))
			s.retryAt(s.denied(2, CoolingDown), 61)
		})
	}
	s := newSteps(t, daily(10))
	shut := Answer{Verdict: Refused, RetryAfter: 20 * time.Hour, Observations: []Observation{{Limit: "day", Remaining: 0, Blocked: true}}}
	s.settle(0, s.take(0), shut)
	s.reload(1, renamed)
	if d := s.denied(2, CoolingDown); d.Bucket.Name() != "app-day" || d.RetryAt.Before(at0(20*3600)) {
		t.Errorf("closed by %s until %v", d.Bucket.Name(), d.RetryAt)
	}
}

// What an earlier owner's permits may still take is taken over too.
func TestReloadTakesOverGhosts(t *testing.T) {
	s := newSteps(t, daily(10))
	s.taken(0, 2)
	for range 4 {
		s.take(0)
	}
	s = s.crash(1)
	spent := 10 - s.bucketOf("day").available()
	renamed := daily(10)
	renamed.Name = "app-day"
	s.reload(2, renamed)
	s.available(2, "app-day", 10-spent)
	s.available(100, "app-day", 10-spent)
}

// A limit that was there already has counted all of its calls, and takes over nothing.
func TestReloadLeavesAnother(t *testing.T) {
	hour := daily(8)
	hour.Name, hour.Window.Unit = "hour", Hour
	s := newSteps(t, daily(10), hour)
	for range 4 {
		s.settle(0, s.mustAsk(0, Request{Scope: call}), Answer{})
	}
	s.reload(1, daily(10))
	s.available(1, "day", 6)
}

// The first window of a limit that took over ends like any other.
func TestReloadTakesOverForOneWindow(t *testing.T) {
	s := newSteps(t, daily(10))
	s.taken(0, 10)
	s.reload(0, Limit{Name: "day", Quota: 10, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Hour}})
	s.denied(0, Exhausted)
	s.available(2*3600, "day", 10)
}

// A limit that counts other calls begins empty, but for the permits that are out.
func TestReloadOfOtherParts(t *testing.T) {
	s := newSteps(t, daily(10))
	s.taken(0, 4)
	out := s.take(0)
	user := daily(3)
	user.Per = Parts{User: true}
	s.reload(1, user)
	s.available(1, "day", 2)
	s.settle(1, out, Answer{})
	s.available(1, "day", 2)
}

// A limit that is removed holds nobody back, and what is reported of a permit that
// it counted harms nothing; one that is added counts what is on its way.
func TestReloadRemovesAndAdds(t *testing.T) {
	user := daily(1)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, daily(10), user)
	out := s.mustAsk(0, Request{Scope: call})
	late := s.mustAsk(0, Request{Scope: Scope{API: "api", App: "app", User: "late", Endpoint: "GET /"}})
	gone := s.bucketOf("day")
	s.l.Queue(gone, 3)
	s.reload(3.5, user)
	if s.l.size != 2 || len(s.l.queued) != 0 {
		t.Fatalf("%d buckets, %d with a queue; want the users', and none", s.l.size, len(s.l.queued))
	}
	s.settle(3.5, out, numbers(10, 3))
	s.settle(3.5, late, Answer{})
	s.l.Queue(gone, 2)
	if w := s.l.Wake(at0(3.5)); !w.IsZero() {
		t.Errorf("it wakes at %v for a bucket that is gone", w)
	}
	for range 3 {
		s.l.Reserved(at0(3.5), s.l.Wanted(at0(3.5)))
	}
	if w := s.l.Wanted(at0(3.5)); len(w) != 0 {
		t.Errorf("the store is asked for ever for %+v", w)
	}
	if slices.Contains(s.l.Changed(), gone) || slices.Contains(s.l.Opened(), gone) {
		t.Error("a bucket that is gone is shown")
	}
	other := Scope{API: "api", App: "app", User: "other", Endpoint: "GET /"}
	s.takeFor(4, other)
	s.reload(4, daily(10), user)
	s.available(4, "day", 9)
}

// Overrides hold for buckets that exist.
func TestReloadOverrides(t *testing.T) {
	perEndpoint := daily(10)
	perEndpoint.Per = Parts{Endpoint: true}
	s := newSteps(t, perEndpoint)
	s.taken(0, 4)
	rules := Rules{API: "api", Limits: []Limit{perEndpoint}, SendWithin: 2 * time.Second}
	rules.Overrides = []Override{{Endpoint: "GET /*", Limit: "day", Quota: 5}}
	s.l.Adopt(at0(0), &rules)
	s.available(0, "day", 1)
	s.reload(0, perEndpoint)
	s.available(0, "day", 6)
}

// Permits keep their lifetime: one that was granted with a short one, or a long
// one, lapses as it was told, and none lapses before one that was granted earlier.
func TestReloadOfLifetimes(t *testing.T) {
	s := newSteps(t, daily(10))
	within := func(d time.Duration) *Rules {
		return &Rules{API: "api", Limits: []Limit{daily(10)}, SendWithin: d}
	}
	short := s.take(0) // until 3 s
	s.l.Adopt(at0(0), within(9*time.Second))
	long := s.take(0) // until 10 s
	s.l.Adopt(at0(0), within(time.Second))
	after := s.take(0) // until 2 s, but not before the one before it
	for _, step := range []struct {
		sec  float64
		want []bool
	}{{2.9, []bool{true, true, true}}, {3, []bool{false, true, true}}, {9.9, []bool{false, true, true}}, {10, []bool{false, false, false}}} {
		s.l.Advance(at0(step.sec))
		if got := []bool{short.Outstanding(), long.Outstanding(), after.Outstanding()}; !slices.Equal(got, step.want) {
			t.Errorf("at %v: outstanding %v, want %v", step.sec, got, step.want)
		}
	}
	last := s.take(10)
	if s.l.Advance(at0(12)); last.Outstanding() {
		t.Error("a permit of the new lifetime did not lapse by it")
	}
}

// A limit that responses told of and that is configured now keeps its counts.
func TestReloadConfiguresWhatWasTold(t *testing.T) {
	s := newSteps(t, daily(100))
	told := Observation{Limit: "burst", Says: true, Quota: 10, Remaining: 3, Window: Window{Kind: Fixed, Period: time.Minute}}
	s.settle(0, s.take(0), Answer{Observations: []Observation{told}})
	burst := Limit{Name: "burst", Quota: 8, Provenance: Configured, Window: Window{Kind: Fixed, Period: time.Minute}}
	s.reload(0, daily(100), burst)
	s.available(0, "burst", 1)
	if len(s.l.told) != 0 {
		t.Errorf("it is still told: %+v", s.l.told)
	}
}

// What was recorded of a limit before its window was configured as a shorter one
// counts in the first window, and in no later one.
func TestRestoreOfAnotherWindow(t *testing.T) {
	s := newSteps(t, Limit{Name: "app", Quota: 10, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Hour}})
	s.l.Restore(at0(0), []Reservation{{
		Limit: "app", Key: call.Only(Parts{}), Began: at0(-3600).UnixNano(), Reserved: 8, Settled: 8,
		Lo: at0(20 * 24 * 3600).UnixNano(), Hi: at0(20*24*3600 + 3).UnixNano(),
	}})
	s.available(0, "app", 2)
	s.available(2*3600, "app", 10)
}

// A permit that lapsed can be reported when its bucket was swept: nobody asks the
// store for ever to write a bucket that is not there.
func TestReportOfASweptBucket(t *testing.T) {
	s := newSteps(t, Limit{
		Name: "user", Per: Parts{User: true}, Quota: 1, Provenance: Configured,
		Window: Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true},
	})
	late := s.take(0)
	for _, sec := range []float64{30, 60} {
		s.l.Advance(at0(sec))
		for i := range 1100 {
			s.l.Check(at0(sec), Request{Scope: Scope{API: "api", App: "app", User: fmt.Sprint(sec, i)}})
		}
	}
	s.l.Changed()
	sweepAll(s.l, at0(80)) // one may be under way that has looked at it before it was over
	s.l.swept = -few
	sweepAll(s.l, at0(90))
	if b := late.charges[0].bucket; !b.dropped {
		t.Fatalf("the bucket was not swept: %+v", *b)
	}
	s.settle(90, late, Answer{})
	s.l.Reserved(at0(90), s.l.Wanted(at0(90)))
	if w := s.l.Wanted(at0(90)); len(w) != 0 {
		t.Errorf("still wanted: %+v", w)
	}
}

// An answer to a call that was granted before the limits were what they are may speak
// of what they were: here of the user's quota, which is the application's by now.
func TestReloadAnswerOfBefore(t *testing.T) {
	app, user := daily(4), daily(3)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, app, user)
	s.settle(1, s.take(0), Answer{Unanswered: true})
	p := s.take(2)
	app.Quota, user.Quota = 3, 2
	s.reload(2, app, user)
	s.settle(3, p, numbers(3, 2))
	s.available(3, "day", 1)
}

// More calls than a quota has can have passed before it fell: that is no new window.
func TestReloadAfterMorePassed(t *testing.T) {
	l := Limit{Name: "app", Quota: 4, Provenance: Configured}
	s := newSteps(t, l)
	var calls []*Permit
	for range 4 {
		calls = append(calls, s.take(0))
	}
	for _, p := range calls[:3] {
		s.settle(0.5, p, Answer{})
	}
	l.Quota = 3
	s.reload(1, l)
	s.settle(1.5, calls[3], Answer{})
	s.available(1.5, "app", -1)
}
