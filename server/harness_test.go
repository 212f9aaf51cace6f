package server_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// fake is a broker of functions; one that is nil must not be called.
type fake struct {
	t       testing.TB
	acquire func(context.Context, broker.AcquireRequest) (broker.Acquired, error)
	report  func(context.Context, broker.ReportRequest) (broker.Reported, error)
	release func(ctx context.Context, caller, permitID string) error
	watch   func(quota.Scope) (*broker.Watcher, error)
	drain   func()
	list    func(broker.ListRequest) (broker.Listing, error)
	explain func(context.Context, broker.ExplainRequest) (broker.Explained, error)
	scores  func(api string) []broker.Score
}

func (f *fake) Acquire(ctx context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
	if f.acquire == nil {
		f.t.Errorf("the broker was asked to acquire: %+v", r)
		return broker.Acquired{}, nil
	}
	return f.acquire(ctx, r)
}

func (f *fake) Report(ctx context.Context, r broker.ReportRequest) (broker.Reported, error) {
	if f.report == nil {
		f.t.Errorf("the broker was given a report: %+v", r)
		return broker.Reported{}, nil
	}
	return f.report(ctx, r)
}

func (f *fake) Release(ctx context.Context, caller, permitID string) error {
	if f.release == nil {
		f.t.Errorf("the broker was asked to release %q for %q", permitID, caller)
		return nil
	}
	return f.release(ctx, caller, permitID)
}

func (f *fake) Watch(pattern quota.Scope) (*broker.Watcher, error) {
	if f.watch == nil {
		f.t.Errorf("the broker was asked to watch %v", pattern)
		return nil, broker.ErrClosed
	}
	return f.watch(pattern)
}

func (f *fake) Drain() {
	if f.drain != nil {
		f.drain()
	}
}

func (f *fake) List(r broker.ListRequest) (broker.Listing, error) {
	if f.list == nil {
		f.t.Errorf("the broker was asked to list: %+v", r)
		return broker.Listing{}, nil
	}
	return f.list(r)
}

func (f *fake) Explain(ctx context.Context, r broker.ExplainRequest) (broker.Explained, error) {
	if f.explain == nil {
		f.t.Errorf("the broker was asked to explain: %+v", r)
		return broker.Explained{}, nil
	}
	return f.explain(ctx, r)
}

func (f *fake) Scores(api string) []broker.Score {
	if f.scores == nil {
		f.t.Errorf("the broker was asked for the score of %q", api)
		return nil
	}
	return f.scores(api)
}

// rig is a server in memory; it lives and dies in the test's bubble.
type rig struct {
	t      testing.TB
	server *server.Server
	lis    *bufconn.Listener
	served chan error
}

// start serves a broker in memory, under an address that is local unless
// another is given.
func start(t testing.TB, b server.Broker, o server.Options, addr ...net.Addr) *rig {
	t.Helper()
	s, err := server.New(b, o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, server: s, lis: bufconn.Listen(1 << 20), served: make(chan error, 1)}
	var lis net.Listener = r.lis
	if len(addr) > 0 {
		lis = elsewhere{r.lis, addr[0]}
	}
	go func() { r.served <- s.Serve(lis) }()
	t.Cleanup(func() {
		s.Stop(context.Background())
		if err := <-r.served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return r
}

// elsewhere is a listener that claims another address.
type elsewhere struct {
	net.Listener
	addr net.Addr
}

func (e elsewhere) Addr() net.Addr { return e.addr }

// dial opens a connection of its own, in plaintext unless told otherwise.
func (r *rig) dial(opts ...grpc.DialOption) *grpc.ClientConn {
	r.t.Helper()
	opts = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.lis.DialContext(ctx) }),
	}, opts...)
	c, err := grpc.NewClient("passthrough:///broker.test", opts...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

func (r *rig) client(creds ...credentials.TransportCredentials) pb.QuotaBrokerServiceClient {
	r.t.Helper()
	var opts []grpc.DialOption
	for _, c := range creds {
		opts = append(opts, grpc.WithTransportCredentials(c))
	}
	return newClient(r.dial(opts...))
}

func newClient(c *grpc.ClientConn) pb.QuotaBrokerServiceClient {
	return pb.NewQuotaBrokerServiceClient(c)
}

// ownedBy is a message of every RPC that a caller owns something by.
func ownedBy(caller string) []proto.Message {
	acquire := ask()
	acquire.Caller = caller
	return []proto.Message{
		acquire,
		&pb.ReportOutcomeRequest{PermitId: "p", Caller: caller},
		&pb.ReleasePermitRequest{PermitId: "p", Caller: caller},
	}
}

// grant allows whatever is asked.
func grant(context.Context, broker.AcquireRequest) (broker.Acquired, error) {
	return broker.Acquired{Permit: broker.Permit{ID: "p1"}}, nil
}

// ask is the least that can be asked for.
func ask() *pb.AcquirePermitRequest {
	return &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "linkedin"}}
}

// detail is the first detail of a type that an error has.
func detail[T any](err error) (found T, ok bool) {
	for _, d := range status.Convert(err).Details() {
		if found, ok = d.(T); ok {
			return found, true
		}
	}
	return found, false
}

// fields are the fields that an error complains of.
func fields(err error) []string {
	bad, _ := detail[*errdetails.BadRequest](err)
	var names []string
	for _, v := range bad.GetFieldViolations() {
		names = append(names, v.GetField())
	}
	return names
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Fatalf("code %v, want %v (%v)", got, want, err)
	}
}

// buffer is a log that is written and read at once.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
