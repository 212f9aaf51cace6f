package simulate

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestFaultsFire holds that each fault comes true, is booked as what it is, and
// is missed when it does not.
func TestFaultsFire(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Scenario)
		fired  func(*Result) bool
	}{
		{"die before", func(s *Scenario) { s.Fleet.Faults.DieBefore = 0.1 }, func(r *Result) bool {
			return r.Fired.DiedBefore == r.Lost && r.Lost > 50 && r.Sent > r.Served+r.Refused
		}},
		{"die after", func(s *Scenario) { s.Fleet.Faults.DieAfter = 0.1 }, func(r *Result) bool {
			return r.Fired.DiedAfter == r.Lost && r.Lost > 50
		}},
		{"drop", func(s *Scenario) { s.Fleet.Faults.Drop = 0.1 }, func(r *Result) bool { return r.Dropped == r.Fired.Dropped && r.Dropped > 50 }},
		{"unreported", func(s *Scenario) { s.Fleet.Faults.Unreported = 0.1 }, func(r *Result) bool { return r.Fired.Unreported > 50 }},
		{"slow", func(s *Scenario) { s.Fleet.Faults.Slow = Slow{Share: 0.1, UpTo: time.Second} }, func(r *Result) bool { return r.Fired.Slow > 50 }},
		{"dead", func(s *Scenario) {
			s.Fleet.Faults = Faults{Dead: []Dead{{From: 10 * time.Second, For: 5 * time.Second}}, Restart: 100 * time.Millisecond}
		}, func(r *Result) bool { return r.Lost > 32 && r.Lost == r.Fired.DiedBefore }},
		{"free", func(s *Scenario) { s.Costs.Free = 0.2 }, func(r *Result) bool { return r.Fired.Free > 50 }},
		{"impatient", func(s *Scenario) { s.Fleet.Patience = 2 * time.Second }, func(r *Result) bool { return r.GaveUp > 50 && r.WaitP99 < 3*time.Second }},
		{"change", func(s *Scenario) { s.Upstream.Changes = []Change{{At: 35 * time.Second, Limit: "app", Quota: 40}} }, func(r *Result) bool {
			return r.Fired.Changes == 1 && r.Served < 1500
		}},
		{"outage", func(s *Scenario) { s.Upstream.Outages = []Outage{{From: 30 * time.Second, For: 10 * time.Second}} }, func(r *Result) bool {
			return r.Fired.Outages > 32 && r.Unaware >= 32
		}},
		{"outage by 503", func(s *Scenario) {
			s.Upstream.Outages = []Outage{{From: 30 * time.Second, For: 10 * time.Second, Status: 503, RetryAfter: time.Second}}
		}, func(r *Result) bool { return r.Failed == r.Fired.Outages && r.Failed > 32 }},
		{"others", func(s *Scenario) {
			s.Upstream.Others = []Other{{Share: 0.3, Bursts: Bursts{On: time.Second, Off: time.Second}}}
		}, func(r *Result) bool {
			return r.Fired.Foreign > 10 && r.Served < 2200
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := saturating()
			tt.change(s)
			r := play(t, s, 1, newEager)
			if missed := r.Fired.Unfired(s); !tt.fired(r) || missed != nil {
				t.Errorf("unfired %v, got %+v", missed, r.Fired)
			}
			if r.Unaware+r.Probes > r.Refused {
				t.Errorf("%d unaware and %d probes of %d refused", r.Unaware, r.Probes, r.Refused)
			}
			// An instant is too short for anything to come true, but for what is not
			// by chance.
			s.Duration = time.Millisecond
			none := play(t, s, 1, newEager)
			if tt.name != "impatient" && none.Fired == (Fired{}) && none.Fired.Unfired(s) == nil {
				t.Error("what did not come true is not missed")
			}
		})
	}
}

// randomly is a small scenario of anything.
func randomly(t *rapid.T) *Scenario {
	s := saturating()
	s.Duration = 40 * time.Second
	second := time.Second
	s.Upstream.Limits[0].Window = rapid.SampledFrom([]Shape{
		{Fixed: 5 * second}, {Fixed: 5 * second, From: FirstUse}, {Calendar: "hour"}, {Sliding: 4 * second},
		{Counter: 4 * second}, {Refill: second, Burst: 7}, {Concurrent: true},
	}).Draw(t, "window")
	s.Upstream.Limits[0].Quota = rapid.Int64Range(1, 30).Draw(t, "quota")
	s.Upstream.Limits[1].Quota = rapid.Int64Range(1, 10).Draw(t, "quota of a member")
	s.Upstream.Latency.Work = Spread{Typical: 200 * time.Millisecond, Sigma: 0.5}
	s.Upstream.Refusals = rapid.SampledFrom([]Refusals{RefusalsFree, RefusalsCount}).Draw(t, "refusals")
	s.Costs.Free = Share(rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "free"))
	if rapid.Bool().Draw(t, "others") {
		s.Upstream.Others = []Other{{Rate: 2}}
	}
	s.Fleet.Faults = Faults{DieBefore: 0.02, DieAfter: 0.02, Drop: 0.02, Unreported: 0.02, Slow: Slow{Share: 0.1, UpTo: second}}
	s.Fleet.Patience = rapid.SampledFrom([]time.Duration{0, 3 * second}).Draw(t, "patience")
	return s
}

