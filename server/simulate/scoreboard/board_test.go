package scoreboard

import (
	"strings"
	"testing"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

// board has a scenario with two variants, of which ours is not first in one, and
// another with a reason for it.
func board() *Board {
	sole := &simulate.Scenario{Name: "sole", About: "Alone.\n", Expect: simulate.Expect{Used: 0.99, From: 3}}
	cut := &simulate.Scenario{
		Name: "cut", About: "Cut.", Because: "Nobody can know.\n",
		Expect: simulate.Expect{Refused: 2, Allow: []simulate.Forgiven{simulate.ForgivenUnaware, simulate.ForgivenProbes}, Served: 0.5, Touched: 0.01},
	}
	ours, guide, best := Row{Strategy: strategy.Ours}, Row{Strategy: "guide"}, Row{Strategy: strategy.Clairvoyant}
	row := func(r Row, s *simulate.Scenario, variant string, sent, refused int64, used *float64, failures ...string) Row {
		r.Scenario, r.Variant, r.scenario = s.Name, variant, s
		r.Sent, r.Refused, r.Served, r.Used = sent, refused, sent-refused, used
		r.RefusedPer10k = per10k(refused, sent)
		r.BlamedPer10k, r.Fairness, r.Failures, r.Meets = r.RefusedPer10k, 1, failures, failures == nil
		return r
	}
	var b Board
	for _, rows := range [][]Row{
		{row(ours, sole, "a", 100, 0, new(1.0)), row(guide, sole, "a", 100, 10, nil), row(best, sole, "a", 100, 0, new(1.0))},
		{row(ours, sole, "b", 200, 0, new(0.9), "90% of the quota used, want 99%"), row(guide, sole, "b", 300, 30, new(1.0)), row(best, sole, "b", 300, 0, new(1.0))},
		{row(ours, cut, "", 1000, 5, nil), row(guide, cut, "", 1000, 2, nil), row(best, cut, "", 1000, 0, nil)},
	} {
		compare(rows)
		_ = b.Add(rows)
	}
	return &b
}

const boardText = `# Head

<!-- scoreboard: ` + "`make scoreboard`" + ` writes what stands from here -->

### sole

Alone.

| strategy | 429s per 10 000 | quota used | goodput | longest lock-out | wait p50 | wait p99 | Jain |
|---|--:|--:|--:|--:|--:|--:|--:|
| ours | 0.00 | 95.0 % | 83.3 % | 0.00 s | 0.00 s | 0.00 s | 1.000 |
| guide | 1000.00 | 100.0 % | 90.0 % | 0.00 s | 0.00 s | 0.00 s | 1.000 |
| clairvoyant | 0.00 | 100.0 % | 100.0 % | 0.00 s | 0.00 s | 0.00 s | 1.000 |

| variant | expected | ours: 429s | quota used | |
|---|---|--:|--:|---|
| a | ≤ 0 429s, ≥ 99% used, from window 3 on | 0.00 | 100.0 % | met |
| b | ≤ 0 429s, ≥ 99% used, from window 3 on | 0.00 | 90.0 % | **missed:** 90% of the quota used, want 99% |

Where ours is not first:

- b: ours has 66.7 % of the calls served that clairvoyant has

**No reason is given.**

### cut

Cut.

| strategy | 429s per 10 000 | quota used | goodput | longest lock-out | wait p50 | wait p99 | Jain |
|---|--:|--:|--:|--:|--:|--:|--:|
| ours | 50.00 | - | 99.5 % | 0.00 s | 0.00 s | 0.00 s | 1.000 |
| guide | 20.00 | - | 99.8 % | 0.00 s | 0.00 s | 0.00 s | 1.000 |
| clairvoyant | 0.00 | - | 100.0 % | 0.00 s | 0.00 s | 0.00 s | 1.000 |

| variant | expected | ours: 429s | quota used | |
|---|---|--:|--:|---|
|  | ≤ 2 429s but for calls under way and probes, ≥ 50% served, ≤ 1% of buckets with a 429 | 50.00 | - | met |

Where ours is not first:

- guide meets 20.00 429s and ours 50.00

Nobody can know.

<!-- scoreboard: to here -->

Tail
`

// A board replaces the one that stands there, and nothing around it.
func TestBoard(t *testing.T) {
	empty := "# Head\n\n" + boardBegins + "\n\nan old one\n" + boardEnds + "\n\nTail\n"
	got, err := board().Insert([]byte(empty))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != boardText {
		t.Errorf("got\n%s\nwant\n%s", got, boardText)
	}
	if again, err := board().Insert(got); err != nil || string(again) != boardText {
		t.Errorf("again: %v\n%s", err, again)
	}
}

func TestBoardNeedsAPlace(t *testing.T) {
	for _, text := range []string{"", boardBegins, boardEnds + boardBegins} {
		if _, err := board().Insert([]byte(text)); err == nil || !strings.Contains(err.Error(), boardEnds) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
