package quota

import (
	"testing"
	"time"
)

// said is an answer as a caller reports it.
func said(by string, a Answer) Answer {
	a.By = by
	return a
}

// Fault 35: "limit 10⁹" is never believed above what is configured.
func TestFault35LimitAboveTheConfigured(t *testing.T) {
	s := newSteps(t, daily(100))
	for i := range 20 {
		a := numbers(1e9, 1e9)
		a.Observations[0].Limit = "day"
		s.settle(float64(i), s.take(float64(i)), said([]string{"liar", "accomplice"}[i%2], a))
		if q := s.bucketOf("day").quota; q > 100 {
			t.Fatalf("quota %d after %d reports", q, i+1)
		}
	}
	s.available(20, "day", 80)
}

// Fault 35: a quota that was told more than doubles only when two callers say so,
// where there are two; a caller that is alone harms nobody.
func TestFault35GrowthNeedsTwoCallers(t *testing.T) {
	quotaAfter := func(callers ...string) int64 {
		s := newSteps(t, Limit{Name: "told", Window: Window{Kind: Calendar, Unit: Day}})
		tell := func(sec float64, by string, quota int64) {
			a := said(by, numbersReset(quota, quota-10, time.Hour))
			a.Observations[0].Limit = "told"
			s.settle(sec+0.1, s.take(sec), a)
		}
		tell(0, "honest", 100)
		for i, by := range callers {
			tell(1+float64(i), by, 1000)
		}
		return s.bucketOf("told").quota
	}
	for _, tt := range []struct {
		callers []string
		want    int64
	}{
		{[]string{"liar"}, 100},
		{[]string{"liar", "liar"}, 100},
		{[]string{"liar", "liar", "liar", "liar"}, 100},
		{[]string{"liar", "honest"}, 1000},
		{[]string{"honest", "honest"}, 1000}, // nobody else is there
	} {
		if got := quotaAfter(tt.callers...); got != tt.want {
			t.Errorf("%v: quota %d, want %d", tt.callers, got, tt.want)
		}
	}
}

// Fault 36: a caller that says "remaining 0" whenever it is asked closes the
// buckets of its own calls, and no others, for less than five seconds; once two
// others have contradicted it, its numbers are ignored.
func TestFault36LiarIsIgnored(t *testing.T) {
	up := &upstream{limits: []trueLimit{{quota: 1000, period: 20 * time.Second}, {quota: 900, period: 20 * time.Second, perUser: true}}}
	app, user := fixed(1000, 20*time.Second), fixed(900, 20*time.Second)
	app.Window.Aligned, user.Window.Aligned = true, true
	user.Name, user.Per = "user", Parts{User: true}
	w := newWorld(3, epoch.Add(time.Second), up, &Rules{API: "api", Limits: []Limit{app, user}, SendWithin: 2 * time.Second}, faults{rtt: 100 * time.Millisecond})
	lies := 0
	w.distort = func(user string, a *Answer) {
		if a.By = user; user == "liar" && len(a.Observations) > 0 {
			a.Observations[0].Remaining = 0
			lies++
		}
	}
	for _, u := range []string{"liar", "victim"} {
		var next func()
		next = func() { w.want(u, 1); w.after(100*time.Millisecond, next) }
		next()
	}
	blocked, since := time.Duration(0), w.now
	w.check = func() {
		if w.waiting["victim"] == 0 {
			since = w.now
		}
		blocked = max(blocked, w.now.Sub(since))
	}
	w.run(epoch.Add(4 * time.Minute))
	ignored := 0
	for b := range w.ledger.Buckets(Scope{}) {
		for _, e := range w.ledger.Evidence(b) {
			if e.By == "victim" && e.Effect != "believed" {
				t.Errorf("%s: of the victim's report: %s", b.Name(), e.Effect)
			}
			if e.By == "liar" && e.Remaining == 0 {
				ignored++
			}
		}
	}
	t.Logf("%d lies, %d calls, the victim waited for %v at most", lies, w.granted, blocked)
	if lies < 1000 || ignored == 0 || w.granted < 4500 || blocked > 5*time.Second || w.innocent+w.probes > 0 {
		t.Errorf("%d lies, %d shown; %d calls granted, want about 4800; the victim waited for %v; %d refused",
			lies, ignored, w.granted, blocked, w.innocent+w.probes)
	}
}

