package quota

import (
	"container/heap"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// crash is a ledger that goes on with what the store has, later.
func (s *steps) crash(sec float64) *steps {
	s.confirm(sec)
	next := s.successor(sec, slices.Collect(maps.Values(s.store))...)
	next.store = s.store
	return next
}

// stop is crash after the last word.
func (s *steps) stop(sec float64) *steps {
	for _, r := range s.l.Final(at0(sec)) {
		s.store[recordID{r.Limit, r.Key}] = r
	}
	return s.successor(sec, slices.Collect(maps.Values(s.store))...)
}

// endings are the ways in which a broker ends.
func endings() map[string]func(*steps, float64) *steps {
	return map[string]func(*steps, float64) *steps{"a crash": (*steps).crash, "a stop": (*steps).stop}
}

// A cool-down goes on after a restart, and ends as it would have: on a guess by a
// probe, where the response said whose it was by the window's turn.
func TestRestartCoolsDown(t *testing.T) {
	const midnight = 12 * 3600.0
	for how, end := range endings() {
		for name, tc := range map[string]struct {
			refusal Answer
			sure    bool
		}{
			"a guess":  {wait(0), false},
			"it is so": {refused(numbers(3, 0)), true},
		} {
			for when, back := range map[string]float64{"before it turns": 100, "after": midnight + 2} {
				t.Run(how+", "+name+", "+when, func(t *testing.T) {
					s := newSteps(t, daily(3))
					last := []*Permit{s.take(0), s.take(0), s.take(0)}
					s.settle(1, last[0], tc.refusal)
					s.settle(1, last[1], Answer{})
					s.settle(1, last[2], Answer{})
					s = end(s, 2)
					if back < midnight {
						s.retryAt(s.denied(back, CoolingDown), midnight+1.5)
					}
					probe := s.take(midnight + 2)
					if tc.sure {
						s.take(midnight + 2)
						return
					}
					s.denied(midnight+2, Probing)
					s.settle(midnight+2.1, probe, Answer{})
					s.take(midnight + 2.2)
				})
			}
		}
	}
}

// A broker that comes back after a cool-down has ended does not know whether its
// probe was answered, unless it was told so: it probes.
func TestRestartProbes(t *testing.T) {
	tooMuch := Answer{Verdict: Overloaded, RetryAfter: 10 * time.Second}
	for how, end := range endings() {
		t.Run(how, func(t *testing.T) {
			s := newSteps(t, daily(1000))
			s.settle(0.1, s.take(0), Answer{})
			s.settle(1, s.take(1), tooMuch)
			s = end(s, 2)
			s.denied(10.9, CoolingDown)
			s = end(s, 20)
			s.take(20)
			s.denied(20, Probing)
			s = end(s, 20.1) // nobody was heard
			probe := s.take(20.2)
			s.denied(20.2, Probing)
			for at := 21.0; s.l.find(nameBackoff, call.Only(Parts{Endpoint: true})).state != Open; at++ {
				s.settle(at, probe, Answer{})
				probe = s.take(at + 0.5)
			}
			s = end(s, 40)
			for range 10 {
				s.take(40)
			}
		})
	}
}

// Nobody knows a day later what became of a cool-down, and nobody cares.
func TestRestartForgetsOldCooldowns(t *testing.T) {
	for _, after := range []time.Duration{doubtedFor - time.Second, doubtedFor} {
		r := Reservation{Limit: nameBackoff, Key: call.Only(Parts{Endpoint: true}), CoolUntil: epoch.Add(-after).UnixNano()}
		s := newSteps(t, daily(100)).successor(0, r)
		s.take(0)
		if got, want := s.try(0, call).Allowed(), after >= doubtedFor; got != want {
			t.Errorf("%v after its end: two go at once is %v, want %v", after, got, want)
		}
	}
	absurd := Reservation{Limit: nameBackoff, Key: call.Only(Parts{Endpoint: true}), CoolUntil: at0(1e9).UnixNano()}
	s := newSteps(t, daily(100)).successor(0, absurd)
	s.retryAt(s.denied(10, CoolingDown), maxCooldown.Seconds())
}

// When one user was refused without a word, one call at a time finds out whether
// all others are still served; after a restart too.
func TestRestartAsksWhetherOthersAreServed(t *testing.T) {
	for how, end := range endings() {
		t.Run(how, func(t *testing.T) {
			s := newSteps(t, daily(1000))
			s.settle(0.1, s.take(0), Answer{})
			s.settle(1, s.take(1), wait(0))
			s = end(s, 1.1)
			other := call
			other.User = "other"
			s.takeFor(1.2, other)
			if d := s.try(1.2, other); d.Reason != Probing {
				t.Errorf("a second call: %v, want one probe at a time", d.Reason)
			}
		})
	}
}

// crash ends the broker of a world, and begins another later.
func (w *world) crash(down time.Duration) {
	end := w.now.Add(down)
	for len(w.events) > 0 && !w.events[0].at.After(end) {
		e := heap.Pop(&w.events).(event) // nobody is granted anything
		w.now = e.at
		e.do()
	}
	w.now = end
	w.life++
	w.ledger = NewLedger(w.ledger.rules, w.rng.Uint64())
	w.ledger.Restore(w.now, slices.Collect(maps.Values(w.store)))
	w.blocked = map[string]*Bucket{}
	w.logf("another owner, of %+v", w.store)
}

// Trial 6 and S8: across crashes nothing is granted that an earlier owner granted, or
// may have: no call is refused but a probe.
func TestPropertyCrashesNeverOverGrant(t *testing.T) {
	var worlds, crashes, granted int
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(1, 3).Draw(t, "crashes") {
			down := time.Duration(rapid.IntRange(0, 3000).Draw(t, "down")) * time.Millisecond
			w.after(w.upTo(4*w.up.limits[0].period), func() { w.crash(down) })
		}
		if testing.Verbose() {
			w.trace = t.Logf
		}
		w.run(w.now.Add(5*w.up.limits[0].period + 10*time.Second))
		if w.innocent > 0 {
			t.Fatalf("%d of %d calls were refused, and %d probes", w.innocent, w.granted, w.probes)
		}
		worlds, crashes, granted = worlds+1, crashes+w.life, granted+w.granted
	})
	t.Logf("%d calls, %d crashes in %d worlds", granted, crashes, worlds)
	if !t.Failed() && (crashes < worlds || granted < 5*worlds) {
		t.Errorf("nothing crashed, or nobody called: %d crashes, %d calls in %d worlds", crashes, granted, worlds)
	}
}

