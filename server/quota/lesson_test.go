package quota

import (
	"fmt"
	"slices"
	"testing"
)

// midnight is the end of the steps' first day, in seconds from their start.
const midnight = 12 * 3600.0

// learnDay is a limit of a day that nobody tells, by user where that is said.
func learnDay(user bool) Limit {
	return Limit{Name: "day", Per: Parts{User: user}, Window: Window{Kind: Calendar, Unit: Day}}
}

// spent is a refusal that names the limit and tells no number.
func spent(user bool) Answer {
	return Answer{Verdict: Refused, Observations: []Observation{{
		Says: true, Per: Parts{User: user}, Blocked: true, Window: Window{Kind: Calendar, Unit: Day},
	}}}
}

// use makes calls that pass, one after the other.
func (s *steps) use(sec float64, calls int, scope Scope) {
	s.Helper()
	for range calls {
		s.settle(sec, s.takeFor(sec, scope), Answer{})
	}
}

// untilRefused makes calls until the upstream refuses one, as it does once quota
// calls have passed.
func (s *steps) untilRefused(sec float64, quota int, scope Scope) {
	s.Helper()
	s.use(sec, quota, scope)
	s.settle(sec+1, s.takeFor(sec, scope), spent(scope.User != ""))
}

// quota checks what the bucket of a scope goes by, and who told it.
func (s *steps) quota(scope Scope, want int64, who Provenance) {
	s.Helper()
	if b := s.dayOf(scope); b == nil || b.quota != want || b.provenance != who {
		s.Fatalf("the quota of %v is %d, %v, want %d, %v", scope, b.quota, b.provenance, want, who)
	}
}

func (s *steps) dayOf(scope Scope) *Bucket {
	return s.l.find("day", scope.Only(Parts{User: scope.User != ""}))
}

var appCall = Scope{API: "api", App: "app", Endpoint: "GET /"}

// nextDay is an instant of day n at noon; day 0 is the first.
func nextDay(n int) float64 { return float64(n) * 86400 }

// Trial 8: a refusal teaches what passed in its window once all that was in flight
// then is settled. Peer bug 23: no call is made until that window ends.
func TestLessonOfARefusal(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	s.use(nextDay(1), 7, appCall)
	a, b, c := s.takeFor(nextDay(1), appCall), s.takeFor(nextDay(1), appCall), s.takeFor(nextDay(1), appCall)
	s.settle(nextDay(1)+1, b, spent(false))
	s.quota(appCall, 0, Nobody)
	s.settle(nextDay(1)+1.1, a, Answer{})
	s.quota(appCall, 0, Nobody)
	if d := s.try(nextDay(1)+1.2, appCall); d.Reason != CoolingDown {
		t.Fatalf("closed for %v, want %v", d.Reason, CoolingDown)
	}
	s.settle(nextDay(1)+1.3, c, spent(false))
	s.quota(appCall, 8, Learned)
	if e := s.l.Evidence(s.bucketOf("day")); len(e) == 0 || !slices.ContainsFunc(e, func(e Evidence) bool {
		return e.Quota == 8 && e.Effect == "refused after 8 of ours: learned as the quota"
	}) {
		t.Errorf("what was learned is not explained: %+v", e)
	}
	// No call until the day ends, then as many as were learned and no more.
	if d := s.try(nextDay(1)+10, appCall); d.Reason != CoolingDown || d.RetryAt.Sub(epoch).Seconds() < nextDay(1)+midnight {
		t.Fatalf("denied %+v", d)
	}
	s.use(nextDay(2), 8, appCall)
	if d := s.try(nextDay(2), appCall); d.Reason != Exhausted || !d.Firm {
		t.Fatalf("denied %+v", d)
	}
}

// A window that began before we watched teaches nothing: the next is free again.
func TestUnwatchedWindowTeachesNothing(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.untilRefused(0, 5, appCall)
	s.quota(appCall, 0, Nobody)
	s.untilRefused(nextDay(1), 100, appCall)
	s.quota(appCall, 100, Learned)
}

