package strategy

import (
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// world is a fleet that wants more than there is, of limits of each kind.
func world(limits ...simulate.Limit) *simulate.Scenario {
	return &simulate.Scenario{
		Name: "world", Start: t0, Duration: 5 * time.Minute,
		Upstream: simulate.API{
			Limits: limits,
			Latency: simulate.Latency{
				Request: simulate.Spread{Typical: 50 * time.Millisecond, Sigma: 0.6},
				Work:    simulate.Spread{Typical: 20 * time.Millisecond},
				Answer:  simulate.Spread{Typical: 50 * time.Millisecond, Sigma: 0.6},
			},
		},
		Fleet: simulate.Fleet{
			Services: []simulate.Service{{Name: "s", Count: 4, Workers: 8}},
			Users:    simulate.Users{Count: 6},
			Faults:   simulate.Faults{DieBefore: 0.02, DieAfter: 0.02, Drop: 0.02, Unreported: 0.02},
		},
	}
}

var worlds = map[string]*simulate.Scenario{
	"fixed":      world(limit(100, simulate.Shape{Fixed: 10 * time.Second, Phase: 3 * time.Second}), limit(20, simulate.Shape{Fixed: 10 * time.Second}, "user")),
	"first use":  world(limit(100, simulate.Shape{Fixed: 10 * time.Second, From: simulate.FirstUse})),
	"sliding":    world(limit(100, simulate.Shape{Sliding: 10 * time.Second})),
	"counter":    world(limit(100, simulate.Shape{Counter: 10 * time.Second})),
	"refill":     world(limit(10, simulate.Shape{Refill: time.Second, Burst: 40})),
	"concurrent": world(limit(3, simulate.Shape{Concurrent: true})),
}

// The clairvoyant is never refused, and uses everything.
func TestClairvoyant(t *testing.T) {
	for name, w := range worlds {
		r := run(t, w, Clairvoyant)
		if used, ok := r.Used(0); r.Refused > 0 || !ok || used < 0.99 {
			t.Errorf("%s: %d refused, %.3f used", name, r.Refused, used)
		}
	}
}

// Nobody has more served than the clairvoyant.
func TestClairvoyantIsTheBound(t *testing.T) {
	for name, w := range worlds {
		best := run(t, w, Clairvoyant).Served
		for _, s := range All() {
			if served := run(t, w, s.Name).Served; served > best+best/100 {
				t.Errorf("%s: %s has %d served, the clairvoyant %d", name, s.Name, served, best)
			}
		}
	}
}

// It sits out outages, and takes what a change brings.
func TestClairvoyantSeesWhatComes(t *testing.T) {
	w := world(limit(100, simulate.Shape{Fixed: 10 * time.Second}))
	w.Upstream.Outages = []simulate.Outage{{From: time.Minute, For: 30 * time.Second}}
	w.Upstream.Changes = []simulate.Change{{At: 2 * time.Minute, Limit: "limit", Quota: 20}, {At: 185 * time.Second, Limit: "limit", Quota: 200}}
	r := run(t, w, Clairvoyant)
	if r.Refused > 0 || r.Fired.Outages > 0 || r.Fired.Changes != 2 {
		t.Errorf("%d refused, %d of the outage, %d changes", r.Refused, r.Fired.Outages, r.Fired.Changes)
	}
	for _, win := range r.Windows {
		if win.Began.Sub(t0) == 177*time.Second && win.Counted != 200 {
			t.Errorf("%d counted in the window in which the quota rose to 200", win.Counted)
		}
	}
}

func run(t *testing.T, w *simulate.Scenario, name string) *simulate.Result {
	t.Helper()
	s, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := simulate.Run(w, 1, s[0].New)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

// The same seed gives the same run, whatever the order of a map.
func TestDeterministic(t *testing.T) {
	for _, s := range All() {
		w := worlds["fixed"]
		first := run(t, w, s.Name).Hash
		for range 3 {
			if again := run(t, w, s.Name).Hash; again != first {
				t.Errorf("%s: %x, then %x", s.Name, first, again)
			}
		}
	}
}

func TestNamed(t *testing.T) {
	if _, err := Named("guide", "luck"); err == nil || err.Error() != `there is no strategy "luck": choose of ours, guide, jitter, split, central, adaptive, clairvoyant` {
		t.Errorf("got %v", err)
	}
	got, err := Named(Clairvoyant, "guide")
	if err != nil || len(got) != 2 || got[0].Name != Clairvoyant || got[1].Name != "guide" {
		t.Errorf("got %v, %v", got, err)
	}
}
