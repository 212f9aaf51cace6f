package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/cmd/quotabroker/demo"
)

// shortDemo is the demo command's work with so little to do that it takes no
// time, which shows all but the quotas.
func shortDemo(t *testing.T, asJSON bool) (stdout, stderr string, err error) {
	t.Helper()
	plan := demo.DefaultPlan()
	plan.Calls = 16
	var out, errs bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err = runDemo(cmd, plan, asJSON)
	return out.String(), errs.String(), err
}

func TestDemoShowsATable(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := shortDemo(t, false)
	if err != nil {
		t.Error(err)
	}
	if !strings.Contains(stdout, "each service alone   through quotabroker\n") || !strings.Contains(stdout, "requests served                         16") {
		t.Errorf("stdout is\n%s", stdout)
	}
	if !strings.HasPrefix(stderr, "8 services × 4 workers for 40 members") {
		t.Errorf("stderr is\n%s", stderr)
	}
}

func TestDemoShowsJSON(t *testing.T) {
	t.Parallel()
	stdout, _, err := shortDemo(t, true)
	if err != nil {
		t.Error(err)
	}
	var got demo.Result
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if got.Broker.Served != 16 || !got.Alone.Finished || got.Fleet.Calls != 16 {
		t.Errorf("got %+v", got)
	}
}

func TestDemoFailsWhenTheBrokerDoes(t *testing.T) {
	t.Parallel()
	plan := demo.DefaultPlan()
	plan.Calls, plan.Most = 16, time.Millisecond
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetErr(&bytes.Buffer{})
	if err := runDemo(cmd, plan, false); err == nil || !strings.Contains(err.Error(), "did not finish") {
		t.Errorf("got %v, want the broker's failure", err)
	}
}

func TestDemoIsInterrupted(t *testing.T) {
	t.Parallel()
	p := start(t, "demo")
	p.waitForStderr("8 services")
	p.signal(os.Interrupt)
	if code := p.exit(); code != exitFailure {
		t.Errorf("got exit code %d, want %d", code, exitFailure)
	}
	if text := p.stderr.String(); !strings.HasSuffix(text, "\nquotabroker: demo: interrupted before the work was done\n") {
		t.Errorf("stderr is %q", text)
	}
}
