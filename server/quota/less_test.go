package quota

import (
	"fmt"
	"testing"
)

// configuredDay is a limit of a day whose quota is configured, by user where that is
// said.
func configuredDay(quota int64, user bool) Limit {
	l := learnDay(user)
	l.Quota, l.Provenance = quota, Configured
	return l
}

// A refusal of a call that should pass by what is configured teaches a smaller quota,
// if the window was watched; one that lost calls explain does not.
func TestConfiguredQuotaIsLess(t *testing.T) {
	s := newSteps(t, configuredDay(20, false))
	s.untilRefused(1, 3, appCall)
	s.quota(appCall, 20, Configured) // who knows what was used before noon
	s.untilRefused(nextDay(1), 8, appCall)
	s.quota(appCall, 8, Learned)
	s.use(nextDay(2), 8, appCall)
	if d := s.try(nextDay(2), appCall); d.Reason != Exhausted {
		t.Fatalf("denied %+v", d)
	}

	s = newSteps(t, configuredDay(20, false))
	s.use(1, 1, appCall)
	s.use(nextDay(1), 8, appCall)
	for range 12 {
		s.takeFor(nextDay(1), appCall) // never heard of
	}
	s.l.Advance(at0(nextDay(1) + 60))
	s.settle(nextDay(1)+61, s.ask(nextDay(1)+60, Request{Scope: appCall, Force: true}).Permit, spent(false))
	s.quota(appCall, 20, Configured)
}

// It is tried again upwards, and never beyond what is configured.
func TestConfiguredQuotaIsLessForAWhile(t *testing.T) {
	s := newSteps(t, configuredDay(20, false))
	s.use(1, 1, appCall)
	s.untilRefused(nextDay(1), 8, appCall)
	n := 2
	for ; n < 30 && s.dayOf(appCall).provenance == Learned; n++ {
		for d := s.try(nextDay(n), appCall); d.Allowed(); d = s.try(nextDay(n), appCall) {
			s.settle(nextDay(n), d.Permit, Answer{})
		}
	}
	s.quota(appCall, 20, Configured)
	s.use(nextDay(n), 20, appCall)
	if d := s.try(nextDay(n), appCall); d.Reason != Exhausted {
		t.Fatalf("denied %+v", d)
	}
}

// Once a few users' buckets have learned the same, all go by it: those that were
// there, and those that come.
func TestConfiguredQuotaIsLessForAllUsers(t *testing.T) {
	s := newSteps(t, configuredDay(20, true))
	user := func(i int) Scope { return Scope{API: "api", App: "app", User: fmt.Sprint("u", i), Endpoint: "GET /"} }
	for i := range 5 {
		s.use(1, 1, user(i))
	}
	for i := range agreeing {
		s.untilRefused(nextDay(1)+float64(10*i), 8, user(i))
	}
	s.use(nextDay(1)+100, 1, user(4))
	s.quota(user(4), 8, Learned)
	s.use(nextDay(1)+100, 1, user(9))
	s.quota(user(9), 8, Learned)
}

// A refusal at the very begin of a window may be of the last one, by the upstream's
// clock: it teaches once the next window is refused so soon too.
func TestConfiguredQuotaIsNotLessAtMidnight(t *testing.T) {
	s := newSteps(t, configuredDay(20, false))
	s.use(1, 1, appCall)
	begin := func(day int) float64 { return midnight + nextDay(day) + calendarGuard.Seconds() }
	s.untilRefused(begin(0), 3, appCall)
	s.quota(appCall, 20, Configured)
	s.untilRefused(begin(1), 8, appCall)
	s.quota(appCall, 8, Learned)
}

// What was learned is kept over a restart; a reload of the same rules changes nothing,
// and one of another quota holds.
func TestConfiguredQuotaIsLessAfterARestart(t *testing.T) {
	s := newSteps(t, configuredDay(20, false))
	s.use(1, 1, appCall)
	s.untilRefused(nextDay(1), 8, appCall)
	s.restart(nextDay(1)+10, nextDay(1)+20, false)
	s.quota(appCall, 8, Learned)
	s.l.Adopt(at0(nextDay(1)+30), &Rules{API: "api", Limits: []Limit{configuredDay(20, false)}})
	s.quota(appCall, 8, Learned)
	s.l.Adopt(at0(nextDay(1)+40), &Rules{API: "api", Limits: []Limit{configuredDay(15, false)}})
	s.quota(appCall, 15, Configured)
}

