package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/stats"
)

// TraceOptions say where spans go. What is left out is as the standard OTEL_
// environment variables say.
type TraceOptions struct {
	// OTLP is the collector's gRPC address, host:port.
	OTLP string
	// Plaintext speaks to OTLP without TLS.
	Plaintext bool
	// Sample is the share of the traces that begin here which are sent, 0 to 1; 0
	// is left out. A caller's trace is sent if the caller's is.
	Sample float64
	// Exporter takes the spans instead of a collector; nil for one.
	Exporter sdktrace.SpanExporter
	// Log is told when spans cannot be sent, and when they can again; nil
	// discards it.
	Log *slog.Logger
}

// Traces makes spans of a broker's calls. It is safe for concurrent use.
type Traces struct {
	provider *sdktrace.TracerProvider
}

// TracesInEnvironment reports whether the standard environment variables ask for
// traces over OTLP.
func TracesInEnvironment() bool {
	kind := os.Getenv("OTEL_TRACES_EXPORTER")
	asked := kind == "otlp" || kind == "" &&
		os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")+os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	return asked && !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true")
}

// NewTraces starts to make spans, and to send them in the background: a collector
// that is away or slow holds no call up, its spans are dropped. Stop it by
// [Traces.Stop].
func NewTraces(ctx context.Context, o TraceOptions) (*Traces, error) {
	exporter := o.Exporter
	if exporter == nil {
		var err error
		if exporter, err = otlptracegrpc.New(ctx, o.collector()...); err != nil {
			return nil, err
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// What the environment says of the resource may be wrong in part; the rest
	// is used.
	r, err := resource.New(ctx, resource.WithAttributes(serviceAttributes()...), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		o.Log.Warn("the environment's description of this service is not used in full", "error", err)
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithBatcher(&loggedExporter{SpanExporter: exporter, log: o.Log}),
		sdktrace.WithResource(r),
	}
	if o.Sample > 0 {
		options = append(options, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.Sample))))
	}
	return &Traces{sdktrace.NewTracerProvider(options...)}, nil
}

func (o *TraceOptions) collector() []otlptracegrpc.Option {
	if o.OTLP == "" {
		return nil
	}
	options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(o.OTLP)}
	if o.Plaintext {
		options = append(options, otlptracegrpc.WithInsecure())
	}
	return options
}

func serviceAttributes() []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.String("service.name", "quotabroker")}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		list = append(list, attribute.String("service.version", info.Main.Version))
	}
	return list
}

// Handler makes the spans of a gRPC server's calls: of those that are traced, and
// in the trace of the caller.
func (t *Traces) Handler() stats.Handler {
	return otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(t.provider),
		otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool { return traced(info.FullMethodName) }),
	)
}

// traced reports whether a call of the method is worth a span: a watch lasts for
// days, and health is asked all the time.
func traced(method string) bool {
	switch strings.TrimPrefix(method, "/quotabroker.v1.QuotaBrokerService/") {
	case "AcquirePermit", "ReportOutcome", "ReleasePermit":
		return true
	}
	return false
}

// stopWithin is how long the last spans may take.
const stopWithin = 2 * time.Second

// Stop sends the spans that are left, if the collector takes them within 2 s, and
// ends. There is nothing to stop of nil.
func (t *Traces) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}
