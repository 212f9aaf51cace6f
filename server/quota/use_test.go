package quota

import (
	"testing"
	"time"
)

// A fleet that wants more than there is gets at least 97 % of each complete
// window, and nobody is refused.
func TestUseOfQuota(t *testing.T) {
	for name, tc := range map[string]struct {
		window Window
		limit  trueLimit
		faults faults
		least  float64
	}{
		"phase learned":          {Window{Kind: Fixed, Period: 10 * time.Second}, trueLimit{quota: 300, period: 10 * time.Second, phase: 3 * time.Second}, faults{rtt: 100 * time.Millisecond}, 0.97},
		"starts at first use":    {Window{Kind: Fixed, Period: 10 * time.Second}, trueLimit{quota: 300, period: 10 * time.Second, firstUse: true}, faults{rtt: 100 * time.Millisecond}, 0.97},
		"aligned":                {Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}, trueLimit{quota: 300, period: 10 * time.Second}, faults{rtt: 100 * time.Millisecond}, 0.97},
		"aligned, tells nothing": {Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}, trueLimit{quota: 300, period: 10 * time.Second}, faults{rtt: 100 * time.Millisecond, loseHeaders: 1}, 0.97},
		"phase never told":       {Window{Kind: Fixed, Period: 10 * time.Second}, trueLimit{quota: 300, period: 10 * time.Second, phase: time.Second}, faults{rtt: 100 * time.Millisecond, loseHeaders: 1}, 0.95},
		"faults":                 {Window{Kind: Fixed, Period: 10 * time.Second}, trueLimit{quota: 300, period: 10 * time.Second, phase: 3 * time.Second}, faults{rtt: 100 * time.Millisecond, loseHeaders: 0.3, dieBefore: 0.02, dieAfter: 0.02, slowSend: time.Second, slowReport: time.Second}, 0.95},
		"a calendar hour":        {Window{Kind: Calendar, Unit: Hour}, trueLimit{quota: 2000, period: time.Hour}, faults{rtt: 100 * time.Millisecond, loseHeaders: 1}, 0.99},
	} {
		t.Run(name, func(t *testing.T) {
			rules := &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{{Name: "app", Quota: tc.limit.quota, Window: tc.window, Provenance: Configured}}}
			up := &upstream{limits: []trueLimit{tc.limit}}
			w := newWorld(7, epoch.Add(tc.limit.period/3), up, rules, tc.faults)
			w.want("u", 1<<20)
			w.run(epoch.Add(21 * tc.limit.period))
			full, used := 0, int64(0)
			for _, n := range up.history {
				full++
				used += n
			}
			share := float64(used) / float64(int64(full)*tc.limit.quota)
			t.Log(up.history)
			t.Logf("%d windows, %.3f used, %d refused, %d probes refused", full, share, w.innocent, w.probes)
			if w.innocent+w.probes > 0 || share < tc.least || full < 15 {
				t.Errorf("use %.3f of %d windows, want %.2f; refused %d and %d probes", share, full, tc.least, w.innocent, w.probes)
			}
		})
	}
}
