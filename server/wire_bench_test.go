package server_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// BenchmarkWire compares the broker with an echo: a service of the same messages
// on the same library, that answers each request with an answer made before. One
// operation is a permit acquired and reported, at each of the two. They take
// turns of a few milliseconds, so that whatever else the machine does slows both.
//
// The rates are the broker's as shares of the echo's, the median of all turns: 1
// would say that a call costs nothing but its transport.
func BenchmarkWire(b *testing.B) {
	for _, conns := range []int{1, 4} {
		for _, callers := range []int{1, 16, 64, 256} {
			b.Run(fmt.Sprintf("conns=%d/callers=%d", conns, callers), func(b *testing.B) { benchWire(b, conns, callers) })
		}
	}
}

// turn is how many calls each side makes in its turn.
const turn = 256

func benchWire(b *testing.B, conns, callers int) {
	ours := dialAll(b, serveBroker(b), conns)
	sample := sampleOf(b, ours[0])
	echo := dialAll(b, serveEcho(b, sample), conns)
	ids, same := make([]string, turn), make([]string, turn)
	for i := range same {
		same[i] = sample.acquired.GetPermit().GetId()
	}
	var acquires, reports versus
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		n := min(left, turn)
		acquires.add(
			spread(callers, n, func(i int) { ids[i] = acquire(b, ours[i%conns], i) }),
			spread(callers, n, func(i int) { acquire(b, echo[i%conns], i) }))
		reports.add(
			spread(callers, n, func(i int) { report(b, ours[i%conns], ids[i]) }),
			spread(callers, n, func(i int) { report(b, echo[i%conns], same[i]) }))
	}
	acquires.report(b, "acquire")
	reports.report(b, "report")
}

// versus is how long each turn took of the broker and of the echo.
type versus struct {
	ours  time.Duration
	rates []float64
}

func (v *versus) add(ours, echo time.Duration) {
	v.ours += ours
	v.rates = append(v.rates, echo.Seconds()/ours.Seconds())
}

func (v *versus) report(b *testing.B, call string) {
	slices.Sort(v.rates)
	b.ReportMetric(float64(v.ours.Nanoseconds())/float64(b.N), "ns/"+call)
	b.ReportMetric(v.rates[len(v.rates)/2], call+"-rate")
}

// spread makes n calls, so many at a time, and returns how long it took.
func spread(callers, n int, call func(i int)) time.Duration {
	var wait sync.WaitGroup
	began := time.Now()
	for first := range min(callers, n) {
		wait.Go(func() {
			for i := first; i < n; i += callers {
				call(i)
			}
		})
	}
	wait.Wait()
	return time.Since(began)
}

// Of two limits, on each of which a call counts. The answers tell of the first.
const benchQuota = 1_000_000_000

// acquire asks as a client does, for one of a few hundred users.
func acquire(b *testing.B, c pb.QuotaBrokerServiceClient, i int) (id string) {
	a, err := c.AcquirePermit(context.Background(), &pb.AcquirePermitRequest{
		Scope: &pb.Scope{
			Api: "linkedin", App: "86vhj2q81example", User: fmt.Sprintf("urn:li:person:%03d", i), Endpoint: "GET /v2/connections",
		},
		Caller: "importer", MaxWait: durationpb.New(30 * time.Second), RequestId: fmt.Sprintf("9b2c1f0e-4d6a-4f6e-8a53-%012x", i),
	})
	if err != nil {
		b.Error(err)
	}
	return a.GetPermit().GetId()
}

// report says what came back, with the fields that the client forwards.
func report(b *testing.B, c pb.QuotaBrokerServiceClient, id string) *pb.ReportOutcomeResponse {
	r, err := c.ReportOutcome(context.Background(), &pb.ReportOutcomeRequest{
		PermitId: id, Caller: "importer", StatusCode: 200,
		Headers: []*pb.Header{
			{Name: "X-Ratelimit-Limit", Value: fmt.Sprint(benchQuota)},
			{Name: "X-Ratelimit-Remaining", Value: fmt.Sprint(benchQuota - 1000)},
			{Name: "X-Ratelimit-Reset", Value: "3600"},
		},
		SinceSent: durationpb.New(83 * time.Millisecond), SinceReceived: durationpb.New(211 * time.Microsecond),
	})
	if err != nil {
		b.Error(err)
	}
	return r
}

