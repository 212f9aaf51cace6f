package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Broker is what the server needs of the use cases. [broker.Broker] is it; see
// there what each method promises. It must be safe for concurrent use.
type Broker interface {
	// Acquire decides on a call, and waits for it if it must and may.
	Acquire(ctx context.Context, r broker.AcquireRequest) (broker.Acquired, error)
	// Report ends a permit by what came back.
	Report(ctx context.Context, r broker.ReportRequest) (broker.Reported, error)
	// Release ends a permit with which nothing was sent.
	Release(ctx context.Context, caller, permitID string) error
	// Watch starts to watch the buckets that match a pattern.
	Watch(pattern quota.Scope) (*broker.Watcher, error)
	// Drain ends every wait and watch with [broker.ErrClosed], and refuses new
	// ones.
	Drain()
	Admin
}

// Options are what a server may be told. The zero value serves plaintext, on
// loopback only, and keeps neither logs nor metrics.
type Options struct {
	// TLS are the server's certificates; the zero value means plaintext.
	TLS TLS
	// Metrics is where the server registers its metrics; nil keeps none.
	Metrics prometheus.Registerer
	// Stats sees every call, before and after all else that is done for it; nil for
	// none.
	Stats stats.Handler
	// Log receives one line for each call: routine at debug, the callers'
	// mistakes at info, the broker's own troubles at warn and error. Nil
	// discards it.
	Log *slog.Logger
}

// Server serves the contract on one listener. It is safe for concurrent use.
type Server struct {
	broker  Broker
	grpc    *grpc.Server
	health  *health.Server
	secure  bool
	serving atomic.Bool
}

// New makes a server of a broker, which it drains at [Server.Stop] and does not
// close. It returns an error for certificates that cannot be used, naming the
// field and the file, and for metrics that are registered already.
func New(b Broker, o Options) (*Server, error) {
	s := &Server{broker: b, health: health.NewServer(), secure: o.TLS != (TLS{})}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	options := append(limits(), grpc.ForceServerCodecV2(newCodec()))
	if s.secure {
		c, err := o.TLS.load()
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.Creds(credentials.NewTLS(c)))
	}
	if o.Stats != nil {
		options = append(options, grpc.StatsHandler(o.Stats))
	}
	chain, metrics, err := interceptors(o.Log, o.Metrics)
	if err != nil {
		return nil, err
	}
	s.grpc = grpc.NewServer(append(options, chain...)...)
	s.grpc.RegisterService(decoding(pb.QuotaBrokerService_ServiceDesc), &service{broker: b})
	s.grpc.RegisterService(decoding(pb.AdminService_ServiceDesc), &admin{broker: b})
	healthpb.RegisterHealthServer(s.grpc, s.health)
	for _, name := range []string{pb.QuotaBrokerService_ServiceDesc.ServiceName, pb.AdminService_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	metrics.InitializeMetrics(s.grpc)
	return s, nil
}

// Serve answers the calls of one listener until [Server.Stop], and then returns
// nil; call it once. It always closes the listener. It refuses, before it
// accepts anything, to speak plaintext to more than this machine; on loopback
// it offers gRPC reflection.
func (s *Server) Serve(lis net.Listener) error {
	local := isLocal(lis.Addr())
	if !local && !s.secure {
		return errors.Join(&quota.FieldError{
			Field: "listen", Value: lis.Addr().String(),
			Remedy: "plaintext is for loopback only: listen on 127.0.0.1, or set tls.cert and tls.key",
		}, lis.Close())
	}
	if local {
		reflection.Register(s.grpc)
	}
	s.serving.Store(true)
	defer s.serving.Store(false)
	err := s.grpc.Serve(connListener{netutil.LimitListener(lis, maxConnections)})
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Serving reports whether new calls are welcome: after [Server.Serve] began and
// before [Server.Stop] did.
func (s *Server) Serving() bool { return s.serving.Load() }

// Stop ends the service in order: health says NOT_SERVING, every waiter and
// watcher is told UNAVAILABLE and when to come back, calls under way finish.
// Those that have not after 5 s, or when the context ends, are cut off, and it
// says so in an error. It returns when no handler runs any more.
func (s *Server) Stop(ctx context.Context) error {
	s.serving.Store(false)
	s.health.Shutdown()
	s.broker.Drain()

	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	began, done := time.Now(), make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return fmt.Errorf("calls still under way were cut off after %v: %w", time.Since(began).Round(time.Millisecond), ctx.Err())
	}
}

// isLocal reports whether only this machine can reach the address.
func isLocal(a net.Addr) bool {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.IP.IsLoopback()
	}
	// A listener in memory leaves the process even less than a unix socket
	// leaves the machine.
	return a.Network() == "unix" || a.Network() == "bufconn"
}