// Nor does one of which nothing passed.
func TestLessonOfNothing(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	s.untilRefused(nextDay(1), 0, appCall)
	s.quota(appCall, 0, Nobody)
	s.use(nextDay(2), 10, appCall)
}

// A ledger that begins with the day has watched all of it.
func TestFirstDayFromMidnight(t *testing.T) {
	for since, want := range map[float64]Provenance{midnight - 1: Learned, midnight + 1: Learned, midnight + 60: Nobody} {
		s := newSteps(t, learnDay(false))
		s.use(since, 1, appCall)
		s.untilRefused(midnight+100, 4, appCall)
		if got := s.bucketOf("day").provenance; got != want {
			t.Errorf("begun %v s after midnight: %v, want %v", since-midnight, got, want)
		}
	}
}

// A lower limit is learned from the next refusal at once.
func TestLessonFalls(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	s.untilRefused(nextDay(1), 100, appCall)
	s.untilRefused(nextDay(2), 20, appCall)
	s.quota(appCall, 20, Learned)
	s.use(nextDay(3), 20, appCall)
	if d := s.try(nextDay(3), appCall); d.Reason != Exhausted {
		t.Fatalf("denied %+v", d)
	}
}

// A learned quota is tried by one call beyond it after two windows that were used
// up; each refusal doubles that, and the number stands.
func TestLessonIsTriedAgain(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	s.untilRefused(nextDay(1), 10, appCall)
	var tried []int
	for day := 2; day < 60; day++ {
		s.use(nextDay(day), 10, appCall)
		d := s.try(nextDay(day)+1, appCall)
		if !d.Allowed() {
			continue
		}
		tried = append(tried, day)
		if d := s.try(nextDay(day)+1, appCall); d.Allowed() {
			t.Fatalf("day %d: a second call beyond the quota", day)
		}
		s.settle(nextDay(day)+2, d.Permit, spent(false))
		s.quota(appCall, 10, Learned)
	}
	if want := []int{4, 9, 18, 35}; fmt.Sprint(tried) != fmt.Sprint(want) {
		t.Errorf("tried on days %v, want %v", tried, want)
	}
	if l := s.bucketOf("day").lesson; l.confirmed != 5 {
		t.Errorf("confirmed %d times, want 5", l.confirmed)
	}
}

// A try that passes shows that the quota is greater: it is followed to its end,
// with few calls at a time, and what the next refusal says is learned.
func TestLessonRises(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	s.untilRefused(nextDay(1), 10, appCall)
	for day := 2; day < 4; day++ {
		s.use(nextDay(day), 10, appCall)
	}
	s.use(nextDay(4), 40, appCall)
	s.quota(appCall, 40, Learned)
	if c := s.l.Status(at0(nextDay(4)), s.bucketOf("day")).Confidence; c != (Confidence{}) {
		t.Errorf("a number that no refusal taught: %+v", c)
	}
	// The next day goes on, with two calls beyond the number in flight.
	s.use(nextDay(5), 40, appCall)
	a, b := s.takeFor(nextDay(5), appCall), s.takeFor(nextDay(5), appCall)
	if d := s.try(nextDay(5), appCall); d.Allowed() {
		t.Fatal("a third call beyond")
	}
	s.settle(nextDay(5)+1, a, Answer{})
	s.settle(nextDay(5)+1, b, spent(false))
	s.quota(appCall, 41, Learned)
	s.use(nextDay(6), 41, appCall)
	if d := s.try(nextDay(6), appCall); d.Reason != Exhausted {
		t.Fatalf("denied %+v", d)
	}
}

// Calls that were never heard of may have been counted: a number within what is
// possible stands, and one that is learned anew is the least that is certain.
func TestLessonWithLostCalls(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	s.takeFor(nextDay(1), appCall) // lapses
	s.use(nextDay(1)+10, 9, appCall)
	s.settle(nextDay(1)+11, s.takeFor(nextDay(1)+11, appCall), spent(false))
	s.quota(appCall, 9, Learned)
	for day := 2; day < 4; day++ {
		s.use(nextDay(day), 9, appCall)
	}
	s.untilRefused(nextDay(4), 10, appCall)
	s.quota(appCall, 10, Learned)
	s.takeFor(nextDay(5), appCall)
	s.use(nextDay(5)+10, 9, appCall)
	b := s.bucketOf("day")
	b.lesson.full = 2
	s.settle(nextDay(5)+11, s.takeFor(nextDay(5)+11, appCall), spent(false))
	s.quota(appCall, 10, Learned)
}

