package quota

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// weigher is an upstream whose calls take more than one of its limit each, of which
// nobody says anything, or that counts what it refuses.
type weigher struct {
	name  string
	limit trueLimit
	// weights is what calls take, by endpoint, of which there are as many; later what
	// they take once a few windows are over, where that is something else.
	weights, later map[string]int64
	// wasteful says that what is refused is counted too; sliding that the window
	// slides, and is then full when the fleet comes.
	wasteful, sliding bool
	// limits are what is configured; nil is nothing.
	limits []Limit
	// bare says that answers tell nothing but which limit they refuse for, mute that
	// they do not even tell that.
	bare, mute bool
	faults     faults
	// stale is by how much too high the remaining is that three answers in ten tell.
	stale int64
	// learning is how many windows it takes; 0 is one.
	learning int
	// tries is how many calls of a later window may be refused that ask whether there
	// is more by now.
	tries int
}

const (
	watched = 12 // windows
	changes = 6  // after so many
)

// alike is a weight of all calls.
func alike(n int64) map[string]int64 { return map[string]int64{"/": n} }

// tellers are the oracles of fault 49 that tell what remains.
func tellers() []weigher {
	window := trueLimit{quota: 300, period: 10 * time.Second, phase: 3 * time.Second}
	known := []Limit{fixed(300, 10*time.Second)}
	slides, sliding := trueLimit{quota: 300, period: 10 * time.Second}, []Limit{declared(300, Window{Kind: Sliding, Period: 10 * time.Second})}
	return []weigher{
		{name: "2 each", limit: window, weights: alike(2), limits: known},
		{name: "5 each", limit: window, weights: alike(5), limits: known},
		{name: "10 each, nothing configured", limit: window, weights: alike(10)},
		{name: "100 each", limit: trueLimit{quota: 2000, period: 10 * time.Second}, weights: alike(100), limits: []Limit{fixed(2000, 10*time.Second)}},
		{name: "1, 5 and 20 by endpoint", limit: window, weights: map[string]int64{"a": 1, "b": 5, "c": 20}, limits: known},
		{name: "5 each, three headers in ten lost", limit: window, weights: alike(5), limits: known, faults: faults{loseHeaders: 0.3}},
		{name: "5 each, three answers in ten lag", limit: window, weights: alike(5), limits: known, stale: 25},
		{name: "5 each and then 10", limit: window, weights: alike(5), later: alike(10), limits: known},
		{name: "10 each and then 2", limit: window, weights: alike(10), later: alike(2), limits: known},
		{name: "5 each, sliding", limit: slides, sliding: true, weights: alike(5), limits: sliding},
		{name: "1, 5 and 20 by endpoint, sliding", limit: slides, sliding: true, weights: map[string]int64{"a": 1, "b": 5, "c": 20}, limits: sliding},
		{name: "5 each, sliding, three headers in ten lost", limit: slides, sliding: true, weights: alike(5), limits: sliding, faults: faults{loseHeaders: 0.3}},
		{name: "refusals count", limit: window, weights: alike(1), wasteful: true, limits: known},
		{name: "refusals count, 5 each, nothing configured", limit: window, weights: alike(5), wasteful: true},
	}
}

