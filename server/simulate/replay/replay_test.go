package replay

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/ours"
)

var wall = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// writer writes a recording.
type writer struct {
	t    *testing.T
	text strings.Builder
}

func (w *writer) line(at time.Duration, l recording.Line) {
	l.AtUS = recording.US(at)
	text, err := json.Marshal(&l)
	if err != nil {
		w.t.Fatal(err)
	}
	fmt.Fprintf(&w.text, "%s\n", text)
}

func (w *writer) begin(wall time.Time, limits ...recording.Limit) {
	w.line(0, recording.Line{Began: &recording.Began{Format: 1, Version: "v", Wall: wall, Users: recording.Hidden}})
	w.line(0, recording.Line{Config: &recording.Config{APIs: map[string]recording.API{"crm": {Dialect: "auto", Limits: limits}}}})
}

// call is asked for, granted, answered and reported.
func (w *writer) call(asked, waited, took time.Duration, permit string, status int, headers ...string) {
	scope := recording.Scope{API: "crm", App: "a", User: "u-1", Endpoint: "GET /x"}
	w.line(asked+waited, recording.Line{Acquire: &recording.Acquire{
		Scope: scope, MaxWaitUS: 15e6, WaitedUS: recording.US(waited), Permit: permit,
	}})
	r := &recording.Report{Permit: permit, Result: recording.Sent, Status: status, SinceSentUS: recording.US(took)}
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, [2]string{headers[i], headers[i+1]})
	}
	w.line(asked+waited+took, recording.Line{Report: r})
}

func app(n int64) recording.Limit {
	return recording.Limit{Name: "app", Per: []string{"app"}, Quota: n, Window: recording.Window{Kind: recording.Fixed, PeriodUS: 10e6}}
}

// slow is a minute of one call a second under a limit that is configured as 2 every
// 10 s, where the upstream has 30 in windows that begin 4 s after the multiples of
// 10 s: what the broker kept back was wasted.
func slow(t *testing.T) string {
	w := &writer{t: t}
	w.begin(wall, app(2))
	for i := range 60 {
		at := time.Duration(i) * time.Second
		waited, took := time.Duration(i%5)*time.Second, 100*time.Millisecond
		into := (at + waited + took + 6*time.Second) % (10 * time.Second)
		reset := int((10*time.Second-into)/time.Second) + 1
		w.call(at, waited, took, fmt.Sprint("p-", i), 200,
			"x-ratelimit-limit", "30", "x-ratelimit-remaining", fmt.Sprint(29-i%10), "x-ratelimit-reset", fmt.Sprint(reset))
	}
	return w.text.String()
}

