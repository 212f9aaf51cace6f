package quota

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCostsValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		costs Costs
		field string
	}{
		"none":             {nil, ""},
		"zero":             {Costs{"tokens": 0}, ""},
		"the most":         {Costs{"tokens": MaxCost}, ""},
		"more":             {Costs{"tokens": MaxCost + 1}, "costs.tokens"},
		"negative":         {Costs{"requests": -1}, "costs.requests"},
		"no unit":          {Costs{"": 1}, "costs"},
		"64 bytes":         {Costs{strings.Repeat("u", 64): 1}, ""},
		"65 bytes":         {Costs{strings.Repeat("u", 65): 1}, "costs"},
		"control bytes":    {Costs{"a\n": 1}, "costs"},
		"not UTF-8":        {Costs{"\xff": 1}, "costs"},
		"too many units":   {Costs{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1, "i": 1}, "costs"},
		"eight units":      {Costs{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1}, ""},
		"the least amount": {Costs{"requests": -1 << 63}, "costs.requests"},
	} {
		t.Run(name, func(t *testing.T) { wantField(t, tc.costs.Validate("costs"), tc.field) })
	}
}

// A call is one request unless it says otherwise, and takes nothing of a unit
// that it does not name and of which nothing is known.
func TestStatedCosts(t *testing.T) {
	l := NewLedger(&Rules{API: "api"}, 1)
	for _, tc := range []struct {
		costs Costs
		unit  string
		want  int64
	}{
		{nil, Requests, 1},
		{nil, "tokens", 0},
		{Costs{}, Requests, 1},
		{Costs{"tokens": 7}, Requests, 1},
		{Costs{"tokens": 7}, "tokens", 7},
		{Costs{Requests: 0}, Requests, 0},
		{Costs{Requests: 3}, Requests, 3},
	} {
		b := l.bucket(at(epoch), &Limit{Name: tc.unit, Unit: tc.unit}, call)
		if got, _ := l.costOf(b, call.Endpoint, tc.costs); got != tc.want {
			t.Errorf("%v of %s: %d, want %d", tc.costs, tc.unit, got, tc.want)
		}
	}
}

func TestCheckScope(t *testing.T) {
	rules := &Rules{API: "api", Labels: []string{"tenant", "region"}}
	wantField(t, rules.CheckScope(call), "")
	wantField(t, rules.CheckScope(Scope{API: "api", Labels: mustLabels("tenant", "t", "region", "r")}), "")
	err := rules.CheckScope(Scope{API: "api", Labels: mustLabels("tenant", "t", "shard", "s")})
	wantField(t, err, "scope.labels")
	if !strings.Contains(err.Error(), `"shard"`) || !strings.Contains(err.Error(), "apis.api.labels") {
		t.Errorf("%v: names neither the label nor where to declare it", err)
	}
	wantField(t, (&Rules{API: "api"}).CheckScope(Scope{API: "api", Labels: mustLabels("tenant", "t")}), "scope.labels")
}

func TestDeadlines(t *testing.T) {
	if send, report := (&Rules{}).Deadlines(); send != DefaultSendWithin || report != DefaultReportWithin {
		t.Errorf("defaults %v, %v", send, report)
	}
	if send, report := (&Rules{SendWithin: 1, ReportWithin: 2}).Deadlines(); send != 1 || report != 2 {
		t.Errorf("%v, %v", send, report)
	}
}

func TestOverrides(t *testing.T) {
	rules := &Rules{
		API: "api",
		Limits: []Limit{
			{Name: "app", Quota: 1000, Provenance: Configured},
			{Name: "endpoint", Per: Parts{Endpoint: true}, Quota: 100},
			{Name: "member", Per: Parts{User: true, Endpoint: true}, Quota: 10},
		},
		Overrides: []Override{
			{"GET /v2/*", "endpoint", 1},
			{"GET /v2/{id}", "endpoint", 2},
			{"GET /v2/people/{id}", "endpoint", 3},
			{"GET /v2/people/me", "endpoint", 4},
			{"GET /v2/{kind}/me", "endpoint", 5},
			{"GET /v2/people/*", "endpoint", 6},
			{"GET /v2/people/me", "member", 7},
			{"*", "app", 8}, // not by endpoint: overrides nothing
			{"GET /{}/x", "endpoint", 9},
			{"GET /v2/people/{id}/posts/{post}", "endpoint", 10},
		},
	}
	for endpoint, want := range map[string]int64{
		"GET /v2/people/me":          4,   // exact
		"GET /v2/people/7":           3,   // as literal as people/*, which comes later
		"GET /v2/groups/me":          5,   // more literal than v2/*
		"GET /v2/groups":             1,   // the first of two that are equally literal
		"GET /v2/groups/7":           1,   // {id} is one segment only
		"GET /v2/people/7/posts":     6,   // * is all that follow
		"GET /v2/people/7/posts/8":   10,  // the most literal
		"GET /v2/people/7/posts/8/9": 6,   // a template without * ends
		"GET /v2":                    100, // * wants at least one segment
		"GET /v2/":                   1,
		"POST /v2/people/me":         100,
		"get /v2/people/me":          100,
		"GET /{}/x":                  9, // exact, though braces without a name are literal
		"GET /a/x":                   100,
		"":                           100,
	} {
		var got []int64
		for _, l := range rules.For(Scope{API: "api", User: "u", Endpoint: endpoint}) {
			got = append(got, l.Quota)
		}
		member := int64(10)
		if endpoint == "GET /v2/people/me" {
			member = 7
		}
		if fmt.Sprint(got) != fmt.Sprint([]int64{1000, want, member}) {
			t.Errorf("%q: quotas %v, want 1000, %d, %d", endpoint, got, want, member)
		}
	}
	if limits := rules.For(Scope{API: "api", Endpoint: "GET /v2/people/me"}); len(limits) != 2 || limits[1].Provenance != Configured {
		t.Errorf("without a user: %+v, want the limits that are not by user, the override configured", limits)
	}
	if rules.Limits[1].Quota != 100 {
		t.Error("an override changed the rule itself")
	}
}