// mutes are those that do not. What calls weigh there is a smaller quota.
func mutes() []weigher {
	slowly := faults{rtt: 1800 * time.Millisecond}
	hundred, weighty := trueLimit{quota: 100, period: day}, trueLimit{quota: 500, period: day}
	unknown := daily(0)
	unknown.Provenance = Nobody
	known, learn := []Limit{daily(500)}, []Limit{unknown}
	slides := []Limit{{Name: "app", Quota: 100, Window: Window{Kind: Sliding, Period: time.Hour}, Provenance: Configured}}
	return []weigher{
		{name: "5 each, named", limit: weighty, weights: alike(5), limits: known, bare: true, faults: slowly, tries: 1},
		{name: "5 each, without a word", limit: weighty, weights: alike(5), limits: known, mute: true, faults: slowly, tries: 1},
		{name: "5 each, quota unknown, named", limit: weighty, weights: alike(5), limits: learn, bare: true, faults: slowly, tries: 1},
		{name: "5 each, quota unknown, without a word", limit: weighty, weights: alike(5), limits: learn, mute: true, faults: slowly, tries: 1},
		{name: "refusals count, named", limit: hundred, weights: alike(1), wasteful: true, limits: known, bare: true, faults: slowly, tries: 1},
		{name: "refusals count, without a word", limit: hundred, weights: alike(1), wasteful: true, limits: learn, mute: true, faults: slowly, tries: 1},
		{name: "refusals count, sliding", limit: trueLimit{quota: 100, period: time.Hour}, sliding: true, wasteful: true, limits: slides},
		{name: "refusals count, sliding, without a word", limit: trueLimit{quota: 100, period: time.Hour}, sliding: true, wasteful: true, limits: slides, mute: true},
		{name: "refusals count, ten an hour", limit: trueLimit{quota: 10, period: time.Hour}, sliding: true, wasteful: true, limits: []Limit{{Name: "app", Quota: 10, Window: slides[0].Window, Provenance: Configured}}, learning: 2},
	}
}

// Fault 49: what calls weigh that nobody declares, and what refusals cost, is learned
// within a window: afterwards nobody is refused, and the quota is used.
func TestFault49LearnsWeights(t *testing.T) {
	for _, y := range append(tellers(), mutes()...) {
		t.Run(y.name, func(t *testing.T) {
			up, start := y.play(11)
			used, refused := make([]int64, watched+1), make([]int, watched+1)
			for _, p := range up.passed {
				used[p.at.Sub(start)/y.limit.period] += p.cost
			}
			for _, at := range up.refusedAt {
				refused[at.Sub(start)/y.limit.period]++
			}
			t.Logf("refused %v, used %v", refused, used)
			for i := max(1, y.learning); i < watched; i++ {
				if i == changes && y.later != nil {
					continue // to be learned anew
				}
				if refused[i] > y.tries || used[i]*10 < y.limit.quota*9 {
					t.Errorf("window %d: %d refused, %d of %d used, want at most %d and 0.9", i, refused[i], used[i], y.limit.quota, y.tries)
				}
			}
		})
	}
}

// play lets a fleet that always wants more call the upstream for some windows, from
// the begin of one.
func (y *weigher) play(seed uint64) (up *upstream, start time.Time) {
	w := y.world(seed)
	start = w.now
	w.run(start.Add(watched * y.limit.period))
	return w.up, start
}

// world is the fleet and the upstream.
func (y *weigher) world(seed uint64) *world {
	start := epoch.Truncate(day).Add(y.limit.phase)
	up := &upstream{limits: []trueLimit{y.limit}, bare: y.bare, mute: y.mute, wasteful: y.wasteful, lag: y.stale}
	if y.sliding {
		m := &slidingMeter{quota: y.limit.quota, period: y.limit.period, wasteful: y.wasteful}
		for i := range y.limit.quota {
			if !y.wasteful {
				break
			}
			m.log = append(m.log, start.Add(-y.limit.period+time.Duration(i+1)*y.limit.period/time.Duration(y.limit.quota+1)))
		}
		up.meter = m
	}
	up.weight = func(endpoint string, now time.Time) int64 {
		weights := y.weights
		if y.later != nil && now.Sub(start) >= changes*y.limit.period {
			weights = y.later
		}
		return max(1, weights[endpoint[len("GET "):]])
	}
	f := y.faults
	f.rtt = max(f.rtt, 100*time.Millisecond)
	w := newWorld(seed, start, up, &Rules{API: "api", SendWithin: 2 * time.Second, Limits: y.limits}, f)
	up.lagging = func() bool { return w.chance(0.3) }
	if w.workers = 16; y.bare || y.mute && !y.sliding {
		w.workers = 2 // so that it takes a while until the window is spent
	}
	if y.weights == nil {
		w.want("u", 1<<20)
	}
	for _, e := range slices.Sorted(maps.Keys(y.weights)) {
		w.want("u "+e, 1<<20)
	}
	w.check = func() { // no endpoint always comes first
		w.rng.Shuffle(len(w.users), func(i, j int) { w.users[i], w.users[j] = w.users[j], w.users[i] })
	}
	return w
}

