package main

import "github.com/prometheus/client_golang/prometheus"

// reloadMetrics say how the configuration file fared.
type reloadMetrics struct {
	attempts   *prometheus.CounterVec
	successful prometheus.Gauge
	success    prometheus.Gauge
	hash       prometheus.Gauge
}

// The results of an attempt.
const (
	reloadApplied   = "applied"
	reloadUnchanged = "unchanged"
	reloadFailed    = "failed"
)

// newReloadMetrics begin with the file as the process was started with it.
func newReloadMetrics(sum uint64) *reloadMetrics {
	m := &reloadMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "quotabroker_config_reload_attempts_total",
			Help: "How often the configuration file was read again, by result: applied, unchanged or failed.",
		}, []string{"result"}),
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quotabroker_config_reload_successful",
			Help: "Whether the configuration file was good when it was last read: 1 or 0.",
		}),
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quotabroker_config_reload_last_success_timestamp_seconds",
			Help: "When the configuration file was last read and good, in Unix seconds.",
		}),
		hash: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "quotabroker_config_hash",
			Help: "The first 48 bits of the SHA-256 of the configuration file that was last read and good.",
		}),
	}
	for _, result := range []string{reloadApplied, reloadUnchanged, reloadFailed} {
		m.attempts.WithLabelValues(result)
	}
	m.good(sum)
	return m
}

func (m *reloadMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.attempts, m.successful, m.success, m.hash}
}

func (m *reloadMetrics) good(sum uint64) {
	m.successful.Set(1)
	m.success.SetToCurrentTime()
	m.hash.Set(float64(sum))
}

func (m *reloadMetrics) succeeded(sum uint64, changed bool) {
	result := reloadUnchanged
	if changed {
		result = reloadApplied
	}
	m.attempts.WithLabelValues(result).Inc()
	m.good(sum)
}

func (m *reloadMetrics) failed() {
	m.attempts.WithLabelValues(reloadFailed).Inc()
	m.successful.Set(0)
}
