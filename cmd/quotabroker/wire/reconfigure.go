package wire

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/quotabroker/quotabroker/server/config"
)

// Reconfigure replaces the APIs of a server that runs, and whether it serves
// others; the rest of the configuration it was given stays. What was counted stays
// too. The error names the field that cannot be used, and nothing has changed then.
func (s *Server) Reconfigure(c *config.Config) error {
	apis, err := listed(c)
	if err != nil {
		return err
	}
	if err := s.broker.Reconfigure(apis, unlisted(c)); err != nil {
		return err
	}
	if s.recorder != nil {
		s.recorder.Configured(apis)
	}
	return nil
}

// Register adds metrics to the server's. It panics for a name that is taken.
func (s *Server) Register(metrics ...prometheus.Collector) { s.metrics.MustRegister(metrics...) }

// Broker is the broker that the link reaches, nil when it is in another process.
func (l *Link) Broker() *Server { return l.broker }
