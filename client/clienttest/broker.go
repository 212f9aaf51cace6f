package clienttest

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/quotabroker/quotabroker/client"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Broker is a scripted broker. It is safe for concurrent use. Make one with
// [NewBroker].
type Broker struct {
	server *grpc.Server
	conn   *grpc.ClientConn
	served chan struct{}

	mu         sync.Mutex
	changed    chan struct{} // closed, and replaced, when the script changes
	away       bool
	lose       int
	rules      []rule
	advice     map[int]client.Retry
	template   *pb.Permit // what permits are made of
	generation uint64
	grants     int
	permits    map[string]*permit // those that are out
	requests   map[string]string  // the permit of each request id
	watchers   map[*watcher]struct{}
	acquires   []*pb.AcquirePermitRequest
	reports    []*pb.ReportOutcomeRequest
	releases   []*pb.ReleasePermitRequest
}

// NewBroker starts a broker that grants everything: permits that may be sent
// within 5 s, and ask for the headers "x-ratelimit-*" and "retry-after" and for
// the bodies of errors.
func NewBroker() *Broker {
	b := &Broker{
		server:   grpc.NewServer(),
		served:   make(chan struct{}),
		changed:  make(chan struct{}),
		advice:   map[int]client.Retry{},
		template: &pb.Permit{},
		permits:  map[string]*permit{},
		requests: map[string]string{},
		watchers: map[*watcher]struct{}{},
	}
	b.SendWithin(5 * time.Second)
	b.Ask(pb.ReportBody_REPORT_BODY_ON_ERROR, "x-ratelimit-*", "retry-after")
	listener := bufconn.Listen(1 << 16)
	pb.RegisterQuotaBrokerServiceServer(b.server, &service{broker: b})
	go func() {
		defer close(b.served)
		_ = b.server.Serve(listener) // ends by Close
	}()
	b.conn = connect(listener)
	return b
}

// connect makes a connection to a listener in memory. Nothing is dialled yet, so
// there is nothing that could fail.
func connect(l *bufconn.Listener) *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///clienttest",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic("clienttest: " + err.Error())
	}
	return conn
}

// Conn is the connection to the broker. Close closes it.
func (b *Broker) Conn() *grpc.ClientConn { return b.conn }

// Close ends every call and stops the broker. Close the clients before it.
func (b *Broker) Close() {
	_ = b.conn.Close() // it is in memory; nothing is lost
	b.server.Stop()
	<-b.served
}

// Acquires is what the broker was asked, in order, refused or not.
func (b *Broker) Acquires() []*pb.AcquirePermitRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.acquires)
}

// Reports is what was reported, in order.
func (b *Broker) Reports() []*pb.ReportOutcomeRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.reports)
}

// Releases is what was given back, in order.
func (b *Broker) Releases() []*pb.ReleasePermitRequest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.releases)
}

// Grants is how many permits the broker made. A retried request that was granted
// already makes none.
func (b *Broker) Grants() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.grants
}

// Outstanding is the ids of the permits that have neither been reported nor
// released, sorted. A permit that lapsed is among them.
func (b *Broker) Outstanding() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.permits))
}

// Watches is how many streams follow revocations.
func (b *Broker) Watches() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.watchers)
}
