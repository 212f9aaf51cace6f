package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
)

func tcp(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 7460} }

func TestPlaintextIsForLoopbackOnly(t *testing.T) {
	for _, ip := range []string{"0.0.0.0", "::", "10.0.0.1", "192.0.2.7", "2001:db8::1"} {
		s, err := server.New(&fake{t: t}, server.Options{})
		if err != nil {
			t.Fatal(err)
		}
		lis := bufconn.Listen(1)
		err = s.Serve(elsewhere{lis, tcp(ip)})
		if err == nil || !strings.Contains(err.Error(), "listen: ") || !strings.Contains(err.Error(), ip) || !strings.Contains(err.Error(), "tls.cert") {
			t.Errorf("%s: %v, want an error with the field, the address and the remedy", ip, err)
		}
		if _, err := lis.Accept(); err == nil {
			t.Errorf("%s: the listener is still open", ip)
		}
		if s.Serving() {
			t.Errorf("%s: it says that it serves", ip)
		}
	}
}

func TestLoopback(t *testing.T) {
	for _, a := range []net.Addr{tcp("127.0.0.1"), tcp("127.8.8.8"), tcp("::1"), &net.UnixAddr{Name: "/run/q.sock", Net: "unix"}} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, &fake{t: t, acquire: grant}, server.Options{}, a)
			if _, err := r.client().AcquirePermit(t.Context(), ask()); err != nil {
				t.Errorf("%v: %v", a, err)
			}
		})
	}
}

// listServices asks by reflection.
func listServices(t *testing.T, r *rig, opts ...grpc.DialOption) ([]string, error) {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(r.dial(opts...)).ServerReflectionInfo(t.Context())
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}); err != nil && !errors.Is(err, io.EOF) { // why it ended, Recv says
		return nil, err
	}
	stream.CloseSend()
	answer, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	return names, nil
}

func TestReflectionOnLoopback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names, err := listServices(t, start(t, &fake{t: t}, server.Options{}))
		if err != nil || !strings.Contains(strings.Join(names, " "), "quotabroker.v1.QuotaBrokerService") {
			t.Errorf("services %q, %v, want the broker's among them", names, err)
		}
	})
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &fake{t: t}, server.Options{})
		synctest.Wait()
		if !r.server.Serving() {
			t.Error("it says that it does not serve")
		}
		health := healthpb.NewHealthClient(r.dial())
		for _, service := range []string{"", "quotabroker.v1.QuotaBrokerService"} {
			answer, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("service %q is %v, %v, want SERVING", service, answer, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		watch, err := health.Watch(ctx, &healthpb.HealthCheckRequest{Service: "quotabroker.v1.QuotaBrokerService"})
		if err != nil {
			t.Fatal(err)
		}
		next := func() healthpb.HealthCheckResponse_ServingStatus {
			answer, err := watch.Recv()
			if err != nil {
				t.Fatal(err)
			}
			return answer.GetStatus()
		}
		if got := next(); got != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("the watch begins with %v", got)
		}
		stopped := make(chan error)
		go func() { stopped <- r.server.Stop(t.Context()) }()
		if got := next(); got != healthpb.HealthCheckResponse_NOT_SERVING {
			t.Errorf("at the stop the watch says %v, want NOT_SERVING", got)
		}
		if r.server.Serving() {
			t.Error("while it stops it says that it serves")
		}
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// waiting is a broker where everybody waits until it is drained.
func waiting(t *testing.T) *fake {
	drained := make(chan struct{})
	var once sync.Once
	return &fake{
		t: t,
		acquire: func(ctx context.Context, _ broker.AcquireRequest) (broker.Acquired, error) {
			select {
			case <-drained:
				return broker.Acquired{}, broker.ErrClosed
			case <-ctx.Done():
				return broker.Acquired{}, ctx.Err()
			}
		},
		report: func(context.Context, broker.ReportRequest) (broker.Reported, error) { return broker.Reported{}, nil },
		drain:  func() { once.Do(func() { close(drained) }) },
	}
}

func TestStopAnswersEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conns, each = 4, 250
		r := start(t, waiting(t), server.Options{})
		answers := make(chan error, conns*each)
		for range conns {
			client := r.client()
			for range each {
				go func() {
					_, err := client.AcquirePermit(t.Context(), ask())
					answers <- err
				}()
			}
		}
		synctest.Wait()
		began := time.Now()
		if err := r.server.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		for range conns * each {
			err := <-answers
			retry, ok := detail[*errdetails.RetryInfo](err)
			if status.Code(err) != codes.Unavailable || !ok || retry.GetRetryDelay().AsDuration() <= 0 {
				t.Fatalf("a waiter got %v with %v, want Unavailable and when to retry", err, retry)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the stop took %v though nothing was under way", took)
		}
		if err := r.server.Stop(t.Context()); err != nil {
			t.Errorf("a second stop: %v", err)
		}
	})
}

func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	for name, c := range map[string]struct{ patience, want time.Duration }{
		"by itself":      {time.Hour, 5 * time.Second},
		"by the context": {time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, &fake{t: t, acquire: wait}, server.Options{})
				answer := make(chan error)
				client := r.client()
				go func() {
					_, err := client.AcquirePermit(t.Context(), ask())
					answer <- err
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), c.patience)
				defer cancel()
				began := time.Now()
				err := r.server.Stop(ctx)
				if took := time.Since(began); took != c.want || err == nil || !strings.Contains(err.Error(), c.want.String()) {
					t.Errorf("stopped after %v with %v, want %v and an error that says so", took, err, c.want)
				}
				if err := <-answer; err == nil {
					t.Error("the call that was cut off succeeded")
				}
			})
		})
	}
}

// TestStopWaitsForHandlers: one that does not heed its context can still use
// the broker, so nobody may close that before it has ended.
func TestStopWaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stubborn = 20 * time.Second
		r := start(t, &fake{t: t, acquire: func(context.Context, broker.AcquireRequest) (broker.Acquired, error) {
			time.Sleep(stubborn)
			return broker.Acquired{}, nil
		}}, server.Options{})
		client := r.client()
		go client.AcquirePermit(t.Context(), ask())
		synctest.Wait()
		began := time.Now()
		if err := r.server.Stop(t.Context()); err == nil {
			t.Error("a call was cut off without an error")
		}
		if took := time.Since(began); took != stubborn {
			t.Errorf("stopped after %v, want %v", took, stubborn)
		}
	})
}

func TestStopWithoutServe(t *testing.T) {
	s, err := server.New(&fake{t: t}, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Serve(bufconn.Listen(1)); err != nil {
		t.Errorf("serve after stop: %v", err)
	}
}

// TestReportsGetThroughBehindWaits: calls that wait hold up nobody else's on
// the same connection.
func TestReportsGetThroughBehindWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := start(t, waiting(t), server.Options{}).client()
		for range 512 {
			go client.AcquirePermit(t.Context(), ask())
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := client.ReportOutcome(ctx, &pb.ReportOutcomeRequest{PermitId: "p", StatusCode: 200}); err != nil {
			t.Error(err)
		}
	})
}