// Calls around midnight may be of either day: they make a lesson smaller, never
// greater.
func TestLessonAroundMidnight(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	early := s.takeFor(midnight-0.5, appCall)
	s.use(midnight+1, 2, appCall) // within the guard: not of this day for certain
	s.settle(midnight+2, early, Answer{})
	s.untilRefused(nextDay(1), 10, appCall)
	s.quota(appCall, 10, Learned)
	if v := s.bucketOf("day").lesson; v.confirmed != 1 {
		t.Errorf("confirmed %d times", v.confirmed)
	}
	s.untilRefused(nextDay(2), 6, appCall) // none of this day is early
	s.quota(appCall, 6, Learned)
}

// A refusal of a call that was made without a permit teaches nothing: others may have
// taken the rest.
func TestLessonNeedsAPermit(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	s.use(nextDay(1), 5, appCall)
	s.l.Observe(at0(nextDay(1)+1), appCall, spent(false))
	s.quota(appCall, 0, Nobody)
}

func member(n int) Scope {
	return Scope{API: "api", App: "app", User: fmt.Sprint("u", n), Endpoint: "GET /"}
}

// What three users' buckets learned, the others go by: from then on, and those
// that are new.
func TestSiblingsLearnTogether(t *testing.T) {
	s := newSteps(t, learnDay(true))
	s.use(0, 1, member(9))
	s.use(nextDay(1), 4, member(9))
	for i := range 3 {
		s.untilRefused(nextDay(1)+float64(i)*10, 6, member(i))
	}
	s.use(nextDay(1)+100, 2, member(9))
	s.quota(member(9), 6, Learned)
	if d := s.try(nextDay(1)+100, member(9)); d.Reason != Exhausted {
		t.Fatalf("denied %+v", d)
	}
	s.use(nextDay(1)+101, 6, member(10))
	if d := s.try(nextDay(1)+101, member(10)); d.Reason != Exhausted {
		t.Fatalf("denied %+v", d)
	}
}

// Where the siblings' quota falls, those that had learned the same go by the new
// one; where it rises, they try.
func TestSiblingsFollow(t *testing.T) {
	for _, to := range []int{4, 9} {
		s := newSteps(t, learnDay(true))
		s.use(0, 1, member(9))
		for i := range 3 {
			s.untilRefused(nextDay(1)+float64(i)*10, 6, member(i))
		}
		s.use(nextDay(1)+50, 1, member(3))
		for i := range 3 {
			s.dayOf(member(i)).lesson.full = 2
			s.dayOf(member(i)).lesson.siblings.credit = creditForTry
			s.untilRefused(nextDay(2)+float64(i)*10, to, member(i))
			s.quota(member(i), int64(to), Learned)
		}
		for i := 3; s.dayOf(member(0)).lesson.siblings.number != int64(to); i++ {
			s.dayOf(member(0)).lesson.siblings.vote(int64(to))
		}
		s.use(nextDay(2)+100, min(to, 9), member(3))
		s.quota(member(3), int64(to), Learned)
	}
}

// restart has another ledger take over: by the last word of the one before, or
// after a crash by what it had written.
func (s *steps) restart(down, up float64, crash bool) {
	s.Helper()
	records := s.l.Final(at0(down))
	for i := range records {
		records[i].Final = !crash
	}
	rules := s.l.rules
	s.l = NewLedger(rules, 2)
	s.l.Restore(at0(up), records)
}

