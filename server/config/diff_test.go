package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quotabroker/quotabroker/server/config"
)

func parsed(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const before = `
listen: 127.0.0.1:7460
apis:
  linkedin:
    dialect: linkedin
    limits:
      - {name: app-day, per: [app, endpoint], quota: 100, window: {calendar: day, zone: America/Los_Angeles}}
      - {name: member-day, per: [app, user], quota: learn, window: {calendar: day, zone: UTC}}
    overrides:
      - {endpoint: "GET /v2/me", limit: app-day, quota: 5}
      - {endpoint: "GET /v2/{id}", limit: app-day, quota: 7}
  other: {}
`

func TestChanges(t *testing.T) {
	for name, tt := range map[string]struct {
		edit []string // pairs for strings.NewReplacer
		want []string // those that take a restart end in "!"
	}{
		"the same":       {nil, nil},
		"a quota":        {[]string{"quota: 100", "quota: 90"}, []string{"apis.linkedin.limits.app-day.quota: 100 → 90"}},
		"learned before": {[]string{"quota: learn", "quota: 9"}, []string{"apis.linkedin.limits.member-day.quota: learn → 9"}},
		"a zone": {
			[]string{"America/Los_Angeles", "Asia/Tokyo"},
			[]string{"apis.linkedin.limits.app-day.window: {calendar: day, zone: America/Los_Angeles} → {calendar: day, zone: Asia/Tokyo}"},
		},
		"parts and unit": {
			[]string{"per: [app, user],", "per: [app], unit: tokens,"},
			[]string{"apis.linkedin.limits.member-day.per: app+user → app", "apis.linkedin.limits.member-day.unit: requests → tokens"},
		},
		"another name": {
			[]string{"name: member-day", "name: member"},
			[]string{
				"apis.linkedin.limits.member: added: learn requests per app+user, window {calendar: day, zone: UTC}",
				"apis.linkedin.limits.member-day: removed",
			},
		},
		"overrides": {
			[]string{"quota: 5}", "quota: 6}", "GET /v2/{id}", "GET /v2/{user}"},
			[]string{
				`apis.linkedin.overrides.app-day."GET /v2/me": 5 → 6`,
				`apis.linkedin.overrides.app-day."GET /v2/{id}": removed`,
				`apis.linkedin.overrides.app-day."GET /v2/{user}": added: 7`,
			},
		},
		"APIs": {
			[]string{"other: {}", "another: {limits: [{name: a}]}"},
			[]string{"apis.another: added, with dialect auto and 1 limits", "apis.other: removed"},
		},
		"of an API": {
			[]string{"other: {}", "other: {dialect: ietf, send_within: 9s, labels: [tenant], shadow: true, proxy: {upstream: https://example.com}}"},
			[]string{
				"apis.other.dialect: auto → ietf", "apis.other.labels: [] → [tenant]", "apis.other.proxy: added!",
				"apis.other.send_within: 5s → 9s", "apis.other.shadow: false → true",
			},
		},
		"deadlines spelled out": {[]string{"other: {}", "other: {send_within: 5s, report_within: 5m}"}, nil},
		"at the top": {
			[]string{"listen: 127.0.0.1:7460", "listen: :7462\nallow_unknown: true\nmax_wait: 9s\ntls: {cert: a, key: b}\nstore: {kind: memory}"},
			[]string{
				"allow_unknown: false → true", "listen: 127.0.0.1:7460 → :7462!", "max_wait: 0s → 9s!",
				"store: changed!", "tls: added!",
			},
		},
		"no APIs": {
			[]string{before, "{}"},
			[]string{"allow_unknown: false → true", "apis.linkedin: removed", "apis.other: removed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			after := strings.NewReplacer(tt.edit...).Replace(before)
			if (after == before) != (tt.edit == nil) {
				t.Fatal("nothing was edited")
			}
			var got []string
			for _, c := range config.Changes(parsed(t, before), parsed(t, after)) {
				text := c.String()
				if c.Restart {
					text += "!"
				}
				got = append(got, text)
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// Two readings of one file say the same, whatever it holds.
func TestChangesOfNothing(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "working_*.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		once, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if changes := config.Changes(once, again); len(changes) > 0 {
			t.Errorf("%s: %v", file, changes)
		}
	}
}

// The order of two templates that fit as well decides, so it is a change.
func TestChangesOfOrder(t *testing.T) {
	a := `{endpoint: "GET /a/{x}", limit: l, quota: 1}`
	b := `{endpoint: "GET /{x}/a", limit: l, quota: 2}`
	text := func(overrides string) *config.Config {
		return parsed(t, "apis: {x: {limits: [{name: l, per: [app, endpoint]}], overrides: ["+overrides+"]}}")
	}
	got := config.Changes(text(a+","+b), text(b+","+a))
	if len(got) != 1 || got[0].String() != "apis.x: changed in order" {
		t.Errorf("got %v", got)
	}
}