// Fault 36: the liar's report touches the buckets of its own permit only.
func TestFault36LiarsOwnBucketsOnly(t *testing.T) {
	user := daily(100)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, user)
	victim := s.takeFor(0, userScope("victim"))
	s.settle(1, s.takeFor(0, userScope("liar")), said("liar", refused(numbers(100, 0))))
	for b := range s.l.Buckets(userScope("victim")) {
		if st := s.l.Status(at0(1), b); st.Remaining != 99 || st.State != Open {
			t.Errorf("the victim's bucket: %+v", st)
		}
	}
	if d := s.try(1, userScope("liar")); d.Reason != CoolingDown {
		t.Errorf("the liar: %v", d.Reason)
	}
	s.settle(1, victim, Answer{})
	s.takeFor(1, userScope("victim"))
}

// A caller whose numbers were ignored is trusted again once they agree for a while.
func TestLiarMakesAmends(t *testing.T) {
	s := newSteps(t, daily(1000))
	m := int64(1000)
	honest := func(sec float64, by string) {
		m--
		s.settle(sec, s.take(sec), said(by, numbers(1000, m)))
	}
	honest(0, "honest")
	for i := range mostStrikes {
		m--
		s.settle(float64(10*i+1), s.take(float64(10*i+1)), said("liar", numbers(1000, 0)))
		s.denied(float64(10*i)+1.1, Exhausted)
		honest(float64(10*i)+2.1, "honest")
	}
	m--
	s.settle(30, s.take(30), said("liar", numbers(1000, 0)))
	s.available(30, "day", m) // ignored: what it took is known all the same
	for i := range amends - 1 {
		honest(31+float64(i), "liar")
	}
	m--
	s.settle(70, s.take(70), said("liar", numbers(1000, 0))) // it begins anew
	s.available(70, "day", m)
	for i := range amends {
		honest(71+float64(i), "liar")
	}
	m--
	s.settle(180, s.take(180), said("liar", numbers(1000, 0)))
	s.denied(180.1, Exhausted)
}

// A quota that one caller tells to be tiny is what it was as soon as another says
// so, and the caller's numbers are ignored from then on.
func TestLimitThatOneCallerDenies(t *testing.T) {
	named := func(by string, quota, remaining int64) Answer {
		a := said(by, numbers(quota, remaining))
		a.Observations[0].Limit = "app"
		return a
	}
	aligned := fixed(100, 10*time.Second)
	aligned.Window.Aligned = true
	s := newSteps(t, aligned)
	s.settle(1, s.take(0), named("honest", 100, 99))
	s.settle(2, s.take(1.5), named("liar", 1, 0))
	s.denied(2.1, Exhausted)
	s.settle(11.2, s.take(11), named("honest", 100, 99)) // the next window
	s.available(11.3, "app", 99)
	s.settle(12, s.take(11.5), named("liar", 1, 0))
	s.available(12.1, "app", 98)
}

// What a caller tells agrees with what is known from all of what is on its way counted
// to nothing of it, and a tenth of the quota more either way.
func TestAgrees(t *testing.T) {
	s := newSteps(t, daily(100))
	s.settle(0, s.take(0), numbers(100, 60))
	s.settle(0, s.take(0), Answer{Unanswered: true}) // what remains may have it
	b := s.bucketOf("day")
	for w, want := range map[news]bool{
		{remaining: 60}: true, {remaining: 70}: true, {remaining: 71}: false,
		{remaining: 59 - 10 - 5, held: 5}: true, {remaining: 59 - 10 - 6, held: 5}: false,
		{remaining: Unknown, quota: 100}: true, {remaining: Unknown, quota: 99}: false,
		{remaining: 60, quota: 101}: false, {remaining: 60, quota: 100}: true,
	} {
		if b.agrees(&w) != want {
			t.Errorf("%d of %d agrees with %d of %d: %v", w.remaining, w.quota, b.m, b.quota, !want)
		}
	}
}

// That the upstream refused a call is believed of anyone.
func TestLiarsRefusalCounts(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.l.standings = map[standingID]*standing{{"day", "liar"}: {strikes: mostStrikes}}
	s.settle(1, s.take(0), said("liar", numbers(1000, 5)))
	s.available(1, "day", 999)
	s.settle(2, s.take(1), said("liar", refused(numbers(1000, 0))))
	s.denied(3, CoolingDown)
	if b := s.bucketOf("day"); b.m != 0 {
		t.Errorf("%d remain", b.m)
	}
}