// The order of the overrides does not matter where one is more literal.
func TestPropertyOverrideOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		templates := rapid.Permutation([]string{"*", "a/*", "a/b/*", "a/b/{x}", "a/b/c", "{x}/b/c"}).Draw(t, "templates")
		rules := &Rules{Limits: []Limit{{Name: "l", Per: Parts{Endpoint: true}, Quota: 99}}}
		quotas := map[string]int64{"*": 1, "a/*": 2, "a/b/*": 3, "a/b/{x}": 3, "a/b/c": 4, "{x}/b/c": 5}
		for _, template := range templates {
			rules.Overrides = append(rules.Overrides, Override{template, "l", quotas[template]})
		}
		for endpoint, want := range map[string]int64{"a/b/c": 4, "z/b/c": 5, "a/b/d": 3, "a/b/d/e": 3, "a/c": 2, "z": 1} {
			if got := rules.For(Scope{Endpoint: endpoint})[0].Quota; got != want {
				t.Fatalf("%v: %s has %d, want %d", templates, endpoint, got, want)
			}
		}
	})
}

// An endpoint's override is enforced: it is its bucket's quota.
func TestOverrideIsEnforced(t *testing.T) {
	s := stepsBy(t, &Rules{
		API:       "api",
		Limits:    []Limit{{Name: "endpoint", Per: Parts{Endpoint: true}, Quota: 3, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day}}},
		Overrides: []Override{{"GET /few", "endpoint", 1}},
	})
	few := Scope{API: "api", App: "app", Endpoint: "GET /few"}
	s.takeFor(0, few)
	if d := s.try(0, few); d.Reason != Exhausted {
		t.Errorf("the second call of one: %v", d.Reason)
	}
	for range 3 {
		s.take(0)
	}
	s.denied(0, Exhausted)
}

func TestNamesOfWords(t *testing.T) {
	for got, want := range map[string]string{
		Nobody.String():                   "nobody",
		Configured.String():               "configured",
		Told.String():                     "told",
		Learned.String():                  "learned",
		NoReason.String():                 "ALLOWED",
		Exhausted.String():                "QUOTA_EXHAUSTED",
		CoolingDown.String():              "COOLING_DOWN",
		Probing.String():                  "PROBING",
		Queued.String():                   "QUEUED",
		Reserving.String():                "RESERVING",
		TooLarge.String():                 "COST_TOO_LARGE",
		Open.String():                     "open",
		Cooling.String():                  "cooling",
		ProbingState.String():             "probing",
		Ramping.String():                  "ramping",
		Hour.String():                     "hour",
		Day.String():                      "day",
		Week.String():                     "week",
		Month.String():                    "month",
		Window{}.String():                 "learned",
		(&Limit{}).Counts():               "requests",
		(&Limit{Unit: "tokens"}).Counts(): "tokens",
		Window{Kind: Fixed, Period: time.Minute}.String():                         "{fixed: 1m0s}",
		Window{Kind: Fixed, Period: time.Minute, Aligned: true}.String():          "{fixed: 1m0s, align: utc}",
		Window{Kind: Sliding, Period: time.Second}.String():                       "{sliding: 1s}",
		Window{Kind: Calendar, Unit: Month}.String():                              "{calendar: month, zone: UTC}",
		Window{Kind: Calendar, Unit: Day, Zone: time.FixedZone("X", 60)}.String(): "{calendar: day, zone: X}",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
