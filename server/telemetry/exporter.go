package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// loggedExporter says once that spans cannot be sent, and once that they can
// again. Safe for concurrent use.
type loggedExporter struct {
	sdktrace.SpanExporter
	log  *slog.Logger
	away atomic.Bool
}

// ExportSpans implements [sdktrace.SpanExporter]. What cannot be sent is lost.
func (e *loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch was := e.away.Swap(err != nil); {
	case err != nil && !was:
		e.log.Warn("traces cannot be sent; those of calls until they can are lost", "error", err)
	case err == nil && was:
		e.log.Info("traces are sent again")
	}
	return nil
}
