package wire

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/telemetry"
)

// newMetrics are the metrics of this process and of a broker's quotas; the gRPC
// server adds its own.
func newMetrics(b *broker.Broker) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewBuildInfoCollector(),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		telemetry.NewCollector(b),
	)
	return r
}

// trace makes spans of the calls of a broker, where the configuration or the
// environment asks for them. Otherwise the traces are nil, and the broker is as
// it was given.
func trace(b *broker.Broker, c *config.Config, log *slog.Logger, o *server.Options) (server.Broker, *telemetry.Traces, error) {
	if c.Traces == nil && !telemetry.TracesInEnvironment() {
		return b, nil, nil
	}
	options := telemetry.TraceOptions{Log: log}
	if t := c.Traces; t != nil {
		options.OTLP, options.Plaintext, options.Sample = t.OTLP, t.Plaintext, t.Sample
	}
	traces, err := telemetry.NewTraces(context.Background(), options)
	if err != nil {
		return nil, nil, fmt.Errorf("traces: %w: correct traces.otlp, or the OTEL_ environment variables", err)
	}
	o.Stats = traces.Handler()
	return telemetry.Broker{Broker: b}, traces, nil
}
