package demo

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWorkIsTheSame(t *testing.T) {
	p := DefaultPlan()
	work := p.work()
	if !reflect.DeepEqual(work, p.work()) {
		t.Error("two runs have different work")
	}
	users, calls := make(map[string]int), 0
	for i, jobs := range work {
		if len(jobs) != p.Calls/p.Services {
			t.Errorf("service %d has %d calls, want %d", i, len(jobs), p.Calls/p.Services)
		}
		for k, j := range jobs {
			calls++
			users[j.user]++
			if l := j.latency(); l < 40*time.Millisecond || l > 120*time.Millisecond || l != (job{id: j.id}).latency() {
				t.Errorf("call %d has a latency of %v", j.id, l)
			}
			if k > 0 && j.due <= jobs[k-1].due {
				t.Errorf("call %d falls due before the one before it", j.id)
			}
		}
	}
	if calls != p.Calls || len(users) != p.Users {
		t.Errorf("got %d calls for %d users, want %d for %d", calls, len(users), p.Calls, p.Users)
	}
}

func TestPlanWantsMoreThanItGets(t *testing.T) {
	p := DefaultPlan()
	if got := p.dueBy(p.Window); got != 450 {
		t.Errorf("%d calls fall due in a window, want 1.5 × 300", got)
	}
	if p.dueBy(0) != 0 || p.dueBy(time.Hour) != p.Calls {
		t.Errorf("%d calls fall due at once, %d in all; want 0 and %d", p.dueBy(0), p.dueBy(time.Hour), p.Calls)
	}
	if p.Most > time.Minute {
		t.Errorf("it may take %v", p.Most)
	}
	if got := p.String(); !strings.Contains(got, "8 services × 4 workers for 40 members want 1.5 times") {
		t.Errorf("got %q", got)
	}
}

// TestStarts holds that a fleet which knows the windows comes with the next one,
// whatever the time, and any other at once.
func TestStarts(t *testing.T) {
	bare := DefaultPlan()
	bare.Headers = None
	for _, tt := range []struct {
		plan      Plan
		now, want time.Duration // since the epoch
	}{
		{bare, 20 * time.Second, 30 * time.Second},
		{bare, 21 * time.Second, 30 * time.Second},
		{bare, 30*time.Second - 1, 30 * time.Second},
		{DefaultPlan(), 21 * time.Second, 21 * time.Second},
	} {
		epoch := time.Unix(0, 0)
		if got := tt.plan.starts(epoch.Add(tt.now)).Sub(epoch); got != tt.want {
			t.Errorf("%s: beginning at %v it starts at %v, want %v", tt.plan.Headers, tt.now, got, tt.want)
		}
	}
}

// TestContendedUntil holds which windows count: those in which the fleet wants
// the quota of ten calls or more, of its fifteen a window. The first whole
// window is that from 3 s to 13 s.
func TestContendedUntil(t *testing.T) {
	plan := Plan{Calls: 40, Demand: 1.5, Window: 10 * time.Second, AppQuota: 10}
	start := time.Now()
	// 20 fall due by 13 s, 35 by 23 s, all by 33 s.
	var asDue []time.Duration
	for id := range plan.Calls {
		asDue = append(asDue, plan.due(id))
	}
	for _, tt := range []struct {
		name   string
		served []time.Duration // when each call was
		ended  time.Duration
		want   time.Duration
	}{
		{"nothing served", nil, 60 * time.Second, 53 * time.Second},
		{"ended within a window", nil, 30 * time.Second, 23 * time.Second},
		{"ended before the first", nil, 12 * time.Second, 0},
		{"all served as they fall due", asDue, 60 * time.Second, 23 * time.Second},
		{"just enough left", slices.Repeat([]time.Duration{20 * time.Second}, 30), 60 * time.Second, 53 * time.Second},
		{"one too few left", slices.Repeat([]time.Duration{20 * time.Second}, 31), 60 * time.Second, 23 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fleet{plan: plan, start: start}
			for _, d := range tt.served {
				f.served(start.Add(d), start)
			}
			if got := f.contendedUntil(start.Add(tt.ended)).Sub(start); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
