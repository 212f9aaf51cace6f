package recorder

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are of lines, by what became of them.
type counters struct{ written, dropped, failed prometheus.Counter }

func newCounters() counters {
	lost := func(reason string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Name:        "quotabroker_recording_lost_lines_total",
			Help:        "Lines that are missing from the recording: queue_full when the disk was slower than the calls, write_failed when it refused them.",
			ConstLabels: prometheus.Labels{"reason": reason},
		})
	}
	return counters{
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "quotabroker_recording_written_lines_total",
			Help: "Lines that were written to the recording.",
		}),
		dropped: lost("queue_full"),
		failed:  lost("write_failed"),
	}
}

func (c *counters) register(r prometheus.Registerer) error {
	return errors.Join(r.Register(c.written), r.Register(c.dropped), r.Register(c.failed))
}
