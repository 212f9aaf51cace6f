package quota

import (
	"testing"
	"time"
)

var pointsRules = &Rules{
	API: "api",
	Limits: []Limit{
		{Name: "calls", Quota: 100, Window: Window{Kind: Fixed, Period: time.Minute, Aligned: true}, Provenance: Configured},
		{Name: "points", Quota: 1000, Unit: "points", Window: Window{Kind: Fixed, Period: time.Minute, Aligned: true}, Provenance: Configured},
	},
	Costs: []EndpointCost{
		{Endpoint: "POST /batch/{id}", Unit: "points", Cost: 50},
		{Endpoint: "POST /batch/small", Unit: "points", Cost: 5},
		{Endpoint: "POST /batch/small", Unit: Requests, Cost: 2},
		{Endpoint: "GET /health", Unit: Requests, Cost: 0},
	},
}

func endpoint(e string) Scope { return Scope{API: "api", App: "app", Endpoint: e} }

// left is what remains of the limits "calls" and "points".
func left(l *Ledger, now time.Time, s Scope) (calls, points int64) {
	for _, b := range l.Counted(now, s) {
		switch st := l.Status(now, b); st.Limit {
		case "calls":
			calls = st.Remaining
		case "points":
			points = st.Remaining
		}
	}
	return calls, points
}

// granted takes with a store that confirms at once.
func granted(t *testing.T, l *Ledger, now time.Time, r Request) *Permit {
	t.Helper()
	for range 4 {
		if d := l.Take(now, r); d.Allowed() {
			return d.Permit
		} else if d.Reason != Reserving {
			t.Fatalf("denied: %v by %s", d.Reason, d.Bucket.Name())
		}
		l.Reserved(now, l.Wanted(now))
	}
	t.Fatal("the store confirms, and that is not enough")
	return nil
}

// What a call takes where its caller does not say it is in the rules, by its
// endpoint; what the caller says goes first.
func TestCostsByEndpoint(t *testing.T) {
	for _, c := range []struct {
		endpoint      string
		stated        Costs
		calls, points int64
	}{
		{"POST /batch/small", nil, 2, 5},
		{"POST /batch/large", nil, 1, 50},
		{"POST /batch/large", Costs{"points": 70}, 1, 70},
		{"POST /batch/large", Costs{Requests: 3}, 3, 50},
		{"POST /batch/large", Costs{Requests: 0, "points": 0}, 0, 0},
		{"GET /health", nil, 0, 0},
		{"GET /other", nil, 1, 0},
	} {
		l := NewLedger(pointsRules, 1)
		granted(t, l, epoch, Request{Scope: endpoint(c.endpoint), Costs: c.stated})
		if calls, points := left(l, epoch, endpoint(c.endpoint)); calls != 100-c.calls || points != 1000-c.points {
			t.Errorf("%s, %v: took %d calls and %d points, want %d and %d", c.endpoint, c.stated, 100-calls, 1000-points, c.calls, c.points)
		}
	}
}

// A call that is short of one unit takes of none.
func TestCostsAllOrNothing(t *testing.T) {
	l := NewLedger(pointsRules, 1)
	for range 20 {
		granted(t, l, epoch, Request{Scope: endpoint("POST /batch/x")})
	}
	d := l.Take(epoch, Request{Scope: endpoint("POST /batch/x")})
	if d.Allowed() || d.Bucket.Name() != "points" {
		t.Fatalf("got %v", d.Reason)
	}
	if calls, points := left(l, epoch, endpoint("POST /batch/x")); calls != 80 || points != 0 {
		t.Errorf("%d calls and %d points are left", calls, points)
	}
}

// The true cost replaces the estimate, and is the next estimate of its endpoint.
func TestTrueCostIsLearned(t *testing.T) {
	l := NewLedger(pointsRules, 1)
	s := endpoint("POST /graphql")
	for i, c := range []struct{ reserved, took int64 }{
		{0, 40}, {40, 40}, {40, 24}, {39, 24}, {38, 100}, {100, 8}, {98, 0},
	} {
		_, before := left(l, epoch, s)
		p := granted(t, l, epoch, Request{Scope: s})
		if _, points := left(l, epoch, s); before-points != c.reserved {
			t.Errorf("call %d: reserved %d, want %d", i, before-points, c.reserved)
		}
		l.Settle(epoch, p, Answer{Costs: Costs{"points": c.took}})
		if _, points := left(l, epoch, s); before-points != c.took {
			t.Errorf("call %d: took %d, want %d", i, before-points, c.took)
		}
	}
	other := endpoint("POST /other")
	_, before := left(l, epoch, other)
	granted(t, l, epoch, Request{Scope: other})
	if _, points := left(l, epoch, other); points != before {
		t.Errorf("another endpoint took %d", before-points)
	}
}

