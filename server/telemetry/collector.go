package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Collector is the metrics of a broker's quotas. It keeps nothing itself: each
// collection asks the broker. It is safe for concurrent use.
type Collector struct {
	totals func() broker.Totals

	applications, overdue *prometheus.Desc
	// limits are the metrics that every limit has, units those of limits whose
	// quota is known.
	limits, units   []metric
	waiting         metric
	denied, refused *prometheus.Desc
	use, miss       *prometheus.Desc
}

// metric is one number of a limit.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*broker.LimitTotals) float64
}

// Totaler is what a collector needs of a [broker.Broker]. It must be safe for
// concurrent use.
type Totaler interface {
	// Totals adds up all that the broker knows, by limit.
	Totals() broker.Totals
}

// NewCollector makes the collector of a broker.
func NewCollector(b Totaler) *Collector {
	return &Collector{
		totals:       b.Totals,
		applications: describe("applications", "Applications of which this broker keeps the state."),
		overdue:      describe("store_overdue_applications", "Applications to which the store owes an answer for longer than any caller waits for it."),
		limits:       limitMetrics(),
		units:        unitMetrics(),
		waiting:      gauge("waiting_callers", "Callers that wait for a permit; without a limit those that wait for the store.", func(l *broker.LimitTotals) int64 { return l.Waiting }),
		denied:       describe("denials_total", "Callers that were told no, by reason and by the limit that decided.", "api", "limit", "reason"),
		refused:      describe("refusals_total", "Refusals by the upstream, such as a 429, by how they were put down to a limit.", "api", "limit", "attribution"),
		use:          describe("window_use_ratio", "Share of the quota that was used, at the end of each window of each bucket.", "api", "limit"),
		miss:         describe("model_error_ratio", "How far an answer lay outside what the model held possible, as a share of the quota.", "api", "limit"),
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("quotabroker_"+name, help, labels, nil)
}

func gauge(name, help string, of func(*broker.LimitTotals) int64, labels ...string) metric {
	return metric{
		describe(name, help, append([]string{"api", "limit"}, labels...)...), prometheus.GaugeValue,
		func(l *broker.LimitTotals) float64 { return float64(of(l)) },
	}
}

func counter(name, help string, of func(*broker.LimitTotals) uint64) metric {
	return metric{
		describe(name, help, "api", "limit"), prometheus.CounterValue,
		func(l *broker.LimitTotals) float64 { return float64(of(l)) },
	}
}

func limitMetrics() []metric {
	type limit = *broker.LimitTotals
	cooldown := describe("cooldown_remaining_seconds", "Time until the last of the cool-downs ends; 0 when there is none.", "api", "limit")
	return []metric{
		gauge("buckets", "Buckets that are kept now.", func(l limit) int64 { return l.Buckets }),
		gauge("cooling_buckets", "Buckets that are closed until an instant.", func(l limit) int64 { return l.Cooling }),
		gauge("outstanding_permits", "Permits that are granted and not settled.", func(l limit) int64 { return l.Outstanding }),
		{cooldown, prometheus.GaugeValue, func(l limit) float64 { return l.CoolAfter.Seconds() }},
		counter("permits_granted_total", "Permits that were granted.", func(l limit) uint64 { return l.Granted }),
		counter("permits_settled_total", "Permits that ended by a report.", func(l limit) uint64 { return l.Settled }),
		counter("permits_released_total", "Permits that were given back.", func(l limit) uint64 { return l.Released }),
		counter("permits_lapsed_total", "Permits that nobody reported in time.", func(l limit) uint64 { return l.Lapsed }),
		counter("probes_total", "Permits that were granted only to see what the upstream says.", func(l limit) uint64 { return l.Probes }),
		counter("cooldowns_total", "Cool-downs that began.", func(l limit) uint64 { return l.Cooldowns }),
	}
}

func unitMetrics() []metric {
	type limit = *broker.LimitTotals
	const tightest = " in the tightest bucket: the one with the smallest share of its quota remaining."
	return []metric{
		gauge("quota_limit_units", "Quota of a window"+tightest, func(l limit) int64 { return l.Tightest.Quota }, "unit"),
		gauge("quota_remaining_units", "Units that can still be granted"+tightest, func(l limit) int64 { return l.Tightest.Remaining }, "unit"),
		gauge("quota_used_units", "Units that the window has lost"+tightest, func(l limit) int64 { return l.Tightest.Used }, "unit"),
		gauge("quota_others_units", "Units of the open windows of all buckets that the upstream counted and that were not sent with a permit.", func(l limit) int64 { return l.Others }, "unit"),
	}
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.applications, c.overdue, c.waiting.desc, c.denied, c.refused, c.use, c.miss} {
		to <- d
	}
	for _, m := range slices.Concat(c.limits, c.units) {
		to <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	t := c.totals()
	to <- prometheus.MustNewConstMetric(c.applications, prometheus.GaugeValue, float64(t.Applications))
	to <- prometheus.MustNewConstMetric(c.overdue, prometheus.GaugeValue, float64(t.Overdue))
	for i := range t.Limits {
		c.collect(to, &t.Limits[i])
	}
}

// collect is the metrics of one limit.
func (c *Collector) collect(to chan<- prometheus.Metric, l *broker.LimitTotals) {
	c.waiting.send(to, l, l.API, l.Limit)
	for reason, n := range l.Denied {
		to <- prometheus.MustNewConstMetric(c.denied, prometheus.CounterValue, float64(n), l.API, l.Limit, reason)
	}
	if l.Limit == "" {
		return
	}
	for _, m := range c.limits {
		m.send(to, l, l.API, l.Limit)
	}
	for why, n := range l.Refused {
		to <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(n), l.API, l.Limit, quota.Attribution(why).String())
	}
	known := l.Tightest.Quota > 0
	if known {
		for _, m := range c.units {
			m.send(to, l, l.API, l.Limit, l.Tightest.Unit)
		}
	}
	histogram(to, c.use, known, &l.Use, l)
	histogram(to, c.miss, known, &l.Error, l)
}

func (m metric) send(to chan<- prometheus.Metric, l *broker.LimitTotals, labels ...string) {
	to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(l), labels...)
}

// histogram sends what was counted, and that nothing was of a limit whose quota
// is known.
func histogram(to chan<- prometheus.Metric, d *prometheus.Desc, known bool, h *quota.Histogram, l *broker.LimitTotals) {
	steps, n := make(map[float64]uint64, len(quota.HistogramBounds)), uint64(0)
	for i, bound := range quota.HistogramBounds {
		n += h.Counts[i]
		steps[bound] = n
	}
	n += h.Counts[len(quota.HistogramBounds)]
	if known || n > 0 {
		to <- prometheus.MustNewConstHistogram(d, n, h.Sum, steps, l.API, l.Limit)
	}
}
