package quota

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What calls weigh is known after a restart as it was before it: by how many answers too;
// and so is that they do not weigh more any longer.
func TestRestartKeepsWeights(t *testing.T) {
	for how, end := range endings() {
		t.Run(how, func(t *testing.T) {
			s := newSteps(t, fixed(1000, time.Hour))
			left, sec := int64(1000), 0.0
			fall := func(by int64, times int) {
				for range times {
					left, sec = left-by, sec+1
					s.settle(sec, s.take(sec), numbersReset(1000, left, time.Hour-time.Duration(sec)*time.Second))
				}
			}
			fall(5, 8)
			want := s.bucketOf("app").LearnedCosts()
			if len(want) != 1 || want[0].Cost != 5 || want[0].Answers < agreeingGaps {
				t.Fatalf("learned %+v", want)
			}
			s = end(s, sec)
			p := s.take(sec + 10)
			if got := s.bucketOf("app").LearnedCosts(); len(got) != 1 || got[0].Cost != 5 || got[0].Answers < agreeingGaps {
				t.Errorf("after the restart %+v, want %+v", got, want)
			}
			if p.charges[0].cost != 5 {
				t.Errorf("the first call is charged %d", p.charges[0].cost)
			}
			if w := s.l.Wanted(at0(sec + 10)); slices.ContainsFunc(w, func(r Reservation) bool { return r.Cost != CostLesson{} }) {
				t.Errorf("what is recorded is written again: %+v", w)
			}
			sec += 10
			s.settle(sec, p, numbersReset(1000, left-5, time.Hour-time.Duration(sec)*time.Second))
			left -= 5
			fall(1, 2*maxGaps)
			s = end(s, sec)
			if s.take(sec + 10); len(s.bucketOf("app").LearnedCosts()) != 0 {
				t.Errorf("calls weigh one, and after a restart %+v", s.bucketOf("app").LearnedCosts())
			}
		})
	}
}

// A record of what still holds is written again once a day, or a store would forget it.
func TestWeightsAreRecordedAnew(t *testing.T) {
	s := newSteps(t, fixed(1<<40, time.Hour))
	left, records := int64(1<<40), map[int64]bool{}
	for hour := range 10 * 24 {
		for i := range 8 {
			sec := float64(hour*3600 + i)
			if left -= 5; i == 0 {
				left = 1<<40 - 5
			}
			s.settle(sec, s.take(sec), numbersReset(1<<40, left, 50*time.Minute))
			for _, r := range s.l.Wanted(at0(sec)) {
				if r.Cost.Requests == 5 {
					records[r.Began] = true
				}
			}
			s.confirm(sec)
		}
	}
	if n := len(records); n < 9 || n > 11 {
		t.Errorf("recorded %d times in ten days", n)
	}
}

// What reports and percentages told of the costs of calls is known after a restart too.
func TestRestartKeepsCosts(t *testing.T) {
	for how, end := range endings() {
		t.Run(how, func(t *testing.T) {
			tokens := Limit{Name: "tokens", Unit: "tokens", Quota: 100_000, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day}}
			share := Limit{Name: "usage", Unit: Share, Quota: WholeShare, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day}}
			s := newSteps(t, tokens, share)
			said := Request{Scope: endpoint("POST /said"), Costs: Costs{"tokens": 100}}
			for i := range int64(50) {
				sec := float64(i)
				a := Answer{Costs: Costs{"tokens": 300}, Observations: []Observation{{Limit: "usage", Unit: Share, Quota: WholeShare, Remaining: WholeShare - i/5*OnePercent}}}
				s.settle(sec, s.takeFor(sec, endpoint("POST /silent")), a)
				s.settle(sec, s.mustAsk(sec, said), Answer{Costs: Costs{"tokens": 150}})
			}
			before := s.takeFor(50, endpoint("POST /silent")).charges
			s = end(s, 51)
			after := s.takeFor(60, endpoint("POST /silent")).charges
			for i := range before {
				if got, want := after[i].cost, before[i].cost; got < want || got > want+want/2 {
					t.Errorf("a call takes %d of %s after the restart, and took %d before", got, after[i].bucket.Name(), want)
				}
			}
			if got := s.mustAsk(61, said).charges[0].cost; got != 150 {
				t.Errorf("of a call that says 100, %d are reserved, want 150", got)
			}
		})
	}
}