// Where calls take more than their callers say, as much more is reserved; never more
// than there is, so that they can be made at all.
func TestUnderestimatesAreLearned(t *testing.T) {
	l := NewLedger(pointsRules, 1)
	s := endpoint("POST /graphql")
	for i, c := range []struct{ said, reserved, took int64 }{
		{40, 40, 40}, {40, 40, 60}, {20, 30, 20}, {64, 95, 10}, {900, 1000, 0},
	} {
		now := epoch.Add(time.Duration(2*i)*time.Minute + 30*time.Second) // a window for each
		_, before := left(l, now, s)
		p := granted(t, l, now, Request{Scope: s, Costs: Costs{"points": c.said}})
		if _, points := left(l, now, s); before-points != c.reserved {
			t.Errorf("call %d: reserved %d, want %d", i, before-points, c.reserved)
		}
		l.Settle(now, p, Answer{Costs: Costs{"points": c.took}})
		if _, points := left(l, now, s); before-points != c.took {
			t.Errorf("call %d: took %d, want %d", i, before-points, c.took)
		}
	}
}

// An answer that the upstream does not count costs nothing of any unit.
func TestFreeAnswer(t *testing.T) {
	l := NewLedger(pointsRules, 1)
	s := endpoint("POST /batch/x")
	l.Settle(epoch, granted(t, l, epoch, Request{Scope: s}), Answer{Free: true})
	if calls, points := left(l, epoch, s); calls != 100 || points != 1000 {
		t.Errorf("%d calls and %d points are left", calls, points)
	}
	l.Settle(epoch, granted(t, l, epoch, Request{Scope: s}), Answer{Free: true, Costs: Costs{Requests: 1}})
	if calls, points := left(l, epoch, s); calls != 99 || points != 1000 {
		t.Errorf("a stated cost: %d calls and %d points are left", calls, points)
	}
}

// sharer is an upstream that counts calls of one size and tells only what share
// of its quota is used, in whole percent.
type sharer struct {
	quota, used, refused int64
	period               time.Duration
	began                time.Time
}

func (u *sharer) serve(now time.Time) Answer {
	if began := now.Truncate(u.period); began != u.began {
		u.began, u.used = began, 0
	}
	a := Answer{Verdict: Refused}
	if u.used < u.quota {
		u.used++
		a.Verdict = Passed
	} else {
		u.refused++
	}
	percent := u.used * 100 / u.quota
	told := 100 - percent
	if percent > 0 {
		told-- // it may have been cut
	}
	a.Observations = []Observation{{
		Limit: "usage", Unit: Share, Quota: WholeShare, Remaining: max(0, told) * OnePercent,
		Reset: Reset{Known: true, After: u.began.Add(u.period).Sub(now), Slack: 50 * time.Millisecond},
	}}
	return a
}

// Where the upstream tells only percentages, what a call takes of them is learned:
// the fleet is never refused, and uses nearly all.
func TestPercentIsLearned(t *testing.T) {
	for _, calls := range []int64{50, 1000, 40_000} {
		window := Window{Kind: Fixed, Period: time.Minute, Aligned: true}
		l := NewLedger(&Rules{API: "api", Limits: []Limit{
			{Name: "usage", Unit: Share, Quota: WholeShare, Provenance: Configured, Window: window},
		}}, 1)
		u := &sharer{quota: calls, period: time.Minute}
		now := epoch
		var flying []*Permit
		var last int64 // used in the last complete window
		for now.Before(epoch.Add(5 * time.Minute)) {
			now = now.Add(100 * time.Millisecond)
			if now.Truncate(u.period) != u.began {
				last = u.used
			}
			for _, p := range flying {
				l.Settle(now, p, u.serve(now))
			}
			flying = flying[:0]
			for int64(len(flying)) < max(4, calls/200) {
				l.Advance(now)
				d := l.Take(now, Request{Scope: endpoint("GET /")})
				if d.Reason == Reserving {
					l.Reserved(now, l.Wanted(now))
					d = l.Take(now, Request{Scope: endpoint("GET /")})
				}
				if !d.Allowed() {
					break
				}
				flying = append(flying, d.Permit)
			}
		}
		if u.refused > 0 || last*100 < calls*95 {
			t.Errorf("%d calls a window: %d refused, %d of the last window used", calls, u.refused, last)
		}
	}
}
