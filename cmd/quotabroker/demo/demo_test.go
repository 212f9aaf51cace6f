package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// bubble runs a test of whole fleets in virtual time. The race detector's own
// run-time now and then dies of a segmentation fault in bubbles as busy as these
// (Go 1.26.8), so it has TestOnLoopback instead.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if underRace {
		t.Skip("too busy a bubble for the race detector; TestOnLoopback is for it")
	}
	synctest.Test(t, test)
}

// TestDemo runs the whole demo, real servers and clients over connections in
// memory, in virtual time.
func TestDemo(t *testing.T) {
	for _, tt := range []struct {
		headers Headers
		// early is how long before a multiple of the windows' length it begins.
		early time.Duration
	}{
		{Guide, 0}, {None, time.Microsecond}, {None, 4 * time.Second}, {None, 10 * time.Second},
	} {
		t.Run(fmt.Sprint(tt.headers, " ", tt.early), func(t *testing.T) { testDemo(t, tt.headers, tt.early) })
	}
}

func testDemo(t *testing.T, headers Headers, early time.Duration) {
	bubble(t, func(t *testing.T) {
		plan := DefaultPlan()
		plan.Headers = headers
		time.Sleep(plan.Window - early)
		var progress bytes.Buffer
		began := time.Now()
		r, err := run(t.Context(), &memory{}, plan, Screen{Out: &progress})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v, more than a minute", took)
		}
		if err := r.Verdict(); err != nil {
			t.Error(err)
		}
		b, a := r.Broker, r.Alone
		if app := b.use("app"); app.Windows < 2 || app.Mean < 0.97 || app.Highest > 1 {
			t.Errorf("through the broker: app quota %+v, want at least 97 %% of 2 windows or more", app)
		}
		if b.Served != int64(plan.Calls) || b.LongestLockout != 0 || b.Seconds <= 0 {
			t.Errorf("through the broker: %+v", b)
		}
		// The comparison is worth nothing unless a fleet without a broker runs
		// into its quotas, both of them, with the same work.
		if a.Refused == 0 || a.LongestLockout == 0 || a.use("member").Highest != 1 || a.use("app").Highest != 1 {
			t.Errorf("alone: %+v", a)
		}
		if r.Headers != headers {
			t.Errorf("the result is of %q", r.Headers)
		}
		if a.Finished && a.Served != b.Served {
			t.Errorf("served %d alone and %d through the broker: not the same work", a.Served, b.Served)
		}
		if !strings.Contains(progress.String(), "/1088, 0 × 429\n") {
			t.Errorf("progress: %q", progress.String())
		}
	})
}

func TestInterrupted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		began := time.Now()
		_, err := run(ctx, &memory{}, DefaultPlan(), Screen{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if took := time.Since(began); took < 7*time.Second || took > 9*time.Second {
			t.Errorf("it ended after %v, want soon after 7 s", took)
		}
	})
}

// TestTimeIsUp checks that a run which cannot end is ended, and says so.
func TestTimeIsUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		plan := DefaultPlan()
		plan.Most = 12 * time.Second
		r, err := run(t.Context(), &memory{}, plan, Screen{})
		if err != nil {
			t.Fatal(err)
		}
		for name, o := range map[string]Outcome{"alone": r.Alone, "broker": r.Broker} {
			if o.Finished || o.Seconds < 12 || o.Seconds > 12.2 || o.Served == 0 {
				t.Errorf("%s: got %+v, want it unfinished after 12 s", name, o)
			}
		}
		if err := r.Verdict(); err == nil || !strings.Contains(err.Error(), "did not finish") {
			t.Errorf("the verdict is %v", err)
		}
	})
}

func TestOnLoopback(t *testing.T) {
	defer goleak.VerifyNone(t)
	plan := DefaultPlan()
	plan.Calls = 96
	r, err := Run(t.Context(), plan, Screen{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Broker.Served != 96 || r.Alone.Served != 96 || r.Verdict() != nil {
		t.Errorf("got %+v", r)
	}
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name   string
		broker Outcome
		want   string
	}{
		{"kept", Outcome{Finished: true}, ""},
		{"one 429", Outcome{Finished: true, Refused: 1}, "the API answered 429 to 1 calls through the broker, which promises none"},
		{"unfinished", Outcome{Seconds: 55}, "the fleet did not finish its work through the broker in 55 s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := (Result{Broker: tt.broker, Alone: Outcome{Refused: 9}}).Verdict(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// shown is a result with a number of its own in each place.
func shown() Result {
	return Result{
		Headers: Guide, Fleet: describe(DefaultPlan()),
		Alone: Outcome{
			Seconds: 55, Served: 1010, Refused: 120, GivenUp: 3, LongestLockout: 9.04, LongestCall: 38.2,
			Quotas: []Use{{"app", 300, 4, 0.793, 0.173, 1}, {"member", 12, 141, 0.642, 0.083, 1}},
		},
		Broker: Outcome{
			Finished: true, Seconds: 35.43, Served: 1088, LongestCall: 10.36,
			Quotas: []Use{{"app", 300, 3, 1, 1, 1}, {"member", 12, 0, 0, 0, 0}},
		},
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := shown().WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	const want = `
                                        each service alone                     through quotabroker
requests served                         1010                                   1088
429s                                    120                                    0
longest lock-out after a 429            9.0 s                                  0.0 s
longest call, waits included            38.2 s                                 10.4 s
app quota used per complete window      79.3 % (17.3 to 100.0 %, 4 windows)    100.0 % (100.0 to 100.0 %, 3 windows)
member quota used per complete window   64.2 % (8.3 to 100.0 %, 141 windows)   none complete
time to finish the same work            not in 55.0 s                          35.4 s

Shares are those of windows in which the fleet wanted the application's whole quota or more.
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestJSONKeys holds the keys that programs read.
func TestJSONKeys(t *testing.T) {
	var b bytes.Buffer
	if err := shown().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"fleet.services", "fleet.workers_per_service", "fleet.users", "fleet.calls", "fleet.demand", "fleet.window_seconds",
		"alone.finished", "alone.seconds", "alone.served", "alone.refused", "alone.given_up",
		"alone.longest_lockout_seconds", "alone.longest_call_seconds", "alone.quotas",
		"broker.finished", "broker.seconds", "broker.served", "broker.refused", "broker.given_up",
		"broker.longest_lockout_seconds", "broker.longest_call_seconds", "broker.quotas",
	} {
		side, key, _ := strings.Cut(path, ".")
		if _, ok := got[side].(map[string]any)[key]; !ok {
			t.Errorf("no %s", path)
		}
	}
	if got["headers"] != "guide" {
		t.Errorf("headers: %v", got["headers"])
	}
	app := got["broker"].(map[string]any)["quotas"].([]any)[0].(map[string]any)
	for _, key := range []string{"name", "quota", "complete_windows", "mean", "lowest", "highest"} {
		if _, ok := app[key]; !ok {
			t.Errorf("no broker.quotas[0].%s", key)
		}
	}
}
