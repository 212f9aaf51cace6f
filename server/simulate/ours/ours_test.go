package ours

import (
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// t0 is 3 s after a multiple of 10 s.
var t0 = time.Unix(1_700_000_003, 0).UTC()

func ms(n int) simulate.Spread {
	return simulate.Spread{Typical: time.Duration(n) * time.Millisecond, Sigma: 0.5}
}

// world wants more than its limits have, which tell all there is to know of them.
func world() *simulate.Scenario {
	return &simulate.Scenario{
		Name: "world", Start: t0, Duration: 5 * time.Minute,
		Upstream: simulate.API{
			Limits: []simulate.Limit{
				{Name: "app", Per: []string{"app"}, Quota: 100, Window: simulate.Shape{Fixed: 10 * time.Second, Phase: 4 * time.Second}},
			},
			Latency: simulate.Latency{Request: ms(50), Work: ms(10), Answer: ms(50)},
		},
		Fleet: simulate.Fleet{
			Services: []simulate.Service{{Name: "s", Count: 4, Workers: 8}},
			Users:    simulate.Users{Count: 6}, Network: ms(2), Store: ms(3),
		},
		Broker: []byte("{dialect: auto, limits: [{name: app, per: [app], quota: 100, window: {fixed: 10s}}]}"),
	}
}

func run(t *testing.T, s *simulate.Scenario) *simulate.Result {
	t.Helper()
	r, err := simulate.Run(s, 1, New)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSoleConsumer(t *testing.T) {
	r := run(t, world())
	// Where its windows begin has to be learned first.
	if used, ok := r.Used(3); r.Refused != 0 || !ok || used < 0.99 {
		t.Errorf("%d refused, %.3f used; want none and all", r.Refused, used)
	}
}

// What users share and have of their own opens at the same time; nothing may
// depend on the order of a map.
func TestDeterministic(t *testing.T) {
	w := world()
	w.Upstream.Limits = append(w.Upstream.Limits, simulate.Limit{
		Name: "user", Per: []string{"app", "user"}, Quota: 20, Window: simulate.Shape{Fixed: 10 * time.Second, Phase: 4 * time.Second},
	})
	w.Broker = []byte("{limits: [{name: app, per: [app], quota: 100, window: {fixed: 10s}}, {name: user, per: [app, user], quota: 20, window: {fixed: 10s}}]}")
	w.Fleet.Faults = simulate.Faults{DieBefore: 0.02, DieAfter: 0.02, Drop: 0.02, Unreported: 0.02}
	w.Upstream.Outages = []simulate.Outage{{From: time.Minute, For: 10 * time.Second}}
	first := run(t, w)
	for range 4 {
		if again := run(t, w); again.Hash != first.Hash {
			t.Errorf("%x, then %x", first.Hash, again.Hash)
		}
	}
}

// The network and the store cost time, and no 429s.
func TestSlowNetworkAndStore(t *testing.T) {
	w := world()
	w.Fleet.Network, w.Fleet.Store = ms(300), ms(100)
	if r := run(t, w); r.Refused != 0 || r.WaitP50 < 600*time.Millisecond {
		t.Errorf("%d refused, median wait %v; want none, and two ways to the broker at least", r.Refused, r.WaitP50)
	}
}

// A caller that is slower than its permit's time does not send with it, and a call
// is sent for which there was a permit all the same.
func TestSlowCallers(t *testing.T) {
	w := world()
	w.Fleet.Faults.Slow = simulate.Slow{Share: 0.2, UpTo: 20 * time.Second}
	w.Fleet.Services = []simulate.Service{{Name: "s", Rate: 2}}
	var late int
	r, err := simulate.Run(w, 1, func(e simulate.Env) (simulate.Strategy, error) {
		recall := e.Recall
		e.Recall = func(j *simulate.Job) bool {
			took := recall(j)
			if took {
				late++
			}
			return took
		}
		return New(e)
	})
	if err != nil {
		t.Fatal(err)
	}
	if late == 0 || r.Fired.Slow == 0 || r.Refused != 0 {
		t.Errorf("%d were slow, %d too late, %d refused", r.Fired.Slow, late, r.Refused)
	}
	if r.Served < r.Wanted*8/10 {
		t.Errorf("%d of %d served", r.Served, r.Wanted)
	}
}

// When the upstream refuses, permits that are on their way or in slow hands are
// void: few calls meet the same refusal.
func TestRevocations(t *testing.T) {
	w := world()
	w.Upstream.Limits, w.Broker = nil, nil
	w.Fleet.Services = []simulate.Service{{Name: "s", Rate: 20}}
	w.Fleet.Faults.Slow = simulate.Slow{Share: 1, UpTo: 4 * time.Second}
	w.Upstream.Outages = []simulate.Outage{{From: time.Minute, For: 20 * time.Second, RetryAfter: 20 * time.Second}}
	r := run(t, w)
	// 20 a second, in the 4 s until they are sent and 0.1 s until the first refusal is
	// heard: without revocations some 40 more.
	if r.Refused == 0 || r.Refused > 15 {
		t.Errorf("%d were refused", r.Refused)
	}
	if r.Served < r.Wanted-200 {
		t.Errorf("%d of %d served", r.Served, r.Wanted)
	}
}

func TestProbesAreMarked(t *testing.T) {
	w := world()
	w.Upstream.Outages = []simulate.Outage{{From: time.Minute, For: time.Minute}}
	r := run(t, w)
	if r.Probes == 0 || r.Refused-r.Unaware-r.Probes > 0 {
		t.Errorf("%d refused, of these %d unaware and %d probes", r.Refused, r.Unaware, r.Probes)
	}
}

// What the broker believes is never more than there is.
func TestBelieves(t *testing.T) {
	w := world()
	w.Sample = 100 * time.Millisecond
	known := 0
	for _, s := range run(t, w).Timeline {
		l := s.Levels[0]
		if l.Known {
			known++
		}
		if l.Known && l.Believed > l.Left {
			t.Errorf("at %v: believed %d of %d", s.At.Sub(t0), l.Believed, l.Left)
		}
	}
	if known < 1000 {
		t.Errorf("it believed anything %d times", known)
	}
}

func TestBadBroker(t *testing.T) {
	w := world()
	w.Broker = []byte("{limits: [{name: app, per: [app], quota: -1, window: {fixed: 10s}}]}")
	_, err := simulate.Run(w, 1, New)
	if err == nil || !strings.Contains(err.Error(), "scenario world") || !strings.Contains(err.Error(), "apis.api.limits[0].quota") {
		t.Errorf("got %v", err)
	}
}
