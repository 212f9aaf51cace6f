package quota

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// leaky is Shopify's: 40 at a time, and 2 come back in a second.
func leaky() Limit { return declared(2, Window{Kind: Refill, Period: time.Second, Burst: 40}) }

// A quota that refills is held while a call is under way, and flows back from when
// its answer is heard, to the nanosecond.
func TestRefillIsExact(t *testing.T) {
	s := newSteps(t, leaky())
	for range 39 {
		s.settle(0, s.take(0), Answer{})
	}
	last := s.take(0)
	s.retryAt(s.denied(0, Exhausted), 0.5)
	if st := s.l.Status(at0(0), s.bucketOf("app")); !st.ResetAt.Equal(at0(19.5)) || st.Used != 40 || st.Quota != 40 || st.Window != leaky().Window {
		t.Errorf("status %+v", st)
	}
	s.denied(0.5-1e-9, Exhausted)
	s.take(0.5)
	s.denied(0.5, Exhausted)
	s.settle(2, last, Answer{})
	s.available(2, "app", 3)
	s.available(2.5-1e-9, "app", 3)
	s.available(2.5, "app", 4)
	s.available(500, "app", 40) // never more than the burst
}

// What a response says of a leaky bucket, such as 32/40, ages from when it was
// heard.
func TestRefillAgesWhatIsTold(t *testing.T) {
	s := newSteps(t, leaky())
	s.settle(0.2, s.take(0), numbers(40, 8)) // others took 31
	s.available(0.2, "app", 8)
	s.available(0.7-1e-9, "app", 8)
	s.available(0.7, "app", 9)
	s.settle(1, s.take(1), Answer{}) // tells nothing
	s.available(1, "app", 8)
	s.settle(1.1, s.take(1), numbers(40, 7)) // has that one too
	s.available(1.1, "app", 7)
	s.available(60, "app", 40)
}

// A told burst that is smaller than ours holds, a greater one does not.
func TestRefillLearnsTheBurst(t *testing.T) {
	s := newSteps(t, leaky())
	named := func(quota, remaining int64) Answer {
		a := numbers(quota, remaining)
		a.Observations[0].Limit = "app"
		return a
	}
	s.settle(0.2, s.take(0), named(10, 9))
	s.available(60, "app", 10)
	for i := range 3 {
		s.settle(61+float64(i), s.take(61+float64(i)), named(40, 39))
	}
	s.available(90, "app", 40)
	for i := range 3 {
		s.settle(91+float64(i), s.take(91+float64(i)), named(80, 79))
	}
	s.available(120, "app", 40)
}

// golang/go#71154: no quota, burst or time is so large that it is miscounted.
func TestRefillOfExtremes(t *testing.T) {
	year := 366 * 24 * time.Hour
	for name, tc := range map[string]struct {
		quota, burst int64
		period       time.Duration
		each         time.Duration // until one unit is back, rounded up
	}{
		"the fastest": {MaxQuota, MaxQuota, time.Millisecond, 1},
		"the slowest": {1, MaxQuota, year, year},
		"a third":     {3, 5, 10, 4},
		"one":         {1, 1, time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			l := declared(tc.quota, Window{Kind: Refill, Period: tc.period, Burst: tc.burst})
			debt, part := l.flows(tc.burst, 0, tc.each-1)
			if tc.each > 1 && debt != tc.burst {
				t.Errorf("%d of %d are owed a moment before one is back", debt, tc.burst)
			}
			if debt, _ = l.flows(debt, part, 1); debt >= tc.burst {
				t.Errorf("%d of %d are owed when one is back", debt, tc.burst)
			}
			if got := l.until(tc.burst, tc.burst-1, 0); got != tc.each {
				t.Errorf("one is back in %v, want %v", got, tc.each)
			}
			if got := l.until(MaxQuota, 0, 0); got <= 0 || got > farAway {
				t.Errorf("all are back in %v", got)
			}
			if debt, part = l.flows(MaxQuota, 0, math.MaxInt64); debt < 0 || part < 0 || part >= int64(tc.period) {
				t.Errorf("%d are owed after ages, and a part of %d", debt, part)
			}
		})
	}
}

// However often it is asked, and whenever: what flowed back is the same, and the
// instant that is told for so much is the first at which it is there.
func TestPropertyFlowsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := declared(rapid.Int64Range(1, 1_000_000).Draw(t, "quota"), Window{Kind: Refill, Period: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "period"))})
		debt := rapid.Int64Range(1, MaxQuota).Draw(t, "debt")
		var all time.Duration
		left, part := debt, int64(0)
		for range rapid.IntRange(1, 20).Draw(t, "times") {
			d := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "elapsed"))
			all += d
			left, part = l.flows(left, part, d)
		}
		if once, p := l.flows(debt, 0, all); once != left || p != part {
			t.Fatalf("%d and %d parts after %v in steps, %d and %d at once", left, part, all, once, p)
		}
		if left == 0 {
			return
		}
		most := rapid.Int64Range(0, left-1).Draw(t, "most")
		d := l.until(left, most, part)
		if got, _ := l.flows(left, part, d); d < farAway && got > most {
			t.Fatalf("%d are owed after %v, want at most %d", got, d, most)
		}
		if got, _ := l.flows(left, part, d-1); got <= most {
			t.Fatalf("%d are owed a moment before %v, want more than %d", got, d, most)
		}
	})
}

// After a restart what was reserved counts as spent, and flows back from then on.
func TestRefillAfterARestart(t *testing.T) {
	s := newSteps(t, leaky())
	for range 10 {
		s.settle(0, s.take(0), Answer{})
	}
	records := s.records(0)
	next := s.successor(1, records...)
	reserved := records[len(records)-1].Reserved
	if reserved < 10 || reserved > 15 {
		t.Fatalf("%d are reserved", reserved)
	}
	next.available(1, "app", 40-reserved)
	next.available(60, "app", 40)
}

// A quota that changes while it refills flows back at the old rate until then.
func TestRefillFollowsTheRules(t *testing.T) {
	s := newSteps(t, leaky())
	for range 40 {
		s.settle(0, s.take(0), Answer{})
	}
	faster := leaky()
	faster.Quota = 10
	s.l.Adopt(at0(5), &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{faster}})
	s.available(5, "app", 10)
	s.available(6, "app", 20)
}