// A restart keeps what was learned. A window goes on being watched where the owner
// before left its last word; one that began while nobody was there is not.
func TestLessonsSurviveARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		crash bool
		at    float64
		want  int64
		who   Provenance
	}{
		"a last word":          {false, nextDay(1) + 100, 9, Learned},
		"a crash":              {true, nextDay(1) + 100, 0, Nobody},
		"down at midnight":     {false, nextDay(1) + midnight + 10, 0, Nobody},
		"down for a whole day": {false, nextDay(2) + 100, 0, Nobody},
		"up again by midnight": {false, nextDay(1) + midnight - 10, 3, Learned},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, learnDay(false))
			s.use(0, 1, appCall)
			s.use(nextDay(1), 6, appCall)
			s.restart(nextDay(1)+50, tc.at, tc.crash)
			s.use(tc.at+20, 3, appCall)
			s.settle(tc.at+21, s.takeFor(tc.at+21, appCall), spent(false))
			s.quota(appCall, tc.want, tc.who)
		})
	}
}

// What was learned, and how surely, is the next owner's too; and so is what the
// siblings agreed on.
func TestLessonIsRecorded(t *testing.T) {
	s := newSteps(t, learnDay(true))
	s.use(0, 1, member(9))
	for i := range 4 {
		s.use(nextDay(1)+float64(i)*10, 6, member(i))
		if i < 3 {
			s.settle(nextDay(1)+float64(i)*10+1, s.takeFor(nextDay(1)+float64(i)*10, member(i)), spent(true))
		}
	}
	was := *s.dayOf(member(0)).lesson
	s.restart(nextDay(1)+100, nextDay(1)+100, true)
	is := s.dayOf(member(0)).lesson
	if is.confirmed != 1 || is.confirmedAt != was.confirmedAt || is.base != 6 {
		t.Errorf("recorded %+v, want %+v", is, was)
	}
	s.use(nextDay(2)+1, 6, member(7))
	s.quota(member(7), 6, Learned)
	if d := s.try(nextDay(2)+1, member(7)); d.Reason != Exhausted {
		t.Errorf("denied %+v", d)
	}
}

// A limit that is configured goes by that, and one that is not any more learns
// again.
func TestLessonAndReload(t *testing.T) {
	s := newSteps(t, learnDay(true))
	s.use(0, 1, member(0))
	s.untilRefused(nextDay(1), 6, member(0))
	rules := func(quota int64, who Provenance) *Rules {
		r := *s.l.rules
		r.Limits = []Limit{learnDay(true)}
		r.Limits[0].Quota, r.Limits[0].Provenance = quota, who
		return &r
	}
	s.l.Adopt(at0(nextDay(2)), rules(9, Configured))
	s.quota(member(0), 9, Configured)
	if b := s.dayOf(member(0)); b.lesson != nil || b.taught() != nil {
		t.Error("a configured limit learns")
	}
	s.use(nextDay(2), 9, member(0))
	s.l.Adopt(at0(nextDay(2)+10), rules(0, Nobody))
	s.quota(member(0), 0, Nobody)
	s.untilRefused(nextDay(3), 20, member(0))
	s.quota(member(0), 20, Learned)
}

// A limit that is configured and learns is not forgotten, whatever answers tell of.
func TestConfiguredLimitIsNotForgotten(t *testing.T) {
	s := newSteps(t, learnDay(false))
	for range 2 * forgetAfter {
		s.settle(10, s.take(10), observed(Observation{Limit: "other", Unit: "tokens", Remaining: 5}))
	}
	if b := s.bucketOf("day"); b.n != 2*forgetAfter || b.lesson == nil {
		t.Errorf("%d of %d are counted", b.n, 2*forgetAfter)
	}
}

// A refusal teaches by what is settled when its window ends, though calls are on their
// way still.
func TestLessonAtTheTurn(t *testing.T) {
	s := newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	turn := midnight + nextDay(1) + calendarGuard.Seconds()
	s.use(nextDay(1), 8, appCall)
	s.takeFor(turn-1, appCall)
	s.settle(turn-0.5, s.takeFor(turn-1, appCall), spent(false))
	s.l.Advance(at0(turn + 0.1))
	s.bucketOf("day").advance(at(at0(turn + 0.1)))
	s.quota(appCall, 8, Learned)
}
