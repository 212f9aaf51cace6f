package quota

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// weigher is an upstream whose calls take more than one of its limit each, of which
// nobody says anything, or that counts what it refuses.
type weigher struct {
	name  string
	limit trueLimit
	// weights is what calls take, by endpoint, of which there are as many; later what
	// they take from the sixth window on, where that is something else.
	weights, later map[string]int64
	// wasteful says that what is refused is counted too.
	wasteful bool
	// limits are what is configured; nil is nothing.
	limits []Limit
	// bare says that answers tell nothing but which limit they refuse for.
	bare   bool
	faults faults
	// stale is by how much too high the remaining is that three answers in ten tell.
	stale int64
	// workers are the calls that are under way at most; 0 means 16.
	workers int
}

const (
	watched = 12 // windows
	changes = 6  // after so many
)

// twelve are the oracles of fault 49.
func twelve() []weigher {
	second := trueLimit{quota: 300, period: 10 * time.Second, phase: 3 * time.Second}
	each := func(n int64) map[string]int64 { return map[string]int64{"/": n} }
	known := []Limit{fixed(300, 10*time.Second)}
	return []weigher{
		{name: "2 each", limit: second, weights: each(2), limits: known},
		{name: "5 each", limit: second, weights: each(5), limits: known},
		{name: "10 each, nothing configured", limit: second, weights: each(10)},
		{name: "100 each", limit: trueLimit{quota: 2000, period: 10 * time.Second}, weights: each(100), limits: []Limit{fixed(2000, 10*time.Second)}},
		{name: "1, 5 and 20 by endpoint", limit: second, weights: map[string]int64{"a": 1, "b": 5, "c": 20}, limits: known},
		{name: "5 each, three headers in ten lost", limit: second, weights: each(5), limits: known, faults: faults{loseHeaders: 0.3}},
		{name: "5 each, three answers in ten lag", limit: second, weights: each(5), limits: known, stale: 25},
		{name: "5 each and then 10", limit: second, weights: each(5), later: each(10), limits: known},
		{name: "10 each and then 2", limit: second, weights: each(10), later: each(2), limits: known},
	}
}

// Fault 49: what calls weigh that nobody declares, and what refusals cost, is learned
// within a window: afterwards nobody is refused, and the quota is used.
func TestFault49LearnsWeights(t *testing.T) {
	for _, y := range twelve() {
		t.Run(y.name, func(t *testing.T) {
			w, start := y.play(11)
			refused := make([]int, watched)
			for _, at := range w.up.refusedAt {
				refused[at.Sub(start)/y.limit.period]++
			}
			used := append([]int64{0}, w.up.history...) // of the first they are not kept
			t.Logf("refused %v, used %v", refused, used)
			for i := 1; i < len(used); i++ {
				learning := i == changes && y.later != nil
				if !learning && (refused[i] > 0 || used[i]*10 < y.limit.quota*9) {
					t.Errorf("window %d: %d refused, %d of %d used, want none and 0.9", i, refused[i], used[i], y.limit.quota)
				}
			}
			if len(used) < watched-1 {
				t.Errorf("%d windows", len(used))
			}
		})
	}
}

// play lets a fleet that always wants more call the upstream for some windows, from
// the begin of one.
func (y *weigher) play(seed uint64) (w *world, start time.Time) {
	start = epoch.Truncate(day).Add(y.limit.phase)
	up := &upstream{limits: []trueLimit{y.limit}, bare: y.bare, wasteful: y.wasteful, lag: y.stale}
	up.weight = func(endpoint string, now time.Time) int64 {
		weights := y.weights
		if y.later != nil && now.Sub(start) >= changes*y.limit.period {
			weights = y.later
		}
		return weights[endpoint[len("GET "):]]
	}
	f := y.faults
	f.rtt = 100 * time.Millisecond
	w = newWorld(seed, start, up, &Rules{API: "api", SendWithin: 2 * time.Second, Limits: y.limits}, f)
	up.lagging = func() bool { return w.chance(0.3) }
	if w.workers = y.workers; w.workers == 0 {
		w.workers = 16
	}
	for _, e := range slices.Sorted(maps.Keys(y.weights)) {
		w.want("u "+e, 1<<20)
	}
	w.check = func() { // no endpoint always comes first
		w.rng.Shuffle(len(w.users), func(i, j int) { w.users[i], w.users[j] = w.users[j], w.users[i] })
	}
	w.run(start.Add(watched * y.limit.period))
	return w, start
}

// What others take is not taken for what calls weigh: only when by chance several
// gaps in a row are the same, and then not for long.
func TestOthersAreNoWeight(t *testing.T) {
	for name, c := range map[string]crowd{
		"a third, evenly":    {rate: 9},
		"a third, in bursts": {rate: 9, on: time.Second, off: 4 * time.Second},
		"two thirds":         {rate: 20},
	} {
		t.Run(name, func(t *testing.T) {
			up := &upstream{limits: []trueLimit{{quota: 300, period: 10 * time.Second, phase: 3 * time.Second}}}
			w := newWorld(1, epoch, up, &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{fixed(300, 10*time.Second)}},
				faults{rtt: 100 * time.Millisecond})
			seen, wrong := 0, 0
			w.check = func() {
				b := w.ledger.find("app", Scope{API: "api", App: "app"})
				if b == nil || b.drift() == nil {
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
	for left := int64(949); left > 945; left-- {
		settle(7, s.take(7), left)
	}
	s.take(8)
	s.available(8, "app", 945)
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
