package wire

import (
	"context"
	"net"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/quotabroker/quotabroker/client"
)

// collected is a collector that keeps the names of the spans it is sent.
type collected struct {
	collector.UnimplementedTraceServiceServer
	names chan string
}

func (c *collected) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.names <- span.GetName()
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// TestTracesReachTheCollector checks that what the configuration names is sent
// the spans, the last of them when the server stops.
func TestTracesReachTheCollector(t *testing.T) {
	defer goleak.VerifyNone(t)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, s := &collected{names: make(chan string, 10)}, grpc.NewServer()
	collector.RegisterTraceServiceServer(s, c)
	go s.Serve(lis)
	defer s.Stop()

	link, err := Local(parse(t, "store: {kind: memory}\ntraces: {otlp: \""+lis.Addr().String()+"\"}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := link.Client.Acquire(t.Context(), client.Scope{API: "any"}); err != nil {
		t.Error(err)
	}
	if err := link.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if len(c.names) == 0 {
		t.Fatal("nothing was sent")
	}
	if name := <-c.names; name != "quotabroker.v1.QuotaBrokerService/AcquirePermit" {
		t.Errorf("got a span of %s", name)
	}
}
