package simulate

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const minimal = `name: n
duration: 10s
fleet: {services: [{workers: 1}]}
`

func TestParse(t *testing.T) {
	all, err := Parse("f.yaml", []byte(minimal+`
about: >-
  two
  lines
start: 2026-03-01T23:50:00.5Z
upstream:
  limits:
    - {name: app, per: [app], quota: 3, window: {fixed: "1m30s"}}
  noise: {drop: '2.5%'}
costs: {unit: tokens, endpoints: {GET /a: 5}}
broker: {dialect: auto, limits: [{name: app, quota: 3, note: "3"}]}
`))
	if err != nil || len(all) != 1 {
		t.Fatalf("got %d scenarios, %v", len(all), err)
	}
	s := all[0]
	if s.Name != "n" || s.About != "two lines" || s.Variant != "" || s.Duration != 10*time.Second ||
		!s.Start.Equal(time.Date(2026, 3, 1, 23, 50, 0, 5e8, time.UTC)) || s.Upstream.Noise.Drop != 0.025 ||
		s.Upstream.Limits[0].Window.Fixed != 90*time.Second || s.Costs.Endpoints["GET /a"] != 5 {
		t.Errorf("got %+v", s)
	}
	if want := `{"dialect": auto, "limits": [{"name": app, "quota": 3, "note": "3"}]}`; string(s.Broker) != want {
		t.Errorf("broker: got %s, want %s", s.Broker, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", `f:1:1: file: must have one document: a scenario`},
		{"- a", `f:1:1: file: "[…]": must be a mapping: write key: value`},
		{"name: [", `f:1:7: file: "[": is not YAML: `},
		{"a: 1\n---\nb: 2", `f:1:1: file: must have one document: a scenario`},
		{"name: \x01", "f:1:1: file: must be UTF-8 of at most 65536 bytes without control characters"},
		{strings.Repeat("[", 30), `f:1:25: file: "[": nested more than 24 deep`},
		{minimal + "nom: x", `f:4:1: file: "nom": unknown key: keys are name, about, `},
		{minimal + "name: x", `f:4:1: file: "name": duplicate key: leave one of them out`},
		{minimal + "about: &a x", `f:4:8: about: anchors, aliases, merge keys and tags are not read: write the value out`},
		{minimal + "about:", `f:4:1: about: has no value: give it one, or leave the key out`},
		{minimal + "about: [x]", `f:4:8: about: "[…]": must be text`},
		{minimal + "upstream: 3", `f:4:11: upstream: "3": must be a mapping: write key: value`},
		{minimal + "upstream: {limits: {}}", `f:4:20: upstream.limits: "{…}": must be a list: write [ ] around it, or a dash before each item`},
		{minimal + "upstream:\n  limits:\n  - quota: many", `f:6:12: upstream.limits[0].quota: "many": must be a whole number in decimal digits`},
		{minimal + "upstream: {noise: {drop: 30}}", `f:4:26: upstream.noise.drop: "30": must be a share from 0% to 100%, such as 2.5%`},
		{minimal + "upstream: {noise: {drop: 130%}}", `f:4:26: upstream.noise.drop: "130%": must be a share from 0% to 100%, such as 2.5%`},
		{minimal + "upstream: {noise: {jitter: 2}}", `f:4:28: upstream.noise.jitter: "2": must be a time with its unit, such as 500ms, 10s or 1h30m`},
		{minimal + "upstream: {headers: {style: odd}}", `f:4:29: upstream.headers.style: "odd": must be one of guide, no_reset, `},
		{minimal + "upstream: {headers: {date: yes}}", `f:4:28: upstream.headers.date: "yes": must be true or false, without quotes`},
		{minimal + "start: today", `f:4:8: start: "today": must be an instant, such as 2026-03-01T23:50:00Z`},
		{minimal + "costs: {sigma: .nan}", `f:4:16: costs.sigma: ".nan": must be a number`},
		{minimal + "costs: {endpoints: [a]}", `f:4:20: costs.endpoints: "[…]": must be a mapping: write key: value`},
		// What can be read, and cannot be run.
		{"duration: 1s", `f:1:1: name: is missing: name the scenario`},
		{"name: n\nfleet: {services: [{rate: 1}]}", `f:1:1: duration: "0s": must be a time from 1ms to 9600h0m0s`},
		{"name: n\nduration: 1s", `f:1:1: fleet.services: must have at least one service`},
		{"name: n\nduration: 1s\nfleet: {services: [{name: s}]}", `f:3:20: fleet.services[0].workers: "0": must have exactly one of workers, rate and batch, above 0`},
		{minimal + "upstream: {limits: [{name: a, quota: 0, window: {fixed: 1s}}]}", `f:4:38: upstream.limits[0].quota: "0": must be from 1 to 1000000000000`},
		{minimal + "upstream: {limits: [{name: a, quota: 5, window: {fixed: 1s}, weights: {GET /: 6}}]}", `f:4:79: upstream.limits[0].weights.GET /: "6": must be from 1 to 5`},
		{minimal + "costs: {unit: tokens}\nupstream: {limits: [{name: a, quota: 5, unit: tokens, window: {fixed: 1s}, weights: {GET /: 2}}]}", `f:5:85: upstream.limits[0].weights: "1": goes with requests`},
		{minimal + "upstream: {limits: [{name: a, quota: 1}]}", `f:4:21: upstream.limits[0].window.fixed: must have exactly one of fixed, calendar, `},
		{minimal + "upstream: {limits: [{name: a, quota: 1, window: {calendar: day, zone: Atlantis}}]}", `f:4:71: upstream.limits[0].window.zone: "Atlantis": goes with calendar: name it as the IANA database does`},
		{minimal + "upstream: {changes: [{at: 1s, limit: b, quota: 1}]}", `f:4:38: upstream.changes[0].limit: "b": no such limit`},
		{minimal + "upstream: {outages: [{for: 1s, status: 404}]}", `f:4:40: upstream.outages[0].status: "404": must be 429 or 503`},
		{minimal + "upstream: {others: [{bursts: {on: 1s}}]}", `f:4:21: upstream.others[0].rate: "0": give either a rate or a share, above 0`},
		{minimal + "expect: {limits: [b]}", `f:4:19: expect.limits[0]: "b": no such limit`},
		// Variations.
		{minimal + "vary: [a]", `f:4:7: vary: "[…]": must be a mapping of fields to lists of values`},
		{minimal + "vary: {about: x}", `f:4:15: vary.about: "x": must be a list of values, or a mapping of names to fields and values, that is not empty`},
		{minimal + "vary: {case: {one: x}}", `f:4:20: vary.case.one: "x": must be a mapping of fields to values; {} changes nothing`},
		{minimal + "vary: {\"upstream.limits[3].quota\": [1]}", `f:4:8: vary: "upstream.limits[3].quota": no such field: name one as upstream.limits[0].quota does`},
		{minimal + "vary: {\"\": [0]}", `f:4:8: vary: no such field: name one as upstream.limits[0].quota does`},
		{minimal + "vary: {upstream.odd: [1]}", `f:4:23: upstream: "odd": unknown key: keys are limits, `},
		{minimal + "vary: {duration: [1s, forever]}", `f:4:23: duration: "forever": must be a time with its unit, such as 500ms, 10s or 1h30m`},
		{minimal + "vary: {about: [" + strings.Repeat("x, ", 100) + "x]}", `f:4:8: vary: "about": more than 100 variants: name the combinations that matter`},
	} {
		_, err := Parse("f", []byte(tt.text))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q:\ngot  %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

func TestVary(t *testing.T) {
	all, err := Parse("f", []byte(minimal+`
upstream:
  limits:
    - {name: app, quota: 3, window: {fixed: 10s}}
    - {name: member, per: [user], quota: 2, window: {fixed: 10s}}
broker: {limits: [{quota: 3}]}
vary:
  upstream.headers.round: [up, down]
  quotas:
    as told: {}
    equal: {"upstream.limits[0].quota": 2, "broker.limits[0].quota": 2, upstream.clock.skew: -3s}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		l := s.Upstream.Limits
		got = append(got, strings.Join([]string{
			s.Variant, string(s.Upstream.Headers.Round), string(s.Broker), s.Upstream.Clock.Skew.String(),
			strings.Repeat("a", int(l[0].Quota)), strings.Repeat("m", int(l[1].Quota)),
		}, " "))
	}
	want := []string{
		`round=up, as told up {"limits": [{"quota": 3}]} 0s aaa mm`,
		`round=up, equal up {"limits": [{"quota": 2}]} -3s aa mm`,
		`round=down, as told down {"limits": [{"quota": 3}]} 0s aaa mm`,
		`round=down, equal down {"limits": [{"quota": 2}]} -3s aa mm`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// FuzzParse holds that no text makes Parse panic, that what it refuses has a
// place and a remedy, and that what it accepts can be begun.
func FuzzParse(f *testing.F) {
	entries, err := scenarios.ReadDir("scenarios")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		data, err := scenarios.ReadFile("scenarios/" + e.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(minimal))
	f.Add([]byte(minimal + "vary: {\"fleet.services[0].workers\": [1, 0]}\nexpect: {used: 99%}"))
	f.Add([]byte(minimal + "upstream: {limits: [{name: a, quota: 1, window: {calendar: month, zone: Europe/Kyiv}}]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Parse("f", data)
		if err == nil {
			for _, s := range all {
				if _, err := NewUpstream(s.Upstream, s.Start, 1); err != nil {
					t.Errorf("accepted %+v: %v", s, err)
				}
			}
			return
		}
		var e *Error
		if !errors.As(err, &e) || len(e.Problems) == 0 {
			t.Fatalf("refused by %#v", err)
		}
		for _, p := range e.Problems {
			if p.File != "f" || p.Line < 1 || p.Column < 1 || p.Field == "" || p.Remedy == "" {
				t.Errorf("problem %+v", p)
			}
		}
	})
}