// An upstream that only ever said 429 is not stampeded after a restart: what passes
// is known, whether the broker was away for a moment or for minutes.
func TestRestartGoverns(t *testing.T) {
	for _, down := range []time.Duration{time.Second, 10 * time.Minute} {
		up := &upstream{mute: true, limits: []trueLimit{{quota: 100, period: time.Minute}}}
		w := newWorld(5, epoch, up, &Rules{API: "api"}, faults{rtt: 100 * time.Millisecond})
		w.greedy("u", 30, 20*time.Millisecond)
		w.run(epoch.Add(time.Hour))
		refused, used := up.refused, up.counted
		w.crash(down)
		w.run(w.now.Add(10 * time.Minute))
		t.Logf("down for %v: %d refused and %d used in an hour, then %d and %d in ten minutes", down, refused, used, up.refused-refused, up.counted-used)
		if up.refused-refused > 15 || up.counted-used < 800 {
			t.Errorf("down for %v: %d refused and %d used in ten minutes", down, up.refused-refused, up.counted-used)
		}
	}
}

// A governor that is not needed any more is not restored, nor one of garbage.
func TestRestartForgetsGovernors(t *testing.T) {
	now := at(at0(10 * 3600))
	ago := func(d time.Duration) int64 { return int64(now.add(-d)) }
	for name, tc := range map[string]struct {
		r    Governor
		kept bool
	}{
		"none":           {Governor{}, false},
		"the first":      {Governor{RefusedAt: ago(cycle - 1)}, true},
		"long ago":       {Governor{RefusedAt: ago(cycle)}, false},
		"a rate":         {Governor{1000, time.Minute, ago(cycle + lasts*time.Minute - 1)}, true},
		"let go":         {Governor{1000, time.Minute, ago(cycle + lasts*time.Minute)}, false},
		"ahead":          {Governor{1000, time.Minute, ago(-time.Hour)}, true},
		"negative":       {Governor{-5, time.Minute, ago(time.Second)}, false},
		"of no climb":    {Governor{1000, -5, ago(time.Second)}, true},
		"the most":       {Governor{1<<63 - 1, 1<<63 - 1, ago(time.Second)}, true},
		"before it all":  {Governor{1000, time.Minute, -1 << 63}, false},
		"of no instants": {Governor{1000, time.Minute, 0}, false},
	} {
		l := NewLedger(&Rules{API: "api"}, 1)
		gate := l.gate(now, call, Parts{User: true})
		gate.restoreGovernor(now, tc.r)
		g := gate.governor()
		if (g != nil) != tc.kept {
			t.Errorf("%s: restored as %+v", name, g)
		}
		if g == nil || g.ceiling == 0 {
			continue
		}
		g.granted(now)
		if r := g.rate(now); r < minRate || r > MaxQuota || g.climb < minClimb || g.climb > maxClimb {
			t.Errorf("%s: a rate of %d, to climb for %v", name, r, g.climb)
		}
	}
}

