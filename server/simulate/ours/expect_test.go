package ours

import (
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// expectSeeds is how often each variant is played here; the scoreboard plays more.
const expectSeeds = 2

// missed has the variants of which ours does not achieve what is expected, and
// what was measured. It only ever shrinks: whoever makes one of them good takes it
// out.
var missed = map[string]string{
	"tightest, 300 and 40 three endpoints, lagging":                    "1.055 429s of 10 000 calls, want at most 1",
	"hostile, values=[overused]":                                       "45.25% of the quota used, want 95%",
	"hostile, values=[far_reset, huge_limit, negative, overused, nan]": "85.7273% of the quota used, want 95%",
	"costs, tokens":       "59.95 429s of 10 000 calls, want at most 10",
	"costs, free answers": "60.3409% of the quota used, want 95%",
	"several, percent":    "10% of the quota used, want 90%",
}

// TestExpectations plays every variant of every scenario that comes with package
// simulate.
func TestExpectations(t *testing.T) {
	all, err := simulate.Builtins()
	if err != nil {
		t.Fatal(err)
	}
	played := make(map[string]bool)
	for _, s := range all {
		title := s.Name + ", " + s.Variant
		played[title] = true
		t.Run(title, func(t *testing.T) {
			if testing.Short() && s.Duration > 24*time.Hour {
				t.Skip("days of calls")
			}
			t.Parallel()
			expect(t, s, missed[title])
		})
	}
	for title := range missed {
		if !played[title] {
			t.Errorf("%s is listed as missed, and there is no such variant: take it out", title)
		}
	}
}

func expect(t *testing.T, s *simulate.Scenario, known string) {
	var runs []*simulate.Result
	for seed := range uint64(expectSeeds) {
		r, err := simulate.Run(s, seed+1, New)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	failures := strings.Join(s.Judge(runs...), "; ")
	switch {
	case failures == "" && known != "":
		t.Errorf("achieves what is expected by now: take it out of the list, which has %q", known)
	case failures != "" && known == "":
		t.Error(failures)
	case failures != "":
		t.Logf("missed, as is known: %s; the list has %q", failures, known)
	}
}
