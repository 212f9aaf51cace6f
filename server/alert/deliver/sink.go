package deliver

import (
	"context"
	"log/slog"
	"time"

	"github.com/quotabroker/quotabroker/server/alert"
)

// Sink takes notices somewhere. Its methods are called by one goroutine.
type Sink interface {
	// Name tells it apart from the others in logs; it has no secrets.
	Name() string
	// Deliver hands one notice over. The error is a *[DeliveryError], or counts as
	// one that is worth another try.
	Deliver(ctx context.Context, n *alert.Notice) error
	// Refresh is how often an alert that still fires has to be told again; 0
	// means never.
	Refresh() time.Duration
	// Close lets go of what it holds, after the last delivery.
	Close()
}

// DeliveryError is why a notice was not taken.
type DeliveryError struct {
	// Reason says why, without secrets.
	Reason string
	// Final says that trying again is in vain.
	Final bool
	// After is how long the receiver wants to be left alone; 0 when it did not
	// say.
	After time.Duration
}

// Error is the reason.
func (f *DeliveryError) Error() string { return f.Reason }

// logSink writes notices to the log.
type logSink struct{ log *slog.Logger }

// NewLog is a sink that writes to the log: a warning when an alert fires, an
// information when it is over.
func NewLog(log *slog.Logger) Sink { return logSink{log} }

func (logSink) Name() string           { return "log" }
func (logSink) Refresh() time.Duration { return 0 }
func (logSink) Close()                 {}

func (s logSink) Deliver(ctx context.Context, n *alert.Notice) error {
	level := slog.LevelInfo
	if n.Stage != alert.Resolved && n.Rule.Severity() != "info" {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(ctx, level, "quota alert "+n.Stage.String(),
		slog.String("rule", n.Rule.String()),
		slog.String("summary", n.Summary),
		slog.String("api", n.Status.Key.API),
		slog.String("app", n.Status.Key.App),
		slog.String("limit", n.Status.Limit),
		slog.String("alert", n.Alert),
	)
	return nil
}
