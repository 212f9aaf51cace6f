package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Broker is a broker that writes what it decides into the span of the call. It is
// safe for concurrent use.
type Broker struct {
	*broker.Broker
}

// Acquire decides as the broker does, and writes down what was decided, why, and
// where the call waited.
func (b Broker) Acquire(ctx context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return b.Broker.Acquire(ctx, r)
	}
	began := time.Now()
	span.SetAttributes(scopeAttributes(r.Scope, r.Caller)...)
	a, err := b.Broker.Acquire(ctx, r)
	for _, s := range a.Stands {
		span.AddEvent("waiting", trace.WithTimestamp(began.Add(s.After)), trace.WithAttributes(
			attribute.String("quotabroker.limit", s.Limit),
			attribute.String("quotabroker.reason", s.Reason),
		))
	}
	span.SetAttributes(attribute.Float64("quotabroker.waited_seconds", a.Waited.Seconds()))
	if err == nil {
		span.SetAttributes(decisionAttributes(&a)...)
	}
	return a, err
}

// Report reports as the broker does, and writes down what came back and what was
// advised.
func (b Broker) Report(ctx context.Context, r broker.ReportRequest) (broker.Reported, error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return b.Broker.Report(ctx, r)
	}
	reported, err := b.Broker.Report(ctx, r)
	span.SetAttributes(scopeAttributes(r.Scope, r.Caller)...)
	if r.Response.Status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", r.Response.Status))
	}
	if retry := reported.Retry; retry.Advised {
		// The reason is the upstream's own words, which may name a user.
		span.SetAttributes(attribute.Float64("quotabroker.retry_after_seconds", retry.After.Seconds()))
	}
	return reported, err
}

// scopeAttributes is whose call it is, as far as that is told: never the user.
func scopeAttributes(s quota.Scope, caller string) []attribute.KeyValue {
	var list []attribute.KeyValue
	for _, part := range []struct{ key, value string }{
		{"quotabroker.api", s.API}, {"quotabroker.app", s.App}, {"quotabroker.endpoint", s.Endpoint}, {"quotabroker.caller", caller},
	} {
		if part.value != "" {
			list = append(list, attribute.String(part.key, part.value))
		}
	}
	return list
}

func decisionAttributes(a *broker.Acquired) []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.Bool("quotabroker.granted", a.Denied == nil)}
	if d := a.Denied; d != nil {
		list = append(list,
			attribute.String("quotabroker.limit", d.Bucket.Limit),
			attribute.String("quotabroker.reason", d.Reason),
			attribute.Float64("quotabroker.retry_after_seconds", d.RetryAfter.Seconds()),
		)
	}
	return list
}
