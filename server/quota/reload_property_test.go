package quota

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// copyOf is the same rules, read from the file a second time.
func copyOf(t *rapid.T, r *Rules) *Rules {
	c := *r
	c.Limits = slices.Clone(r.Limits)
	for i := range c.Limits {
		if zone := c.Limits[i].Window.Zone; zone != nil {
			again, err := time.LoadLocation(zone.String())
			if err != nil {
				t.Fatal(err)
			}
			c.Limits[i].Window.Zone = again
		}
	}
	return &c
}

// Whatever happened before, the same rules change nothing.
func TestPropertyReloadOfTheSame(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		if rapid.Bool().Draw(t, "zone") {
			rules := *h.l.rules
			rules.Limits = []Limit{{Name: "day", Quota: 9, Provenance: Configured, Window: Window{Kind: Calendar, Unit: Day, Zone: tokyo}}}
			h.l = NewLedger(&rules, 1)
		}
		for range 2 {
			h.steps(5, 15)
			h.l.Advance(h.now)
			before, again := dump(h.l), copyOf(t, h.l.rules)
			if !again.Equal(h.l.rules) {
				t.Fatalf("%+v is not equal to itself", again)
			}
			h.l.Adopt(h.now, again)
			if after := dump(h.l); after != before {
				t.Fatalf("the same rules changed the ledger:\n%s", diff(before, after))
			}
		}
		h.steps(1, 5)
	})
}

// Whatever happens across reloads to other rules: what is outstanding is charged
// where it counts, exactly once, and nowhere else.
func TestPropertyReload(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range 3 {
			h.steps(5, 15)
			rules := *h.l.rules
			rules.Limits = rapid.SampledFrom(mixed).Draw(t, "new limits")
			h.l.Adopt(h.now, &rules)
			for _, p := range h.permits {
				if h.fate[p] == "" && !p.Outstanding() {
					h.fate[p] = "lapsed" // Adopt advances
				}
			}
			h.check()
			for p := range h.l.permits.all {
				for _, rule := range rules.For(p.Scope) {
					if b := h.l.find(rule.Name, p.Scope.Only(rule.Per)); b == nil || !p.charged(b) {
						t.Fatalf("a permit of %v is not charged to %s", p.Scope, rule.Name)
					}
				}
			}
		}
		h.steps(1, 5)
	})
}

// shrink lowers the upstream's limits and the operator's together, as when an API
// cuts an application's quota and its operator hears of it.
func (w *world) shrink(keep int) {
	rules := *w.ledger.rules
	rules.Limits = slices.Clone(rules.Limits)
	limits := slices.Clone(w.up.limits)
	for i := range limits {
		limits[i].quota = max(1, limits[i].quota*int64(keep)/100)
	}
	// The model could not tell them apart, nor whose an answer is that was on its way.
	if len(limits) == 2 && limits[0].quota == limits[1].quota {
		return
	}
	for i := range limits {
		rules.Limits[i].Quota = limits[i].quota
	}
	w.logf("shrink from %v to %v", w.up.limits, limits)
	w.up.limits, w.shrunk = limits, w.now
	w.ledger.Adopt(w.now, &rules)
}

// Across reloads that only shrink nothing is granted beyond the new limits: only
// calls that were out by then can be refused, and probes.
func TestPropertyShrinkingReloadsNeverOverGrant(t *testing.T) {
	var worlds, shrunk, excused int
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(1, 3).Draw(t, "reloads") {
			keep := rapid.IntRange(20, 95).Draw(t, "keep")
			w.after(w.upTo(4*w.up.limits[0].period), func() { w.shrink(keep) })
		}
		w.check = func() {
			if stuck := w.stuck(); stuck != "" {
				t.Fatal(stuck)
			}
		}
		if testing.Verbose() {
			w.trace = t.Logf
		}
		w.run(w.now.Add(5 * w.up.limits[0].period))
		if w.innocent > 0 {
			t.Fatalf("%d of %d calls were refused, and %d probes, %d that were out", w.innocent, w.granted, w.probes, w.excused)
		}
		worlds++
		excused += w.excused
		if !w.shrunk.IsZero() {
			shrunk++
		}
	})
	t.Logf("%d worlds shrank; %d calls that were out were refused", shrunk, excused)
	const enough = 1000 // of worlds, for each of these to happen for certain
	if worlds >= enough && (shrunk == 0 || excused == 0) {
		t.Error("no world shrank, or nothing was out when one did")
	}
}

// Rules that differ in anything are not the same.
func TestRulesDiffer(t *testing.T) {
	rules := func(change func(*Rules)) *Rules {
		r := &Rules{
			API: "api", SendWithin: time.Second, ReportWithin: time.Minute, MaxReset: time.Hour,
			Limits:    []Limit{declared(10, Window{Kind: Fixed, Period: time.Minute})},
			Overrides: []Override{{Endpoint: "GET /", Limit: "app", Quota: 5}},
			Costs:     []EndpointCost{{Endpoint: "GET /", Unit: Requests, Cost: 2}}, Labels: []string{"tenant"},
		}
		change(r)
		return r
	}
	same := rules(func(*Rules) {})
	if !same.Equal(rules(func(*Rules) {})) {
		t.Fatal("the same are not equal")
	}
	for name, change := range map[string]func(*Rules){
		"API":          func(r *Rules) { r.API = "other" },
		"SendWithin":   func(r *Rules) { r.SendWithin++ },
		"ReportWithin": func(r *Rules) { r.ReportWithin++ },
		"MaxReset":     func(r *Rules) { r.MaxReset++ },
		"one limit":    func(r *Rules) { r.Limits = nil },
		"its name":     func(r *Rules) { r.Limits[0].Name = "other" },
		"its quota":    func(r *Rules) { r.Limits[0].Quota++ },
		"who told it":  func(r *Rules) { r.Limits[0].Provenance = Told },
		"its parts":    func(r *Rules) { r.Limits[0].Per.User = true },
		"its unit":     func(r *Rules) { r.Limits[0].Unit = "points" },
		"its window":   func(r *Rules) { r.Limits[0].Window.Aligned = true },
		"its zone":     func(r *Rules) { r.Limits[0].Window.Zone = time.FixedZone("X", 3600) },
		"overrides":    func(r *Rules) { r.Overrides[0].Quota++ },
		"costs":        func(r *Rules) { r.Costs = nil },
		"labels":       func(r *Rules) { r.Labels[0] = "region" },
	} {
		if same.Equal(rules(change)) {
			t.Errorf("%s: equal", name)
		}
	}
}