// What others take is not taken for what calls weigh: only when by chance several
// gaps in a row are the same, and then not for long.
func TestOthersAreNoWeight(t *testing.T) {
	for name, c := range map[string]crowd{
		"a third, evenly":                    {rate: 9},
		"a third, in bursts":                 {rate: 9, on: time.Second, off: 4 * time.Second},
		"two thirds":                         {rate: 20},
		"evenly, of a window that slides":    {rate: 9},
		"in bursts, of a window that slides": {rate: 9, on: time.Second, off: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			up := &upstream{limits: []trueLimit{{quota: 300, period: 10 * time.Second, phase: 3 * time.Second}}}
			limit := fixed(300, 10*time.Second)
			slides := strings.HasSuffix(name, "slides")
			if slides {
				up.meter = &slidingMeter{quota: 300, period: 10 * time.Second}
				limit = declared(300, Window{Kind: Sliding, Period: 10 * time.Second})
			}
			w := newWorld(1, epoch, up, &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{limit}},
				faults{rtt: 100 * time.Millisecond})
			seen, wrong := 0, 0
			w.check = func() {
				b := w.ledger.find(limit.Name, Scope{API: "api", App: "app"})
				if b == nil || b.drift() == nil && !slides {
					return
				}
				if seen++; b.weigh("GET /") != 1 {
					wrong++
				}
			}
			w.join(c)
			w.visit("steady")
			w.run(epoch.Add(5 * time.Minute))
			if t.Logf("wrong in %d of %d events", wrong, seen); wrong*100 > seen || seen < 10_000 {
				t.Errorf("wrong in %d of %d events, want at most one in a hundred", wrong, seen)
			}
		})
	}
}

// Step by step: numbers that fall by five, in any order and with some missing, show
// that calls weigh five; numbers that fall by one soon show that they do not.
func TestWeightIsShown(t *testing.T) {
	s := newSteps(t, fixed(1000, time.Hour))
	told := func(left int64) Answer { return numbersReset(1000, left, 50*time.Minute) }
	settle := func(sec float64, p *Permit, left int64) {
		t.Helper()
		s.settle(sec, p, told(left))
	}
	settle(0, s.take(0), 995)
	flight := []*Permit{s.take(2), s.take(2), s.take(2), s.take(2), s.take(2)}
	settle(3, flight[0], 975)
	settle(3, flight[1], 990)
	s.available(3, "app", 975-3) // nothing is shown yet
	settle(3, flight[2], 985)
	settle(3, flight[3], 980)
	s.available(3, "app", 975-1) // what is on its way is charged as it was
	settle(4, flight[4], 965)    // another is lost
	p, silent := s.take(5), s.take(5)
	s.available(5, "app", 965-2*5)
	s.settle(6, silent, Answer{})
	settle(6, p, 955)
	s.available(6, "app", 955-5)
	if got, want := s.bucketOf("app").LearnedCosts(), (LearnedCost{Endpoint: call.Endpoint, Cost: 5, Answers: 5}); len(got) != 1 || got[0] != want {
		t.Errorf("learned %+v, want %+v", got, want)
	}
	for left := int64(949); left > 945; left-- {
		settle(7, s.take(7), left)
	}
	s.take(8)
	s.available(8, "app", 945)
}