// What kind of window an upstream has that nobody declared is known after a restart.
func TestRestartKnowsTheKind(t *testing.T) {
	for name, o := range oracles() {
		for _, quota := range []int64{0, o.quota} {
			limit := declared(quota, Window{})
			if quota == 0 {
				limit.Provenance = Nobody
			}
			tc := kindCase{declared: limit, meter: o.meter, limits: o.limits, faults: faults{rtt: 100 * time.Millisecond}, rate: o.rate, steady: true}
			w, _ := tc.play(5, 20*oraclePeriod)
			found, b := w.found()
			refused, asks := w.up.refused, b.asks()
			w.crash(5 * time.Second)
			again, b := w.found()
			if again.Window.Kind != found.Window.Kind || again.Confidence <= 0.5 || again.Confidence > 0.9 || b.asks() != (asks || found.Window.Kind == Refill) {
				t.Errorf("%s: found %v before, asking is %v; %v, %.2f, after, asking is %v", name, found.Window, asks, again.Window, again.Confidence, b.asks())
			}
			w.steady(o.rate, 10*oraclePeriod)
			w.run(w.now.Add(10 * oraclePeriod))
			last, _ := w.found()
			if w.up.refused > refused || last == (Finding{}) {
				t.Errorf("%s: %d refused, and then %d; found %v", name, refused, w.up.refused-refused, last.Window)
			}
		}
	}
}

// What an earlier owner found and is not so, or not any more, is refuted by answers.
func TestRestartRefutesTheKind(t *testing.T) {
	for name, kind := range map[string]WindowKind{"phase": Sliding, "counter": Fixed, "gcra, next": Fixed, "slow, next": Fixed} {
		o := oracles()[name]
		tc := kindCase{declared: declared(o.quota, Window{}), meter: o.meter, limits: o.limits, faults: faults{rtt: 100 * time.Millisecond}, rate: o.rate, steady: true}
		w, _ := tc.play(5, oraclePeriod)
		for id, r := range w.store {
			r.Found = Window{Kind: kind, Period: oraclePeriod}
			w.store[id] = r
		}
		refused := w.up.refused
		w.crash(time.Second)
		w.steady(o.rate, 30*oraclePeriod)
		w.run(w.now.Add(30 * oraclePeriod))
		f, _ := w.found()
		t.Logf("%s: %d refused, found %v", name, w.up.refused-refused, f.Window)
		if w.up.refused-refused > 3 || f.Window.Kind == kind {
			t.Errorf("%s: %d refused after a restart, and found %v", name, w.up.refused-refused, f.Window)
		}
	}
}

// A limit that responses told of is one rule after a restart, however many buckets it
// has; and one of which they told no quota goes on learning it.
func TestRestartOfToldLimits(t *testing.T) {
	for how, end := range endings() {
		t.Run(how, func(t *testing.T) {
			s := newSteps(t)
			for i := range 3 {
				s.settle(0.1, s.takeFor(0, member(i)), spent(true))
			}
			name := s.l.told[0].Name
			for i := range 3 {
				scope := member(i)
				s.use(nextDay(1)+float64(i), 6, scope)
				s.settle(nextDay(1)+float64(i)+0.5, s.takeFor(nextDay(1)+float64(i), scope), spent(true))
			}
			was := s.l.find(name, member(1).Only(Parts{User: true}))
			s = end(s, nextDay(1)+10)
			is := s.l.find(name, member(1).Only(Parts{User: true}))
			if len(s.l.told) != 1 || was.quota != 6 || is == nil || is.quota != 6 || is.provenance != Learned || is.rule.Quota != 0 {
				t.Fatalf("%d limits; the bucket was %+v, is %+v", len(s.l.told), was, is)
			}
			s.use(nextDay(2), 6, member(7)) // who goes by the others'
			if d := s.try(nextDay(2), member(7)); d.Reason != Exhausted {
				t.Errorf("denied %+v", d)
			}

			s = newSteps(t)
			named := Observation{Limit: "named", Says: true, Per: Parts{User: true}, Remaining: Unknown, Blocked: true}
			s.settle(0.1, s.take(0), Answer{Verdict: Refused, RetryAfter: time.Minute, Reason: "slow down", Observations: []Observation{named}})
			s = end(s, 1)
			if d := s.denied(10, CoolingDown); d.Bucket.Name() != "named" || s.l.Status(at0(10), d.Bucket).CoolReason != "slow down" {
				t.Errorf("closed by %s, because of %q", d.Bucket.Name(), s.l.Status(at0(10), d.Bucket).CoolReason)
			}
		})
	}
}