// sample is one answer of each kind.
type sample struct {
	pb.UnimplementedQuotaBrokerServiceServer
	acquired *pb.AcquirePermitResponse
	reported *pb.ReportOutcomeResponse
}

// sampleOf asks a broker for its answers.
func sampleOf(b *testing.B, c pb.QuotaBrokerServiceClient) *sample {
	acquired, err := c.AcquirePermit(context.Background(), &pb.AcquirePermitRequest{
		Caller: "importer",
		Scope:  &pb.Scope{Api: "linkedin", App: "86vhj2q81example", User: "urn:li:person:001", Endpoint: "GET /v2/connections"},
	})
	if err != nil || len(acquired.GetQuotas()) != 2 {
		b.Fatalf("got %v, %v, want a permit and two quotas", acquired, err)
	}
	return &sample{acquired: acquired, reported: report(b, c, acquired.GetPermit().GetId())}
}

// AcquirePermit answers what was answered once.
func (s *sample) AcquirePermit(context.Context, *pb.AcquirePermitRequest) (*pb.AcquirePermitResponse, error) {
	return s.acquired, nil
}

// ReportOutcome answers what was answered once.
func (s *sample) ReportOutcome(context.Context, *pb.ReportOutcomeRequest) (*pb.ReportOutcomeResponse, error) {
	return s.reported, nil
}

// serveEcho serves a sample, within the limits of a server and through no
// interceptor, and returns where.
func serveEcho(b *testing.B, s *sample) string {
	lis := listenTCP(b)
	g := grpc.NewServer(server.Limits()...)
	pb.RegisterQuotaBrokerServiceServer(g, s)
	serve(b, func() error { return g.Serve(lis) }, g.Stop)
	return lis.Addr().String()
}

// serveBroker serves a broker with everything behind it as the command has it:
// two limits, a log at info, metrics.
func serveBroker(b *testing.B) string {
	linkedin, ok := dialect.Builtin("linkedin")
	if !ok {
		b.Fatal("there is no dialect linkedin")
	}
	day := quota.Window{Kind: quota.Calendar, Unit: quota.Day}
	limits := []quota.Limit{
		{Name: "app-day", Per: quota.Parts{Endpoint: true}, Quota: benchQuota, Window: day, Provenance: quota.Configured},
		{Name: "member-day", Per: quota.Parts{User: true, Endpoint: true}, Quota: benchQuota / 10, Window: day, Provenance: quota.Configured},
	}
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // what is logged must be written, as it is in a broker that runs
	behind, err := broker.New(broker.Config{
		Store: memory.New(), Log: log,
		APIs: map[string]broker.API{"linkedin": {Rules: &quota.Rules{API: "linkedin", Limits: limits}, Dialect: linkedin}},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = behind.Close(context.Background()) }) // a benchmark's end
	s, err := server.New(behind, server.Options{Log: log, Metrics: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	lis := listenTCP(b)
	serve(b, func() error { return s.Serve(lis) }, func() { _ = s.Stop(context.Background()) })
	return lis.Addr().String()
}

func listenTCP(b *testing.B) net.Listener {
	var c net.ListenConfig
	lis, err := c.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return lis
}

// serve runs a server until the benchmark ends.
func serve(b *testing.B, run func() error, stop func()) {
	done := make(chan error, 1)
	go func() { done <- run() }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
}

func dialAll(b *testing.B, address string, conns int) []pb.QuotaBrokerServiceClient {
	var clients []pb.QuotaBrokerServiceClient
	for range conns {
		c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() }) // a benchmark's end
		clients = append(clients, newClient(c))
	}
	return clients
}