// What was on its way when it was learned what calls weigh, and was charged less, is
// not taken for others'.
func TestWeightOfCallsInFlight(t *testing.T) {
	limit := fixed(1000, time.Hour)
	limit.Per = Parts{User: true}
	s := newSteps(t, limit)
	told := func(left int64) Answer { return numbersReset(1000, left, 50*time.Minute) }
	flight := s.takeFor(0, member(2))
	for i := range int64(agreeingGaps + 2) {
		s.settle(1, s.takeFor(0.5, member(1)), told(995-5*i))
	}
	if got := s.bucketFor(member(1)).LearnedCosts(); len(got) != 1 || got[0].Cost != 5 {
		t.Fatalf("learned %+v", got)
	}
	s.settle(1.2, flight, told(995))
	b := s.bucketFor(member(2))
	if b.drift() != nil || b.lost != 4 {
		t.Errorf("others took %d of what one call did, lost %d", b.drift().others(), b.lost)
	}
}

// What is declared is not learned: by the caller, or by the rules.
func TestDeclaredWeightsStand(t *testing.T) {
	rules := &Rules{API: "api", Limits: []Limit{fixed(1000, time.Hour)}, Costs: []EndpointCost{{Endpoint: "GET /declared", Unit: Requests, Cost: 2}}}
	for name, r := range map[string]Request{
		"by the rules":  {Scope: endpoint("GET /declared")},
		"by the caller": {Scope: endpoint("GET /stated"), Costs: Costs{Requests: 2}},
	} {
		l := NewLedger(rules, 1)
		for left := int64(990); left > 800; left -= 10 {
			l.Settle(epoch.Add(time.Second), granted(t, l, epoch.Add(time.Second), r), numbersReset(1000, left, 50*time.Minute))
		}
		if cost, _ := l.costOf(l.find("app", Scope{API: "api", App: "app"}), r.Scope.Endpoint, r.Costs); cost != 2 {
			t.Errorf("%s: a call takes %d, want 2", name, cost)
		}
	}
}

// Whatever a call weighs, and whatever goes wrong on the way: once that is known, and
// the window is over in which it was learned, nobody is refused but a probe, and no
// call is charged more than it weighs most of the time.
func TestPropertyWeights(t *testing.T) {
	var worlds, learned int
	rapid.Check(t, func(t *rapid.T) {
		const windows = 6
		weight := int64(rapid.IntRange(1, 20).Draw(t, "weight"))
		period := 10 * time.Second
		y := weigher{limit: trueLimit{quota: weight * int64(rapid.IntRange(8, 60).Draw(t, "calls")), period: period}, weights: alike(weight)}
		y.limit.phase = time.Duration(rapid.IntRange(0, 9999).Draw(t, "phase")) * time.Millisecond
		y.limits = []Limit{fixed(y.limit.quota, period)}
		y.faults = drawFaults(t)
		y.faults.slowSend = min(y.faults.slowSend, time.Second)
		w := y.world(rapid.Uint64().Draw(t, "seed"))
		start, known, wrong, seen, excused := w.now, time.Time{}, 0, 0, 0
		shuffle := w.check
		w.check = func() {
			shuffle()
			b := w.ledger.find("app", Scope{API: "api", App: "app"})
			if b == nil {
				return
			}
			charged := b.weigh("GET /")
			if seen++; charged > weight {
				wrong++
			}
			switch {
			case charged != weight:
				known = time.Time{}
			case known.IsZero():
				known = w.now
			}
			if known.IsZero() || w.now.Sub(known) <= period+3*time.Second {
				excused = w.innocent
			} else if w.innocent > excused {
				t.Fatalf("refused at %v, and that calls weigh %d is known since %v", w.now.Sub(start), weight, known.Sub(start))
			}
		}
		w.run(start.Add(windows * period))
		if worlds++; !known.IsZero() && weight > 1 {
			learned++
		}
		if wrong*2 > seen { // where most headers are lost, gaps of two calls are many
			t.Fatalf("charged more than %d in %d of %d events", weight, wrong, seen)
		}
	})
	if t.Failed() {
		return
	}
	if t.Logf("learned in %d of %d worlds", learned, worlds); worlds >= 100 && learned*2 < worlds {
		t.Errorf("learned in %d of %d worlds", learned, worlds)
	}
}
