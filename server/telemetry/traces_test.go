package telemetry_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
	"github.com/quotabroker/quotabroker/server/telemetry"
)

// kept is an exporter in memory that forgets nothing when it is shut down.
type kept struct{ *tracetest.InMemoryExporter }

func (kept) Shutdown(context.Context) error { return nil }

// newBroker is a broker of an API with these limits.
func newBroker(t testing.TB, limits ...quota.Limit) *broker.Broker {
	t.Helper()
	auto, _ := dialect.Builtin("auto")
	b, err := broker.New(broker.Config{
		APIs:  map[string]broker.API{"api": {Rules: &quota.Rules{API: "api", Limits: limits}, Dialect: auto}},
		Store: memory.New(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	return b
}

func perMinute(name string, n int64, per quota.Parts) quota.Limit {
	return quota.Limit{
		Name: name, Quota: n, Per: per, Provenance: quota.Configured,
		Window: quota.Window{Kind: quota.Fixed, Period: time.Minute, Aligned: true},
	}
}

// rig is a traced broker behind a gRPC server, and a caller that traces too.
type rig struct {
	t        *testing.T
	exported kept
	traces   *telemetry.Traces
	conn     *grpc.ClientConn
	pb.QuotaBrokerServiceClient
	caller *sdktrace.TracerProvider
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, exported: kept{tracetest.NewInMemoryExporter()}, caller: sdktrace.NewTracerProvider()}
	var err error
	if r.traces, err = telemetry.NewTraces(t.Context(), telemetry.TraceOptions{Exporter: r.exported}); err != nil {
		t.Fatal(err)
	}
	b := telemetry.Broker{Broker: newBroker(t, perMinute("app", 1, quota.Parts{}))}
	s, err := server.New(b, server.Options{Stats: r.traces.Handler()})
	if err != nil {
		t.Fatal(err)
	}
	lis := bufconn.Listen(1 << 16)
	go s.Serve(lis)
	t.Cleanup(func() { s.Stop(context.Background()) })
	r.conn, err = grpc.NewClient("passthrough:///broker.test",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(r.caller), otelgrpc.WithPropagators(propagation.TraceContext{}))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
	r.QuotaBrokerServiceClient = pb.NewQuotaBrokerServiceClient(r.conn)
	return r
}

func ask(wait time.Duration) *pb.AcquirePermitRequest {
	return &pb.AcquirePermitRequest{
		Scope:   &pb.Scope{Api: "api", App: "app-1", User: "secret-user", Endpoint: "GET /x"},
		Caller:  "svc",
		MaxWait: durationpb.New(wait),
	}
}

// spans stops the traces and is all that was sent: a span ends after its call is
// answered.
func (r *rig) spans() tracetest.SpanStubs {
	r.t.Helper()
	synctest.Wait()
	if err := r.traces.Stop(r.t.Context()); err != nil {
		r.t.Error(err)
	}
	return r.exported.GetSpans()
}

// shown is what a span says, as text by key.
func shown(s *tracetest.SpanStub) map[string]string {
	m := map[string]string{}
	for _, a := range s.Attributes {
		m[string(a.Key)] = a.Value.String()
	}
	return m
}

// A call that waits is a span in its caller's trace that says where it waited,
// why, and for how long.
func TestTraceOfAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		held, err := r.AcquirePermit(t.Context(), ask(0))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(3*time.Second, func() {
			r.ReleasePermit(t.Context(), &pb.ReleasePermitRequest{PermitId: held.GetPermit().GetId(), Caller: "svc"})
		})
		ctx, parent := r.caller.Tracer("test").Start(t.Context(), "work")
		if _, err := r.AcquirePermit(ctx, ask(30*time.Second)); err != nil {
			t.Fatal(err)
		}
		parent.End()

		var waited *tracetest.SpanStub
		spans := r.spans()
		for i, s := range spans {
			if s.SpanContext.TraceID() == parent.SpanContext().TraceID() {
				waited = &spans[i]
			}
		}
		if waited == nil {
			t.Fatalf("no span in the caller's trace: %+v", spans)
		}
		if !waited.Parent.IsRemote() || waited.Name != "quotabroker.v1.QuotaBrokerService/AcquirePermit" {
			t.Errorf("got the span %s of %+v", waited.Name, waited.Parent)
		}
		got := shown(waited)
		for key, want := range map[string]string{
			"quotabroker.api": "api", "quotabroker.app": "app-1", "quotabroker.endpoint": "GET /x", "quotabroker.caller": "svc",
			"quotabroker.granted": "true", "quotabroker.waited_seconds": "3",
		} {
			if got[key] != want {
				t.Errorf("%s is %q, want %q", key, got[key], want)
			}
		}
		if len(waited.Events) != 1 || waited.Events[0].Name != "waiting" {
			t.Fatalf("events %+v", waited.Events)
		}
		event := waited.Events[0]
		if !event.Time.Equal(waited.StartTime) || waited.EndTime.Sub(event.Time) != 3*time.Second {
			t.Errorf("it waited from %v, in a span from %v to %v", event.Time, waited.StartTime, waited.EndTime)
		}
		said := map[string]string{}
		for _, a := range event.Attributes {
			said[string(a.Key)] = a.Value.String()
		}
		if said["quotabroker.limit"] != "app" || said["quotabroker.reason"] != "QUOTA_EXHAUSTED" {
			t.Errorf("the event says %v", said)
		}
	})
}

