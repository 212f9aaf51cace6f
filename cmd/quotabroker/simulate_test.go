package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// simulated runs the command within this process.
func simulated(t *testing.T, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs strings.Builder
	exit = run(t.Context(), append([]string{"simulate"}, args...), &out, &errs)
	return out.String(), errs.String(), exit
}

// calm is a scenario of which ours makes what is expected, and hasty one of which
// nobody could.
const (
	calm = `name: calm
duration: 60s
upstream:
  limits: [{name: app, per: [app], quota: 50, window: {fixed: 10s}}]
  latency: {request: {typical: 20ms}, answer: {typical: 20ms}}
fleet: {services: [{name: s, count: 2, rate: 1}]}
broker: {limits: [{name: app, per: [app], quota: 50, window: {fixed: 10s}}]}
expect: {served: 90%}
`
	hasty = calm + `vary:
  upstream.limits[0].quota: [50, 1]
`
)

func scenarioFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSimulateAFile(t *testing.T) {
	t.Parallel()
	stdout, stderr, exit := simulated(t, scenarioFile(t, calm), "--seeds", "2", "--strategy", "ours,guide,clairvoyant")
	if exit != exitOK || stderr != "" {
		t.Errorf("exit code %d, and %s", exit, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "scenario  variant  strategy") || !strings.HasPrefix(lines[1], "calm               ours") {
		t.Errorf("got\n%s", stdout)
	}
}

func TestSimulateFailsWhenOursDoes(t *testing.T) {
	t.Parallel()
	stdout, stderr, exit := simulated(t, scenarioFile(t, hasty), "--seeds", "2", "--strategy", "ours,guide", "--json")
	if exit != exitFailure || stderr != "quotabroker: simulate: ours does not achieve what is expected in 1 of 2 variants: calm (quota=1)\n" {
		t.Errorf("exit code %d, and %q", exit, stderr)
	}
	var meets []any
	for line := range strings.Lines(stdout) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if row["seeds"] != 2.0 || row["failures"] == nil {
			t.Errorf("got %v", row)
		}
		meets = append(meets, row["meets"])
	}
	if len(meets) != 4 || meets[0] != true || meets[2] != false {
		t.Errorf("meets %v", meets)
	}
}

func TestSimulateIsTheSameAgain(t *testing.T) {
	t.Parallel()
	path := scenarioFile(t, hasty)
	first, _, _ := simulated(t, path, "--seeds", "4", "--strategy", "all", "--json")
	again, _, _ := simulated(t, path, "--seeds", "4", "--strategy", "all", "--json")
	if first != again || first == "" {
		t.Errorf("first\n%s\nthen\n%s", first, again)
	}
}

func TestSimulateWritesTheScoreboard(t *testing.T) {
	t.Parallel()
	readme := filepath.Join(t.TempDir(), "README.md")
	source, err := os.ReadFile(filepath.Join(root, "server", "simulate", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(readme, source, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, exit := simulated(t, scenarioFile(t, hasty), "--seeds", "1", "--scoreboard", readme)
	if exit != exitOK || stdout+stderr != "" {
		t.Errorf("exit code %d, %s, %s", exit, stdout, stderr)
	}
	if got, err := os.ReadFile(readme); err != nil || !strings.Contains(string(got), "\n### calm\n") || !strings.Contains(string(got), "## The figures") {
		t.Errorf("%v, and wrote\n%s", err, got)
	}
}

func TestSimulateDrawsATimeline(t *testing.T) {
	t.Parallel()
	var pictures [2]string
	for i, seed := range []string{"1", "2"} {
		path := filepath.Join(t.TempDir(), "own.svg")
		stdout, stderr, exit := simulated(t, scenarioFile(t, hasty), "--variant", "quota=5", "--seed", seed, "--strategy", "ours,guide", "--timeline", path)
		if exit != exitOK || stdout+stderr != "" {
			t.Errorf("exit code %d, %s, %s", exit, stdout, stderr)
		}
		svg, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pictures[i] = string(svg)
		for _, want := range []string{"<svg ", ">calm — quota=50<", ">seed " + seed + "; 1 min from", ">ours<", ">guide<", "50 requests every 10 s"} {
			if !strings.Contains(pictures[i], want) {
				t.Errorf("no %q in\n%s", want, pictures[i])
			}
		}
	}
	if pictures[0] == pictures[1] {
		t.Error("two seeds give the same picture")
	}
}

func TestSimulateUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		exit int
		want string
	}{
		{"", exitUsage, `scenario: "": name a .yaml file, or some of sole`},
		{"nope", exitUsage, `scenario: "nope": there is no such one: name a .yaml file, or some of sole`},
		{"sole --strategy luck", exitUsage, `there is no strategy "luck": choose of ours, guide,`},
		{"sole --seeds 0", exitUsage, `--seeds: "0": give 1 to 10000`},
		{"sole --all", exitUsage, `--all: "sole": name scenarios or ask for all of them, not both`},
		{"sole --variant nope", exitUsage, `--variant: "nope": no variant's name contains it: there are`},
		{scenarioFile(t, hasty) + " --timeline x.svg", exitUsage, `--timeline: "x.svg": a picture is of one variant, and these are 2: choose by --variant of "calm: quota=50", "calm: quota=1"`},
		{scenarioFile(t, calm) + " --timeline missing/x.svg", exitFailure, "simulate: --timeline: open missing/x.svg: no such file"},
		{"sole --json --timeline x.svg", exitUsage, "none of the others can be"},
		{"sole --json --list", exitUsage, "none of the others can be"},
		{scenarioFile(t, calm) + " --scoreboard " + scenarioFile(t, calm), exitFailure, "no place for a scoreboard"},
		{"missing.yaml", exitFailure, "simulate: scenario: open missing.yaml"},
		{scenarioFile(t, calm+"extra: 1\n"), exitFailure, "own.yaml:9:1: "},
	} {
		stdout, stderr, exit := simulated(t, strings.Fields(tt.args)...)
		if exit != tt.exit || !strings.Contains(stderr, tt.want) || stdout != "" {
			t.Errorf("%q: exit code %d, %s\nwant %d, %s", tt.args, exit, stderr, tt.exit, tt.want)
		}
	}
}

func TestSimulateList(t *testing.T) {
	t.Parallel()
	stdout, _, exit := simulated(t, "--list")
	for _, want := range []string{"\n  sole: The fleet is the only consumer", "\n  ours         the broker", "\n  clairvoyant  knows everything"} {
		if exit != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, no %q in\n%s", exit, want, stdout)
		}
	}
}