// TestBooksAddUp holds that no window counts more than there is, that the windows
// of a limit hold every call that was served, and that each sending of a call has
// one end.
func TestBooksAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := randomly(rt)
		seed := rapid.Uint64().Draw(rt, "seed")
		r, err := Run(s, seed, rapid.SampledFrom([]NewStrategy{newEager, newSeer}).Draw(rt, "strategy"))
		if err != nil {
			rt.Fatal(err)
		}
		counted := make(map[string]int64)
		for _, w := range r.Windows {
			counted[w.Limit] += w.Counted
			exact := s.Upstream.Limits[0].Window.Fixed > 0 || w.Limit == "member"
			if exact && s.Upstream.Refusals == RefusalsFree && w.Counted > w.Quota {
				rt.Fatalf("more than there is: %+v", w)
			}
			if w.Unaware+w.Probes > w.Refused || w.Wanted < w.Counted || w.Share() < 0 || w.Share() > 1 {
				rt.Fatalf("window %+v", w)
			}
		}
		if paid := r.Served - r.Fired.Free; counted["member"] != paid {
			rt.Fatalf("the members' windows have %d, %d calls were served and cost", counted["member"], paid)
		}
		if paid := r.Served - r.Fired.Free; !s.Upstream.Limits[0].Window.Concurrent && counted["app"] != paid {
			rt.Fatalf("the application's windows have %d, %d calls were served and cost", counted["app"], paid)
		}
		ended := r.Served + r.Refused + r.Failed + r.Fired.DiedBefore + r.Dropped
		if away := r.Sent - ended; away < 0 || away > 32 {
			rt.Fatalf("%d sent, %d ended: %d on their way", r.Sent, ended, away)
		}
	})
}

// TestUnaware holds that a refusal is forgiven until the first is heard: by the
// caller's round trip, not by the upstream's clock.
func TestUnaware(t *testing.T) {
	s := saturating()
	s.Upstream.Limits = []Limit{{Name: "app", Quota: 1, Window: Shape{Fixed: time.Hour}}}
	s.Upstream.Latency = Latency{Request: Spread{Typical: time.Second}, Answer: Spread{Typical: time.Second}}
	s.Fleet.Services = []Service{{Workers: 1}, {Rate: 10}}
	s.Duration = 8 * time.Second
	r := play(t, s, 1, newEager)
	// What was sent in the two seconds before the first answer was heard.
	sent := int64(0)
	for _, w := range r.Windows {
		sent += w.Unaware
	}
	if sent != r.Unaware || r.Unaware < 10 || r.Unaware > 40 || r.Refused < r.Unaware+20 {
		t.Errorf("%d unaware, %d in the books, of %d", r.Unaware, sent, r.Refused)
	}
}

// TestTimeline holds that samples are as far apart as is asked, and that a
// strategy is asked what it believes.
func TestTimeline(t *testing.T) {
	s := saturating()
	s.Sample = 2 * time.Second
	r := play(t, s, 1, func(e Env) (Strategy, error) {
		n, err := newEager(e)
		return believer{n.(*eager)}, err
	})
	if len(r.Timeline) != 51 {
		t.Fatalf("%d samples", len(r.Timeline))
	}
	for i, at := range r.Timeline {
		l := at.Levels[0]
		if !at.At.Equal(s.Start.Add(time.Duration(i)*s.Sample)) || l.Believed != 7 || !l.Known || l.Left < 0 || l.Left > 200 {
			t.Errorf("sample %d: %+v", i, at)
		}
		if l.Limit != s.Upstream.Limits[0].Name || l.Counted != at.Served || l.Refused > at.Refused || len(at.Levels) != 2 {
			t.Errorf("sample %d: the application's limit counts every call, not %+v", i, at)
		}
	}
	if last := r.Timeline[50]; last.Served < r.Served-40 || last.Refused == 0 || last.Sent < last.Served+last.Refused {
		t.Errorf("the last sample is %+v", last)
	}
}

// TestSamplesChangeNothing holds that a run that is looked at is the same run.
func TestSamplesChangeNothing(t *testing.T) {
	s := saturating()
	s.Upstream.Limits = s.Upstream.Limits[:1]
	s.Upstream.Limits[0].Window = Shape{Fixed: 10 * time.Second, From: FirstUse}
	s.Upstream.Outages = []Outage{{From: 30 * time.Second, For: 5 * time.Second}}
	want := play(t, s, 1, newEager)
	s.Sample = 100 * time.Millisecond
	got := play(t, s, 1, newEager)
	if last := got.Timeline[len(got.Timeline)-1]; last.Levels[0].Refused != got.Refused {
		t.Errorf("%d of %d refusals are of the only limit's bucket", last.Levels[0].Refused, got.Refused)
	}
	if got.Hash != want.Hash || !slices.Equal(got.Windows, want.Windows) {
		t.Errorf("hash %x became %x", want.Hash, got.Hash)
	}
}

type believer struct{ *eager }

func (believer) Believes(time.Time, *Limit, Call) (int64, bool) { return 7, true }