// Denials, reports and releases have spans; watches and health have none, and no
// user is in any.
func TestTraceOfEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		held, err := r.AcquirePermit(t.Context(), ask(0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.AcquirePermit(t.Context(), ask(0)); err == nil {
			t.Fatal("granted twice")
		}
		if _, err := r.ReportOutcome(t.Context(), &pb.ReportOutcomeRequest{
			PermitId: held.GetPermit().GetId(), Caller: "svc", StatusCode: 429,
			Headers: []*pb.Header{{Name: "retry-after", Value: "7"}},
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // a span ends after its call is answered
		r.ReleasePermit(t.Context(), &pb.ReleasePermitRequest{PermitId: "none", Caller: "svc"})
		healthpb.NewHealthClient(r.conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		ctx, cancel := context.WithCancel(t.Context())
		if w, err := r.WatchQuota(ctx, &pb.WatchQuotaRequest{Scope: &pb.Scope{Api: "api"}, Caller: "svc"}); err != nil {
			t.Error(err)
		} else if _, err := w.Recv(); err != nil {
			t.Error(err)
		}
		cancel()

		spans := r.spans()
		var names []string
		for i := range spans {
			names = append(names, strings.TrimPrefix(spans[i].Name, "quotabroker.v1.QuotaBrokerService/"))
			for key, value := range shown(&spans[i]) {
				if strings.Contains(value, "secret-user") || strings.Contains(value, held.GetPermit().GetId()) {
					t.Errorf("%s is %s", key, value)
				}
			}
		}
		if got := strings.Join(names, " then "); got != "AcquirePermit then AcquirePermit then ReportOutcome then ReleasePermit" {
			t.Fatalf("got spans of %s", got)
		}
		denied, reported := shown(&spans[1]), shown(&spans[2])
		if denied["quotabroker.granted"] != "false" || denied["quotabroker.limit"] != "app" || denied["quotabroker.reason"] != "QUOTA_EXHAUSTED" {
			t.Errorf("the denial says %v", denied)
		}
		if reported["http.response.status_code"] != "429" || reported["quotabroker.retry_after_seconds"] == "" {
			t.Errorf("the report says %v", reported)
		}
	})
}

// failing is an exporter that fails when it is told to.
type failing struct {
	sdktrace.SpanExporter
	away atomic.Bool
}

func (f *failing) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	if f.away.Load() {
		return errors.New("nobody there")
	}
	return nil
}

func (f *failing) Shutdown(context.Context) error { return nil }

// A collector that is away is said once, and so is its return.
func TestCollectorAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		f := &failing{}
		f.away.Store(true)
		traces, err := telemetry.NewTraces(t.Context(), telemetry.TraceOptions{
			Exporter: f, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		send := func() {
			h := traces.Handler()
			ctx := h.TagRPC(t.Context(), rpc("ReleasePermit"))
			h.HandleRPC(ctx, ended())
			time.Sleep(6 * time.Second) // longer than a batch waits
		}
		send()
		send()
		f.away.Store(false)
		send()
		send()
		if err := traces.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "nobody there"); n != 1 {
			t.Errorf("it says %d times that the collector is away:\n%s", n, log.String())
		}
		if n := strings.Count(log.String(), "sent again"); n != 1 {
			t.Errorf("it says %d times that it is back:\n%s", n, log.String())
		}
	})
}

// The share of the traces that is sent is as configured; a caller that sends its
// own has the broker's too.
func TestSample(t *testing.T) {
	exported := kept{tracetest.NewInMemoryExporter()}
	traces, err := telemetry.NewTraces(t.Context(), telemetry.TraceOptions{Exporter: exported, Sample: 1e-9})
	if err != nil {
		t.Fatal(err)
	}
	h := traces.Handler()
	call := func(ctx context.Context) { h.HandleRPC(h.TagRPC(ctx, rpc("AcquirePermit")), ended()) }
	for range 100 {
		call(t.Context())
	}
	call(incoming(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	call(incoming(t.Context(), "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00"))
	if err := traces.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	spans := exported.GetSpans()
	if len(spans) != 1 || spans[0].SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("got %d spans: %+v", len(spans), spans)
	}
}

func TestTracesInEnvironment(t *testing.T) {
	names := []string{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"}
	for _, tt := range []struct {
		values []string
		want   bool
	}{
		{[]string{"", "", "", ""}, false},
		{[]string{"otlp", "", "", ""}, true},
		{[]string{"", "http://a:4317", "", ""}, true},
		{[]string{"", "", "http://a:4317", ""}, true},
		{[]string{"none", "http://a:4317", "", ""}, false},
		{[]string{"", "http://a:4317", "", "true"}, false},
		{[]string{"console", "http://a:4317", "", ""}, false},
	} {
		t.Run(strings.Join(tt.values, ","), func(t *testing.T) {
			for i, name := range names {
				t.Setenv(name, tt.values[i])
			}
			if got := telemetry.TracesInEnvironment(); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