// Whatever a file says, no call is taken to be cheaper than where nothing was learned, or
// dearer than there is; of a limit that counts something else by now it is ignored.
func TestFalseCosts(t *testing.T) {
	tokens := Limit{Name: "tokens", Unit: "tokens", Quota: 1000, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day}}
	share := Limit{Name: "usage", Unit: Share, Quota: WholeShare, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day}}
	const least, most = -1 << 63, 1<<63 - 1
	for _, n := range []int64{least, -1, 0, 1, exactly, 64_000, most} {
		all := CostLesson{Requests: n, Answers: n, Needed: n, Most: n, Share: n, Fell: n, Calls: n}
		for _, unit := range []string{Requests, "tokens", Share, "", "points"} {
			var records []Reservation
			for _, limit := range []string{"day", "tokens", "usage", "gone", ""} {
				for _, e := range []string{"", "GET /"} {
					records = append(records, Reservation{Limit: nameCosts + limit, Key: endpoint(e), Began: n, Hi: n, Unit: unit, Cost: all})
				}
			}
			s := newSteps(t, daily(100), tokens, share).successor(0, records...)
			for _, b := range s.l.Counted(at0(0), endpoint("GET /")) {
				least := map[string]int64{"day": 1, "tokens": 0, "usage": OnePercent / lentCalls}[b.Name()]
				cost, _ := s.l.costOf(b, "GET /", nil)
				if cost < least || cost > b.quota || b.rule.Counts() != unit && cost > max(1, least*lentCalls) {
					t.Errorf("%d of %q: a call takes %d of %s", n, unit, cost, b.Name())
				}
				if said, _ := s.l.costOf(b, "GET /", Costs{"tokens": 10}); b.Name() == "tokens" && said < 10 {
					t.Errorf("%d of %q: of a call that says 10, %d are reserved", n, unit, said)
				}
			}
		}
	}
}

// Upstreams whose calls weigh more refuse no more calls of a broker that was restarted
// than of one that was not.
func TestRestartLosesNoWeight(t *testing.T) {
	const crashed = 6 // in the window of this number
	for _, y := range tellers() {
		if y.later != nil {
			continue
		}
		t.Run(y.name, func(t *testing.T) {
			w := y.world(11)
			start := w.now
			w.after(crashed*y.limit.period+y.limit.period/3, func() { w.crash(time.Second) })
			w.run(start.Add(watched * y.limit.period))
			used, refused := make([]int64, watched+1), make([]int, watched+1)
			for _, p := range w.up.passed {
				used[p.at.Sub(start)/y.limit.period] += p.cost
			}
			for _, at := range w.up.refusedAt {
				refused[at.Sub(start)/y.limit.period]++
			}
			t.Logf("refused %v, used %v", refused, used)
			for i := crashed; i < watched; i++ {
				if refused[i] > y.tries || i > crashed+1 && used[i]*10 < y.limit.quota*9 {
					t.Errorf("window %d: %d refused, %d of %d used", i, refused[i], used[i], y.limit.quota)
				}
			}
		})
	}
}

// Whatever goes wrong: what calls weigh is known after a crash if it was before, and nobody
// is refused from then on but a probe.
func TestPropertyCrashKeepsWeights(t *testing.T) {
	var worlds, kept int
	rapid.Check(t, func(t *rapid.T) {
		const windows = 6
		weight := int64(rapid.IntRange(2, 20).Draw(t, "weight"))
		y := weigher{limit: trueLimit{quota: weight * int64(rapid.IntRange(8, 60).Draw(t, "calls")), period: 10 * time.Second}, weights: alike(weight)}
		y.limit.phase = time.Duration(rapid.IntRange(0, 9999).Draw(t, "phase")) * time.Millisecond
		y.limits = []Limit{fixed(y.limit.quota, y.limit.period)}
		y.faults = drawFaults(t)
		y.faults.slowSend = min(y.faults.slowSend, time.Second)
		y.faults.loseHeaders = min(y.faults.loseHeaders, 0.3)
		w := y.world(rapid.Uint64().Draw(t, "seed"))
		w.after(3*y.limit.period+w.upTo(y.limit.period), func() {
			charged := func() int64 { return w.ledger.family("app").weights["GET /"].of(y.limit.quota) }
			was := charged()
			w.crash(w.upTo(3 * time.Second))
			if is := charged(); is != was {
				t.Fatalf("a call weighs %d, and took %d before the crash", is, was)
			}
			if was == weight {
				kept++
			}
		})
		w.run(w.now.Add(windows * y.limit.period))
		worlds++
	})
	if t.Logf("kept in %d of %d worlds", kept, worlds); !t.Failed() && worlds >= 100 && kept*2 < worlds {
		t.Errorf("kept in %d of %d worlds", kept, worlds)
	}
}
