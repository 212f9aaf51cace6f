package ours

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// expectSeeds is how often each variant is played here, and rareSeeds where a few
// 429s of very many calls are expected; the scoreboard plays more.
const expectSeeds, rareSeeds = 2, 5

// missed is testdata/missed.txt: the variants of which ours does not achieve what
// is expected, a line each, and what was measured. It only ever shrinks: whoever
// makes one of them good takes it out.
func missed(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/missed.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		title, measured, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || list[title] != "" {
			t.Errorf("missed.txt: %q: write each variant once, a colon, and what was measured", line)
		}
		list[title] = measured
	}
	return list
}

// TestExpectations plays every variant of every scenario that comes with package
// simulate.
func TestExpectations(t *testing.T) {
	all, err := simulate.Builtins()
	if err != nil {
		t.Fatal(err)
	}
	known, played := missed(t), make(map[string]bool)
	for _, s := range all {
		title := s.Name + ", " + s.Variant
		played[title] = true
		t.Run(title, func(t *testing.T) {
			if testing.Short() && s.Duration > 24*time.Hour {
				t.Skip("days of calls")
			}
			t.Parallel()
			expect(t, s, known[title])
		})
	}
	for title := range known {
		if !played[title] {
			t.Errorf("%s is listed as missed, and there is no such variant: take it out", title)
		}
	}
}

func expect(t *testing.T, s *simulate.Scenario, known string) {
	var runs []*simulate.Result
	seeds := uint64(expectSeeds)
	if s.Expect.Refused > 0 {
		seeds = rareSeeds
	}
	for seed := range seeds {
		r, err := simulate.Run(s, seed+1, New)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	failures := strings.Join(s.Judge(runs...), "; ")
	switch {
	case failures == "" && known != "":
		t.Errorf("achieves what is expected by now: take it out of testdata/missed.txt, which has %q", known)
	case failures != "" && known == "":
		t.Error(failures)
	case failures != "":
		t.Logf("missed, as is known: %s; the list has %q", failures, known)
	}
}
