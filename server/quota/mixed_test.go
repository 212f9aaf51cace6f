package quota

import (
	"slices"
	"testing"
	"time"
)

// Limits of every kind count one call together: what one of them denies costs none
// of the others anything, and what all allow is charged to each.
func TestKindsTogether(t *testing.T) {
	limits := []Limit{
		{Name: "day", Quota: 6, Window: Window{Kind: Calendar, Unit: Day}},
		{Name: "slots", Quota: 2, Window: Window{Kind: Concurrent}},
		{Name: "leaky", Quota: 1, Window: Window{Kind: Refill, Period: 10 * time.Second, Burst: 4}},
		{Name: "sliding", Per: Parts{User: true}, Quota: 5, Window: Window{Kind: Sliding, Period: time.Minute}},
		{Name: "counter", Quota: 50, Unit: "tokens", Window: Window{Kind: Sliding, Period: time.Minute, Counter: true}},
		{Name: "first", Quota: 9, Window: Window{Kind: Fixed, Period: 30 * time.Second, FirstUse: true}},
	}
	for i := range limits {
		limits[i].Provenance = Configured
	}
	s := newSteps(t, limits...)
	r := Request{Scope: userScope("u"), Costs: Costs{"tokens": 10}}
	left := func(sec float64, want ...int64) {
		t.Helper()
		for i, l := range limits {
			s.available(sec, l.Name, want[i])
		}
	}
	denied := func(sec float64, by string, retry float64) {
		t.Helper()
		available := func() (all []int64) {
			for _, l := range limits {
				all = append(all, s.bucketOf(l.Name).available())
			}
			return all
		}
		s.l.Advance(at0(sec))
		s.l.Status(at0(sec), s.bucketOf("leaky"))
		before := available()
		d := s.ask(sec, r)
		if d.Reason != Exhausted || d.Bucket.Name() != by || !d.RetryAt.IsZero() && !d.RetryAt.Equal(at0(retry)) || d.RetryAt.IsZero() != (retry == 0) {
			t.Fatalf("at %v: %v by %v until %v, want %s until %v", sec, d.Reason, d.Bucket.Name(), d.RetryAt.Sub(epoch), by, retry)
		}
		if after := available(); !slices.Equal(after, before) {
			t.Fatalf("a denial left %v of %v", after, before)
		}
	}
	a, b := s.mustAsk(0, r), s.mustAsk(0, r)
	left(0, 4, 0, 2, 3, 30, 7)
	denied(0.1, "slots", 0)
	s.settle(0.5, a, Answer{})
	s.settle(0.5, b, Answer{})
	for _, p := range []*Permit{s.mustAsk(0.5, r), s.mustAsk(0.5, r)} {
		s.settle(0.6, p, Answer{})
	}
	left(0.6, 2, 2, 0, 1, 10, 5)
	denied(0.6, "leaky", 10.5)
	s.settle(10.6, s.mustAsk(10.5, r), Answer{})
	left(10.6, 1, 2, 0, 0, 0, 4)
	if d := s.ask(20.5, r); d.Reason != Exhausted || !d.Firm {
		t.Fatalf("%+v", d)
	}
}

// Row 20 of the faults: whatever the zone of the process, the same calls leave the
// same ledger, on the days on which clocks change.
func TestFaultZonesOfTheProcess(t *testing.T) {
	was := time.Local
	defer func() { time.Local = was }()
	play := func(start time.Time) string {
		rules := &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{
			{Name: "hour", Quota: 30, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Hour}},
			{Name: "day", Quota: 200, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day, Zone: zone(t, "America/New_York")}},
			{Name: "month", Quota: 1000, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Month, Zone: zone(t, "Europe/Kyiv")}},
		}}
		w := newWorld(11, start, &upstream{limits: []trueLimit{{quota: 1 << 30, period: time.Hour}}}, rules, faults{rtt: 100 * time.Millisecond, loseHeaders: 1})
		w.want("u", 1<<20)
		w.run(start.Add(50 * time.Hour))
		if w.granted < 400 {
			t.Fatalf("%d calls from %v", w.granted, start)
		}
		return dump(w.ledger)
	}
	for _, day := range []string{"2026-03-07T12:00:00Z", "2026-10-31T12:00:00Z", "2028-02-28T12:00:00Z", "2026-12-30T20:00:00Z", "2011-12-29T00:00:00Z"} {
		start, err := time.Parse(time.RFC3339, day)
		if err != nil {
			t.Fatal(err)
		}
		var utc string
		for _, name := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Europe/Kyiv"} {
			time.Local = zone(t, name)
			got := play(start.Local())
			if utc == "" {
				utc = got
			}
			if got != utc {
				t.Errorf("from %s in %s:\n%s", day, name, diff(utc, got))
			}
		}
	}
}