func load(t *testing.T, text, api string) *Log {
	t.Helper()
	log, err := Read(strings.NewReader(text), api)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func trying(limits string) WhatIf {
	return WhatIf{Name: "new.yaml", Config: []byte("apis: {crm: {limits: [" + limits + "]}}\n")}
}

const (
	roomy  = "{name: app, per: [app], quota: 30, window: {fixed: 10s}}"
	narrow = "{name: app, per: [app], quota: 2, window: {fixed: 10s}}"
)

func TestUpstreamIsAsTold(t *testing.T) {
	s, notes, err := load(t, slow(t), "").Scenario(trying(roomy))
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || notes[0] != "limit app: configured as 2, and told as 30: it is played as told" {
		t.Errorf("notes %q", notes)
	}
	l := s.Upstream.Limits[0]
	if l.Quota != 30 || l.Window.Fixed != 10*time.Second || l.Window.Phase < 4*time.Second || l.Window.Phase > 5*time.Second {
		t.Errorf("got %+v, want 30 in windows from 4 s, rounded up", l)
	}
	if h := s.Upstream.Headers; h.Style != simulate.Guide || h.RetryAfter {
		t.Errorf("headers %+v", h)
	}
	if way := s.Upstream.Latency.Request.Typical; way != 50*time.Millisecond {
		t.Errorf("one way takes %v", way)
	}
}

// TestWhatIf holds that a better configuration serves the same demand sooner, and
// that the recorded one is as slow as it was.
func TestWhatIf(t *testing.T) {
	log := load(t, slow(t), "crm")
	happened := log.Result()
	if happened.Wanted != 60 || happened.Served != 60 || happened.Refused != 0 || happened.WaitP50 != 2100*time.Millisecond || happened.Fairness != 1 {
		t.Errorf("recorded %+v", happened)
	}
	for _, tt := range []struct {
		config string
		ok     func(*simulate.Result) bool
	}{
		{roomy, func(r *simulate.Result) bool { return r.Served >= 58 && r.WaitP99 < time.Second && r.Refused == 0 }},
		{narrow, func(r *simulate.Result) bool { return r.Served < 30 && r.Refused == 0 }},
	} {
		s, _, err := log.Scenario(trying(tt.config))
		if err != nil {
			t.Fatal(err)
		}
		r, err := simulate.Run(s, 1, ours.New)
		if err != nil || r.Wanted != 60 || !tt.ok(r) {
			t.Errorf("%s: %v, %d wanted, %d served, %d refused, %v", tt.config, err, r.Wanted, r.Served, r.Refused, r.WaitP99)
		}
	}
}

// TestConfiguredCosts holds that calls which did not say what they take are played as
// the recorded configuration has it, and that what cannot be played of it is said.
func TestConfiguredCosts(t *testing.T) {
	limit := app(300)
	limit.Unit = "tokens"
	w := &writer{t: t}
	w.line(0, recording.Line{Began: &recording.Began{Format: 2, Version: "v", Wall: wall, Users: recording.Hidden}})
	w.line(0, recording.Line{Config: &recording.Config{APIs: map[string]recording.API{"crm": {
		Dialect: "auto", Limits: []recording.Limit{limit},
		Overrides: []recording.Override{{Endpoint: "GET /y", Limit: "app", Quota: 3}, {Endpoint: "GET /z", Limit: "other", Quota: 3}},
		Costs:     []recording.Cost{{Endpoint: "GET /{any}", Unit: "tokens", Cost: 7}, {Endpoint: "GET /x", Unit: quota.Requests, Cost: 2}},
		Free:      []int{304, 404},
	}}}})
	for i := range 3 {
		w.call(time.Duration(i)*time.Second, 0, time.Millisecond, fmt.Sprint("p-", i), 200)
	}
	s, notes, err := load(t, w.text.String(), "").Scenario(trying("{name: app, per: [app], quota: 300, unit: tokens, window: {fixed: 10s}}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range s.Fleet.Services[0].Arrivals {
		if a.Cost != 7 {
			t.Errorf("a call takes %d tokens", a.Cost)
		}
	}
	want := []string{
		"limit app: has other quotas for 1 endpoints: it is played with the same for all",
		"calls of 1 endpoints were configured to take other than one request: each is played as one",
		"answers with status 304 404 were configured not to count: every one is played as counted",
	}
	if !slices.Equal(notes, want) {
		t.Errorf("notes %q", notes)
	}
	if r, err := simulate.Run(s, 1, ours.New); err != nil || r.Served != 3 {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestRecordedConfiguration holds that a recording is played with the configuration
// that it has, every word of it, where no other is given.
func TestRecordedConfiguration(t *testing.T) {
	vienna := recording.Window{Kind: recording.Calendar, Unit: "day", Zone: "Europe/Vienna"}
	recorded := recording.API{
		Dialect: "auto", Labels: []string{"tenant"}, SendWithinUS: 7e6, ReportWithinUS: 90e6,
		Limits: []recording.Limit{
			{Name: "a", Per: []string{"app", "endpoint"}, Quota: 30, Window: recording.Window{Kind: recording.Fixed, PeriodUS: 10e6, Aligned: true}},
			{Name: "b", Per: []string{"app", "user"}, Quota: 30, Unit: "tokens", Window: recording.Window{Kind: recording.Fixed, PeriodUS: 10e6, FirstUse: true}},
			{Name: "c", Per: []string{"app", "tenant"}, Window: vienna},
			{Name: "d", Per: []string{"app"}, Quota: 30, Window: recording.Window{Kind: recording.Sliding, PeriodUS: 1500e3, Counter: true}},
			{Name: "e", Per: []string{"app"}, Quota: 30, Window: recording.Window{Kind: recording.Refill, PeriodUS: 60e6, Burst: 40}},
			{Name: "f", Per: []string{"app"}, Quota: 30, Window: recording.Window{Kind: recording.Concurrent}},
			{Name: "g", Per: []string{"app"}, Quota: quota.WholeShare, Unit: quota.Share, Window: recording.Window{Kind: recording.Learned}},
		},
		Overrides: []recording.Override{{Endpoint: "GET /{id}", Limit: "a", Quota: 3}},
		Costs:     []recording.Cost{{Endpoint: "GET /x", Unit: "tokens", Cost: 0}},
		Free:      []int{304},
	}
	log := &Log{API: "crm", config: recorded, known: true}
	words, err := log.recorded()
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("recorded", fmt.Appendf(nil, "apis: {crm: %s}\n", words))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	per := func(names ...string) quota.Parts {
		p, err := quota.NewParts(names...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	fixed := quota.Window{Kind: quota.Fixed, Period: 10 * time.Second}
	aligned, first := fixed, fixed
	aligned.Aligned, first.FirstUse = true, true
	want := &quota.Rules{
		API: "crm", Labels: []string{"tenant"}, SendWithin: 7 * time.Second, ReportWithin: 90 * time.Second,
		Limits: []quota.Limit{
			{Name: "a", Per: per("app", "endpoint"), Quota: 30, Provenance: quota.Configured, Window: aligned},
			{Name: "b", Per: per("app", "user"), Quota: 30, Provenance: quota.Configured, Unit: "tokens", Window: first},
			{Name: "c", Per: per("app", "tenant"), Window: quota.Window{Kind: quota.Calendar, Unit: quota.Day, Zone: zone}},
			{Name: "d", Quota: 30, Provenance: quota.Configured, Window: quota.Window{Kind: quota.Sliding, Period: 1500 * time.Millisecond, Counter: true}},
			{Name: "e", Quota: 30, Provenance: quota.Configured, Window: quota.Window{Kind: quota.Refill, Period: time.Minute, Burst: 40}},
			{Name: "f", Quota: 30, Provenance: quota.Configured, Window: quota.Window{Kind: quota.Concurrent}},
			{Name: "g", Quota: quota.WholeShare, Provenance: quota.Configured, Unit: quota.Share},
		},
		Overrides: []quota.Override{{Endpoint: "GET /{id}", Limit: "a", Quota: 3}},
		Costs:     []quota.EndpointCost{{Endpoint: "GET /x", Unit: "tokens", Cost: 0}},
	}
	if got := c.APIs["crm"]; got.Dialect != "auto" || !slices.Equal(got.Free, []int{304}) || !got.Rules.Equal(want) {
		t.Errorf("got %+v of\n%s", got.Rules, words)
	}
}

// TestAsItWas holds that the recorded configuration serves the recorded demand as it
// was served.
func TestAsItWas(t *testing.T) {
	log := load(t, slow(t), "crm")
	s, notes, err := log.Scenario(WhatIf{})
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 2 || !strings.Contains(notes[1], "first format") {
		t.Errorf("notes %q", notes)
	}
	if r, err := simulate.Run(s, 1, ours.New); err != nil || r.Served >= 30 || r.Refused != 0 { // it was configured as 2 every 10 s
		t.Errorf("%v, %+v", err, r)
	}
}

func TestGivenUpstream(t *testing.T) {
	w := trying(roomy)
	w.Upstream = &simulate.API{Limits: []simulate.Limit{{Name: "truth", Quota: 7, Unit: "tokens", Window: simulate.Shape{Sliding: time.Minute}}}}
	s, notes, err := load(t, slow(t), "").Scenario(w)
	if err != nil || len(notes) != 0 || s.Upstream.Limits[0].Name != "truth" || s.Costs.Unit != "tokens" {
		t.Errorf("%v, %q, %+v", err, notes, s)
	}
}

// TestUnconfigured holds that limits which only the answers tell are found, with the
// length of their windows.
func TestUnconfigured(t *testing.T) {
	text := strings.ReplaceAll(slow(t), `"limits":[{"name":"app","per":["app"],"quota":2,"window":{"kind":"fixed","period_us":10000000}}]`, `"limits":[]`)
	s, notes, err := load(t, text, "").Scenario(trying(roomy))
	if err != nil {
		t.Fatal(err)
	}
	if l := s.Upstream.Limits[0]; l.Name != "told-30" || l.Quota != 30 || l.Window.Fixed != 10*time.Second {
		t.Errorf("got %+v, %q", l, notes)
	}
}

// TestParts holds that a recording which was begun anew goes on behind the last one,
// and that its permits are others.
func TestParts(t *testing.T) {
	w := &writer{t: t}
	w.begin(wall, app(30))
	w.call(time.Second, 0, time.Millisecond, "p-1", 200)
	w.begin(wall.Add(time.Minute), app(30))
	w.call(time.Second, 0, time.Millisecond, "p-1", 429, "retry-after", "3")
	w.call(5*time.Second, 0, time.Millisecond, "p-2", 200)
	w.begin(wall.Add(-time.Hour), app(30)) // the clock was set
	w.call(time.Second, 0, time.Millisecond, "p-3", 503)
	log := load(t, w.text.String(), "")
	var at []string
	for _, a := range log.arrivals("") {
		at = append(at, a.At.Round(100*time.Millisecond).String())
	}
	if got := strings.Join(at, " "); got != "1s 1m1s 1m5s 1m6s" {
		t.Errorf("arrivals at %s", got)
	}
	r := log.Result()
	if r.Sent != 4 || r.Refused != 1 || r.Failed != 1 || r.Served != 2 || r.LongestLockout != 4*time.Second {
		t.Errorf("recorded %+v", r)
	}
	s, _, err := log.Scenario(trying(roomy))
	if err != nil || s.Upstream.Headers.Style != simulate.RetryAfter {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestErrors(t *testing.T) {
	learned := app(0)
	w := &writer{t: t}
	w.begin(wall, learned)
	w.call(0, 0, time.Millisecond, "p", 200)
	nothing := w.text.String()
	for _, tt := range []struct {
		text, api string
		what      WhatIf
		want      string
	}{
		{"", "", WhatIf{}, `line 1: began: "": is missing`},
		{nothing, "mail", WhatIf{}, `--api: "mail": name one that the recording has calls of: crm`},
		{nothing, "", trying(roomy), `--upstream: "": nothing in the recording says what crm enforces: give a file with the upstream of a scenario; limit app: neither configured nor told is how much it has`},
		{slow(t), "", WhatIf{Name: "c.yaml", Config: []byte("apis: {mail: {}}\n")}, `--config: "c.yaml": it has no crm, whose calls are replayed: add it under apis`},
		{slow(t), "", trying("{name: app, quota: -1}"), `new.yaml:1:`},
	} {
		log, err := Read(strings.NewReader(tt.text), tt.api)
		if err == nil {
			_, _, err = log.Scenario(tt.what)
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v\nwant %s", err, tt.want)
		}
	}
}

// FuzzScenario holds that whatever a recording says, a scenario that is made of it
// can be run, or why not is said.
func FuzzScenario(f *testing.F) {
	f.Add(`{"at_us":5,"acquire":{"scope":{"api":"crm"},"waited_us":9,"permit":"p"}}`, `{"at_us":9,"report":{"permit":"p","result":"sent","status":429,"headers":[["x-ratelimit-limit","9"],["x-ratelimit-reset","7"]]}}`)
	f.Add(`{"at_us":5,"acquire":{"scope":{"api":"crm","labels":{"a":"b"}},"costs":{"tokens":4},"waited_us":0,"denied":{"reason":"R","retry_after_us":0}}}`, `{"at_us":9,"report":{"scope":{"api":"crm"},"result":"sent","status":200,"headers":[["x-ratelimit-limit","1e99"],["x-ratelimit-reset","-7"]]}}`)
	f.Add(`{"at_us":5,"config":{"apis":{"crm":{"dialect":"","limits":[{"name":"a b","per":["app"],"quota":9,"window":{"kind":"calendar","unit":"day","zone":"x"}}]}}}}`, `{"at_us":9,"acquire":{"scope":{"api":"crm"},"waited_us":9,"permit":"p"}}`)
	f.Fuzz(func(t *testing.T, first, second string) {
		w := &writer{t: t}
		w.begin(wall, app(3))
		log, err := Read(strings.NewReader(w.text.String()+first+"\n"+second+"\n"), "crm")
		if err != nil {
			return
		}
		for _, what := range []WhatIf{trying(roomy), {}} {
			s, _, err := log.Scenario(what)
			if err != nil {
				return
			}
			s.Duration = min(s.Duration, time.Minute)
			if _, err := simulate.Run(s, 1, ours.New); err != nil && what.Config != nil {
				t.Fatal(err)
			}
		}
	})
}
