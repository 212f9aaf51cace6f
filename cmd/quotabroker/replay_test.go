package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recordingFile is of ten calls, of which an application with five every ten seconds
// has half denied.
func recordingFile(t *testing.T) string {
	t.Helper()
	text := `{"at_us":0,"began":{"format":1,"version":"v","wall":"2026-03-02T09:00:00Z","users":"hidden"}}
{"at_us":0,"config":{"apis":{"crm":{"dialect":"auto","limits":[{"name":"app","per":["app"],"quota":50,"window":{"kind":"fixed","period_us":10000000}}]}}}}
`
	for i := range 10 {
		scope := `{"scope":{"api":"crm","app":"a"},"waited_us":0,`
		if i%2 == 0 {
			text += fmt.Sprintf(`{"at_us":%d,"acquire":%s"permit":"p-%d"}}`+"\n", i*100_000, scope, i)
			text += fmt.Sprintf(`{"at_us":%d,"report":{"permit":"p-%d","result":"sent","status":200,"since_sent_us":20000}}`+"\n", i*100_000+20_000, i)
		} else {
			text += fmt.Sprintf(`{"at_us":%d,"acquire":%s"denied":{"reason":"QUOTA_EXHAUSTED","limit":"app","retry_after_us":1000}}}`+"\n", i*100_000, scope)
		}
	}
	return writeFile(t, "calls.jsonl", text)
}

func TestSimulateReplays(t *testing.T) {
	t.Parallel()
	log := recordingFile(t)
	conf := writeFile(t, "new.yaml", "apis: {crm: {limits: [{name: app, per: [app], quota: 50, window: {fixed: 10s}}]}}\n")
	stdout, stderr, exit := simulated(t, "--replay", log, "--config", conf, "--seeds", "2", "--strategy", "ours,guide")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if exit != exitOK || stderr != "" || len(lines) != 4 || !strings.HasPrefix(lines[1], "replay    crm      recorded") ||
		!strings.HasSuffix(lines[0], "served") || !strings.HasSuffix(lines[1], " 5 of 10") || !strings.HasSuffix(lines[2], " 10 of 10") {
		t.Errorf("exit code %d, %s\n%s", exit, stderr, stdout)
	}
	stdout, _, _ = simulated(t, "--replay", log, "--config", conf, "--seeds", "1", "--json")
	var rows []map[string]any
	for line := range strings.Lines(stdout) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if len(rows) != 2 || rows[0]["strategy"] != "recorded" || rows[0]["served"] != 5.0 || rows[1]["served"] != 10.0 {
		t.Errorf("got %v", rows)
	}
	upstream := writeFile(t, "truth.yaml", "upstream: {limits: [{name: truth, per: [app], quota: 2, window: {fixed: 1h}}]}\n")
	picture := filepath.Join(t.TempDir(), "whatif.svg")
	if _, stderr, exit := simulated(t, "--replay", log, "--config", conf, "--upstream", upstream, "--timeline", picture); exit != exitOK {
		t.Errorf("exit code %d, %s", exit, stderr)
	}
	if svg, err := os.ReadFile(picture); err != nil || !strings.Contains(string(svg), "2 requests every 1 h") {
		t.Errorf("%v in\n%s", err, svg)
	}
}

func TestSimulateReplayUsage(t *testing.T) {
	t.Parallel()
	log := recordingFile(t)
	conf := writeFile(t, "new.yaml", "apis: {crm: {}}\n")
	for _, tt := range []struct {
		args string
		exit int
		want string
	}{
		{"sole --config " + conf, exitUsage, "go with --replay"},
		{"sole --replay " + log + " --config " + conf, exitUsage, "is played alone"},
		{"--replay " + log + " --config " + conf + " --list", exitUsage, "none of the others can be"},
		{"--replay " + log + " --config " + conf + " --seeds 0", exitUsage, `--seeds: "0"`},
		{"--replay " + log + " --config " + conf + " --api mail", exitFailure, `calls.jsonl: --api: "mail": name one that the recording has calls of: crm`},
		{"--replay missing --config " + conf, exitFailure, "open missing"},
		{"--replay " + conf + " --config " + conf, exitFailure, `new.yaml: line 1: line: "apis: {crm: {}}": must be JSON`},
		{"--replay " + log + " --config " + log, exitFailure, "calls.jsonl:2:1: file"},
		{"--replay " + log + " --config " + conf + " --upstream " + conf, exitFailure, "new.yaml:1:1: upstream: is missing"},
	} {
		stdout, stderr, exit := simulated(t, strings.Fields(tt.args)...)
		if exit != tt.exit || !strings.Contains(stderr, tt.want) || stdout != "" {
			t.Errorf("%q: exit code %d, %s\nwant %d, %s", tt.args, exit, stderr, tt.exit, tt.want)
		}
	}
}
