package telemetry_test

import (
	"context"
	"net"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/telemetry"
)

// An acquire over gRPC in memory that is denied at once: without traces, as the
// server is when nobody asks for them; with traces of which none is sampled; with
// each sampled.
func BenchmarkAcquire(b *testing.B) {
	for _, c := range []struct {
		name   string
		traced bool
		sample float64
	}{{"off", false, 0}, {"sample=1e-9", true, 1e-9}, {"sample=1", true, 1}} {
		b.Run(c.name, func(b *testing.B) {
			var options server.Options
			var use server.Broker = newBroker(b, perMinute("app", 1, quota.Parts{}))
			if c.traced {
				traces, err := telemetry.NewTraces(b.Context(), telemetry.TraceOptions{Exporter: tracetest.NewNoopExporter(), Sample: c.sample})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { traces.Stop(context.Background()) })
				options.Stats = traces.Handler()
				use = telemetry.Broker{Broker: newBroker(b, perMinute("app", 1, quota.Parts{}))}
			}
			benchAcquire(b, use, options)
		})
	}
}

func benchAcquire(b *testing.B, use server.Broker, options server.Options) {
	s, err := server.New(use, options)
	if err != nil {
		b.Fatal(err)
	}
	lis := bufconn.Listen(1 << 16)
	go s.Serve(lis)
	b.Cleanup(func() { s.Stop(context.Background()) })
	conn, err := grpc.NewClient("passthrough:///broker.test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	c := pb.NewQuotaBrokerServiceClient(conn)
	c.AcquirePermit(b.Context(), ask(0)) // all that there is
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.AcquirePermit(b.Context(), ask(0)); err == nil {
			b.Fatal("granted")
		}
	}
}
