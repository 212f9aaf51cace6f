package scoreboard

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

// small is two variants of little work.
func small(t *testing.T) []*simulate.Scenario {
	t.Helper()
	variants, err := simulate.Parse("small.yaml", []byte(`name: small
duration: 60s
upstream:
  limits: [{name: app, per: [app], quota: 20, window: {fixed: 10s}}]
  latency: {request: {typical: 20ms}, answer: {typical: 20ms}}
fleet: {services: [{name: s, count: 2, workers: 3}], users: {count: 3}}
broker: {limits: [{name: app, per: [app], quota: 20, window: {fixed: 10s}}]}
expect: {used: 90%}
vary:
  upstream.limits[0].quota: [20, 30]
`))
	if err != nil {
		t.Fatal(err)
	}
	return variants
}

func played(t *testing.T, p *Plan) []Row {
	t.Helper()
	var all []Row
	err := p.Run(t.Context(), func(rows []Row) error {
		all = append(all, rows...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRowsComeInOrderOnAnyCores(t *testing.T) {
	p := &Plan{Variants: small(t), Strategies: strategy.All(), Seeds: 3}
	var first strings.Builder
	for _, cores := range []int{1, 4} {
		before := runtime.GOMAXPROCS(cores)
		rows := played(t, p)
		runtime.GOMAXPROCS(before)
		if len(rows) != 2*len(p.Strategies) || rows[0].Strategy != "ours" || rows[len(rows)-1].Variant != "quota=30" {
			t.Fatalf("got %d rows: %+v", len(rows), rows)
		}
		var text strings.Builder
		if err := WriteJSON(&text, rows); err != nil {
			t.Fatal(err)
		}
		if first.Len() == 0 {
			first = text
		} else if first.String() != text.String() {
			t.Errorf("on %d cores:\n%s\nwant\n%s", cores, text.String(), first.String())
		}
	}
}

func TestRow(t *testing.T) {
	s := small(t)[0]
	r := newRow(s, "x", []*simulate.Result{
		{Wanted: 30, Sent: 20, Served: 15, Refused: 5, Probes: 1, LongestLockout: time.Second, WaitP50: time.Second, WaitP99: 3 * time.Second, Fairness: 1},
		{Wanted: 30, Sent: 30, Served: 30, LongestLockout: time.Minute, WaitP50: 2 * time.Second, WaitP99: 4 * time.Second, Fairness: 0.5},
	})
	if r.Sent != 50 || r.Served != 45 || r.Refused != 5 || r.RefusedPer10k != 1000 || r.LongestLockout != 60 ||
		r.WaitP50 != 1.5 || r.WaitP99 != 3.5 || r.Fairness != 0.75 || r.Used != nil || r.Meets {
		t.Errorf("got %+v", r)
	}
}

func TestCompare(t *testing.T) {
	rows := []Row{{Strategy: "ours", Served: 90}, {Strategy: strategy.Clairvoyant, Served: 100}}
	if compare(rows); rows[0].Goodput == nil || *rows[0].Goodput != 0.9 || *rows[1].Goodput != 1 {
		t.Errorf("got %+v", rows)
	}
	alone := []Row{{Strategy: "ours", Served: 90}}
	if compare(alone); alone[0].Goodput != nil {
		t.Errorf("a goodput of %v without the clairvoyant", *alone[0].Goodput)
	}
}

// broken is a strategy that cannot be made.
func broken(simulate.Env) (simulate.Strategy, error) { return nil, errors.New("out of order") }

func TestRunNamesWhatFailed(t *testing.T) {
	p := &Plan{Variants: small(t), Strategies: []strategy.Strategy{strategy.All()[1], {Name: "broken", New: broken}}, Seeds: 3}
	err := p.Run(t.Context(), func([]Row) error { return nil })
	if err == nil || err.Error() != "small (quota=20) against broken, seed 1: strategy: out of order" {
		t.Errorf("got %v", err)
	}
}

func TestRunStops(t *testing.T) {
	p := &Plan{Variants: small(t), Strategies: strategy.All(), Seeds: 50}
	stop := errors.New("enough")
	if err := p.Run(t.Context(), func([]Row) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx, func([]Row) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTable(t *testing.T) {
	used, goodput := 0.9944, 1.0
	var text strings.Builder
	table, err := NewTable(&text, &Plan{Variants: small(t), Strategies: strategy.All()})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Add([]Row{
		{Scenario: "small", Variant: "quota=20", Strategy: "ours", RefusedPer10k: 1.234, Used: &used, Goodput: &goodput, LongestLockout: 130, WaitP50: 0.05, WaitP99: 9000, Fairness: 1, Meets: true},
		{Scenario: "small", Variant: "quota=20", Strategy: "clairvoyant", Failures: []string{"one thing", "another"}},
	}); err != nil {
		t.Fatal(err)
	}
	const want = `
scenario  variant   strategy     429s/10k    blamed     used  goodput  lock-out  wait p50       p99   Jain  expected
small     quota=20  ours             1.23      0.00   99.4 %  100.0 %   2.2 min    0.05 s     2.5 h  1.000  met
small     quota=20  clairvoyant      0.00      0.00        -        -    0.00 s    0.00 s    0.00 s  0.000  one thing; another
`
	if got := "\n" + text.String(); got != want {
		t.Errorf("got%s\nwant%s", got, want)
	}
}
