package telemetry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/telemetry"
)

// fixed is totals that are always the same.
type fixed broker.Totals

func (f fixed) Totals() broker.Totals { return broker.Totals(f) }

// What each number of the totals is called.
func TestCollector(t *testing.T) {
	l := broker.LimitTotals{
		LimitID: broker.LimitID{API: "linkedin", Limit: "app-day"},
		Denied:  map[string]uint64{"QUOTA_EXHAUSTED": 11, "PROBING": 0},
		Buckets: 12, Cooling: 13, Waiting: 14, Outstanding: 15, Others: 16, CoolAfter: 90 * time.Second,
		Tightest: quota.Status{Unit: "points", Quota: 100, Remaining: 40, Used: 60},
	}
	l.Granted, l.Settled, l.Released, l.Lapsed, l.Probes, l.Cooldowns = 1, 2, 3, 4, 5, 6
	l.Refused = [quota.Attributions]uint64{7, 8, 9, 10}
	c := telemetry.NewCollector(fixed{Applications: 2, Overdue: 1, Limits: []broker.LimitTotals{
		l, {LimitID: broker.LimitID{API: "linkedin"}, Waiting: 3, Denied: map[string]uint64{"TOO_MANY_WAITERS": 1}},
	}})
	text := exposition(t, c)
	for _, line := range []string{
		`quotabroker_applications 2`,
		`quotabroker_store_overdue_applications 1`,
		`quotabroker_buckets{api="linkedin",limit="app-day"} 12`,
		`quotabroker_cooling_buckets{api="linkedin",limit="app-day"} 13`,
		`quotabroker_waiting_callers{api="linkedin",limit="app-day"} 14`,
		`quotabroker_waiting_callers{api="linkedin",limit=""} 3`,
		`quotabroker_outstanding_permits{api="linkedin",limit="app-day"} 15`,
		`quotabroker_quota_others_units{api="linkedin",limit="app-day",unit="points"} 16`,
		`quotabroker_cooldown_remaining_seconds{api="linkedin",limit="app-day"} 90`,
		`quotabroker_quota_limit_units{api="linkedin",limit="app-day",unit="points"} 100`,
		`quotabroker_quota_remaining_units{api="linkedin",limit="app-day",unit="points"} 40`,
		`quotabroker_quota_used_units{api="linkedin",limit="app-day",unit="points"} 60`,
		`quotabroker_permits_granted_total{api="linkedin",limit="app-day"} 1`,
		`quotabroker_permits_settled_total{api="linkedin",limit="app-day"} 2`,
		`quotabroker_permits_released_total{api="linkedin",limit="app-day"} 3`,
		`quotabroker_permits_lapsed_total{api="linkedin",limit="app-day"} 4`,
		`quotabroker_probes_total{api="linkedin",limit="app-day"} 5`,
		`quotabroker_cooldowns_total{api="linkedin",limit="app-day"} 6`,
		`quotabroker_refusals_total{api="linkedin",attribution="predicted",limit="app-day"} 8`,
		`quotabroker_refusals_total{api="linkedin",attribution="said",limit="app-day"} 7`,
		`quotabroker_refusals_total{api="linkedin",attribution="unattributed",limit="app-day"} 9`,
		`quotabroker_refusals_total{api="linkedin",attribution="upstream",limit="app-day"} 10`,
		`quotabroker_denials_total{api="linkedin",limit="app-day",reason="PROBING"} 0`,
		`quotabroker_denials_total{api="linkedin",limit="app-day",reason="QUOTA_EXHAUSTED"} 11`,
		`quotabroker_denials_total{api="linkedin",limit="",reason="TOO_MANY_WAITERS"} 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
}

// exposition is what a collector has to say, as Prometheus reads it.
func exposition(t testing.TB, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

// A histogram of prometheus is cumulative, with the steps of the tally.
func TestHistogram(t *testing.T) {
	l := broker.LimitTotals{LimitID: broker.LimitID{API: "a", Limit: "l"}}
	l.Use.Counts[0], l.Use.Counts[3], l.Use.Counts[len(quota.HistogramBounds)], l.Use.Sum = 1, 2, 4, 5.5
	text := exposition(t, telemetry.NewCollector(fixed{Limits: []broker.LimitTotals{l}}))
	for _, line := range []string{
		`_bucket{api="a",limit="l",le="0"} 1`, `_bucket{api="a",limit="l",le="0.02"} 1`, `_bucket{api="a",limit="l",le="0.05"} 3`,
		`_bucket{api="a",limit="l",le="1"} 3`, `_bucket{api="a",limit="l",le="+Inf"} 7`,
		`_sum{api="a",limit="l"} 5.5`, `_count{api="a",limit="l"} 7`,
	} {
		if line = "quotabroker_window_use_ratio" + line; !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
}

// Nothing is said of a quota that nobody knows.
func TestCollectorOfAnUnknownQuota(t *testing.T) {
	text := exposition(t, telemetry.NewCollector(fixed{Limits: []broker.LimitTotals{{LimitID: broker.LimitID{API: "a", Limit: "quota"}, Buckets: 1}}}))
	if strings.Contains(text, "_units") || strings.Contains(text, "_ratio") || !strings.Contains(text, `quotabroker_buckets{api="a",limit="quota"} 1`) {
		t.Errorf("got\n%s", text)
	}
}