// Refusals without a word teach the only limit that can be meant, if nothing passes
// until its window turns and the first call after it does. An upstream that serves
// again before, or not even then, has protected itself.
func TestSuspicion(t *testing.T) {
	turn := nextDay(1) + midnight + calendarGuard.Seconds()
	for name, c := range map[string]struct {
		limits  []Limit
		refused []float64 // before the day ends
		passes  float64   // of these one passes again
		after   Answer
		told    bool // what remained, by a call of the day
		quota   int64
	}{
		"until the day ends":        {refused: []float64{0, 600, 1200, 2400, 10000, 30000}, quota: 8},
		"only for a while":          {refused: []float64{0, 600, 1200, 2400}, quota: 20},
		"then one passes":           {refused: []float64{0, 600, 1200, 2400, 10000, 30000}, passes: 10000, quota: 20},
		"on the next day too":       {refused: []float64{0, 600, 1200, 2400, 10000, 30000}, after: Answer{Verdict: Refused}, quota: 20},
		"though some remained":      {refused: []float64{0, 600, 1200, 2400, 10000, 30000}, told: true, quota: 20},
		"a few times":               {refused: []float64{0, 20000, 30000}, quota: 20},
		"once":                      {refused: []float64{30000}, quota: 20},
		"or by another limit's end": {limits: []Limit{{Name: "other", Quota: 100, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Week}}}, refused: []float64{0, 600, 1200, 2400, 10000, 30000}, quota: 20},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, append(c.limits, configuredDay(20, false))...)
			s.use(1, 1, appCall)
			s.use(nextDay(1), 7, appCall)
			last := Answer{}
			if c.told {
				last = numbers(20, 12)
			}
			s.settle(nextDay(1), s.takeFor(nextDay(1), appCall), last)
			for _, sec := range c.refused {
				a := Answer{Verdict: Refused}
				if sec != 0 && sec == c.passes {
					a = Answer{}
				}
				p := s.ask(nextDay(1)+sec, Request{Scope: appCall, Force: true}).Permit
				s.settle(nextDay(1)+sec+1, p, a)
			}
			s.quota(appCall, 20, Configured)
			s.settle(turn+61, s.ask(turn+60, Request{Scope: appCall, Force: true}).Permit, c.after)
			if b := s.dayOf(appCall); b.quota != c.quota {
				t.Errorf("the quota is %d, want %d", b.quota, c.quota)
			}
		})
	}
}

// An upstream that counts what it refuses is not kept closed by the calls that ask
// whether it serves again: the longer nothing has passed, the fewer they are; but when
// a window turns that may be the one, one asks.
func TestProbesAreFewAfterLong(t *testing.T) {
	s := newSteps(t, daily(1000))
	var asked []float64
	for sec := 0.0; sec < midnight+7200; {
		d := s.try(sec, call)
		if !d.Allowed() {
			sec = max(d.RetryAt.Sub(epoch).Seconds(), sec+0.001)
			continue
		}
		asked = append(asked, sec)
		s.settle(sec+0.1, d.Permit, Answer{Verdict: Refused})
		sec += 0.1
	}
	turn := midnight + calendarGuard.Seconds()
	var soon, late, turned int
	for _, sec := range asked {
		switch {
		case sec < 600:
			soon++
		case 10*3600 <= sec && sec < turn:
			late++
		case sec < turn:
		case sec-turn <= 0.5:
			turned++
		}
	}
	t.Log(asked)
	if soon < 6 || late < 7 || late > 8 || turned != 1 {
		t.Errorf("%d asked within ten minutes, %d from the tenth hour on, %d at midnight; want at least 6, one each quarter of an hour, and 1", soon, late, turned)
	}
}
