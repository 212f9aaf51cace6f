package wire

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const telemetryDir = "../../../server/telemetry/"

// alertRules is a file of rules as far as the tests read it.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

// Every alert asks for what there is, says how bad it is and what to do, and has
// a test; promtool checks their form and runs those tests, where it is installed.
func TestRules(t *testing.T) {
	data, err := os.ReadFile(telemetryDir + "rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules alertRules
	if err := yaml.UnmarshalWithOptions(data, &rules); err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(telemetryDir + "rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(scraped(t, 1))
	n := 0
	for _, g := range rules.Groups {
		for _, rule := range g.Rules {
			n++
			summary, description := rule.Annotations["summary"], rule.Annotations["description"]
			for _, problem := range r.check(rule.Expr, summary, description) {
				t.Errorf("%s: %s", rule.Alert, problem)
			}
			if severity := rule.Labels["severity"]; !slices.Contains([]string{"critical", "warning", "info"}, severity) || summary == "" || description == "" {
				t.Errorf("%s: severity %q, summary %q, description %q", rule.Alert, severity, summary, description)
			}
			if !strings.Contains(string(tests), "alertname: "+rule.Alert+"\n") {
				t.Errorf("%s has no test that it fires", rule.Alert)
			}
		}
	}
	if n < 6 {
		t.Errorf("%d rules", n)
	}
	promtool(t, "", "check", "rules", telemetryDir+"rules.yaml")
	promtool(t, "", "test", "rules", telemetryDir+"rules_test.yaml")
}

// panel is a part of a dashboard as far as the test reads it.
type panel struct {
	ID                       int
	Title, Description, Type string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ Expr, LegendFormat string }
}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// Every panel and variable of the dashboard asks for what there is; no two panels
// lie on each other.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile(telemetryDir + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels     []panel
		Templating struct {
			List []struct{ Name, Type, Query string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	r := newRegistry(scraped(t, 1))
	for _, v := range board.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := labelValues.FindStringSubmatch(v.Query)
		if m == nil {
			t.Fatalf("variable %s: %q", v.Name, v.Query)
		}
		for _, problem := range r.check(m[1], "{{"+m[2]+"}}") {
			t.Errorf("variable %s: %s", v.Name, problem)
		}
	}
	for i, p := range board.Panels {
		for _, target := range p.Targets {
			for _, problem := range r.check(target.Expr, target.LegendFormat) {
				t.Errorf("panel %q: %s", p.Title, problem)
			}
		}
		if p.Type != "row" && (len(p.Targets) == 0 || p.Description == "") {
			t.Errorf("panel %q shows nothing, or does not say what", p.Title)
		}
		for _, other := range board.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if p.ID == other.ID || a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q have one id or place", p.Title, other.Title)
			}
		}
	}
	if len(board.Panels) < 20 {
		t.Errorf("%d panels", len(board.Panels))
	}
}

// TestRegistryCheckCanFail holds the checker: what is not there has to be found.
func TestRegistryCheckCanFail(t *testing.T) {
	r := newRegistry(scraped(t, 1))
	for _, tt := range []struct{ query, text, want string }{
		{"quotabroker_buckets", "{{limit}} {{job}}", ""},
		{"quotabroker_bucket", "", "there is no metric quotabroker_bucket"},
		{"quotabroker_model_error_ratio", "", "there is no metric quotabroker_model_error_ratio"},
		{"sum by (le) (quotabroker_model_error_ratio_bucket)", "", ""},
		{"sum by (user) (quotabroker_buckets)", "", "no metric of [quotabroker_buckets] has a label user"},
		{`quotabroker_buckets{reason!~"P.*"}`, "", "no metric of [quotabroker_buckets] has a label reason"},
		{"quotabroker_buckets", "{{user}}", "no metric of [quotabroker_buckets] has a label user"},
		{`quotabroker_denials_total{reason="BORED"}`, "", `no label reason is "BORED"`},
		{`quotabroker_denials_total{reason="PROBING"}`, "", ""},
		{"1 + 1", "", "it asks for no metric"},
	} {
		if got := strings.Join(r.check(tt.query, tt.text), "; "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.query, got, tt.want)
		}
	}
}
