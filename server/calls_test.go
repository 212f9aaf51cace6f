package server_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

func logTo(b *buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

var errDisk = errors.New("the disk is on fire")

// wait stands in the queue for ever.
func wait(ctx context.Context, _ broker.AcquireRequest) (broker.Acquired, error) {
	<-ctx.Done()
	return broker.Acquired{}, ctx.Err()
}

// Peer bug 11: a wait without a deadline, or one that goes on when nobody waits
// for its answer any more; this and the next.
func TestDeadlineOfTheCallWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan time.Duration, 1)
		b := &fake{t: t, acquire: func(ctx context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
			d, _ := ctx.Deadline()
			told <- time.Until(d)
			return wait(ctx, r)
		}}
		client := start(t, b, server.Options{}).client()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := client.AcquirePermit(ctx, ask())
		wantCode(t, err, codes.DeadlineExceeded)
		if took, left := time.Since(began), <-told; took != 3*time.Second || left != 3*time.Second {
			t.Errorf("ended after %v, the broker knew of %v, want 3s", took, left)
		}
	})
}

func TestCallerThatWentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		b := &fake{t: t, acquire: func(ctx context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
			a, err := wait(ctx, r)
			ended <- err
			return a, err
		}}
		client := start(t, b, server.Options{}).client()
		ctx, cancel := context.WithCancel(t.Context())
		go client.AcquirePermit(ctx, ask())
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the broker's wait ended with %v, want it canceled", err)
		}
	})
}

func TestConnectionsAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var conns []any
		b := &fake{t: t, acquire: func(_ context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
			conns = append(conns, r.Conn)
			return broker.Acquired{}, nil
		}}
		r := start(t, b, server.Options{})
		one, other := r.client(), r.client()
		for _, c := range []pb.QuotaBrokerServiceClient{one, other, one} {
			if _, err := c.AcquirePermit(t.Context(), ask()); err != nil {
				t.Fatal(err)
			}
		}
		if conns[0] == nil || conns[0] == conns[1] || conns[0] != conns[2] {
			t.Errorf("connections %v, want the first and third alike and the second not", conns)
		}
	})
}

func TestPanicsAreContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		b := &fake{t: t,
			acquire: func(context.Context, broker.AcquireRequest) (broker.Acquired, error) { panic("boom\n\x1b[31m") },
			watch:   func(quota.Scope) (*broker.Watcher, error) { panic("boom") },
			release: func(context.Context, string, string) error { return nil },
		}
		client := start(t, b, server.Options{Log: logTo(&log)}).client()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "id-1")
		for range 3 {
			_, err := client.AcquirePermit(ctx, ask())
			wantCode(t, err, codes.Internal)
			if !strings.Contains(err.Error(), "id-1") || strings.Contains(err.Error(), "boom") {
				t.Errorf("error %v, want the id and not the panic", err)
			}
		}
		wantCode(t, send(t, client, &pb.WatchQuotaRequest{}), codes.Internal)
		if err := send(t, client, &pb.ReleasePermitRequest{PermitId: "p"}); err != nil {
			t.Errorf("after a panic: %v", err)
		}
		for _, want := range []string{`msg="panic in a handler"`, `panic="boom\n\x1b[31m"`, "x-request-id=id-1", "calls_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %s:\n%s", want, log.String())
			}
		}
	})
}

// However many handlers panic, the server serves; panics of the model are another
// matter, which is the broker's.
func TestManyPanicsAreContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const panics = 10_000
		var served atomic.Int64
		b := &fake{t: t,
			acquire: func(context.Context, broker.AcquireRequest) (broker.Acquired, error) { panic(served.Add(1)) },
			watch:   func(quota.Scope) (*broker.Watcher, error) { panic(served.Add(1)) },
			release: func(context.Context, string, string) error { return nil },
		}
		client := start(t, b, server.Options{}).client()
		for i := range panics {
			if i%10 == 0 {
				wantCode(t, send(t, client, &pb.WatchQuotaRequest{}), codes.Internal)
				continue
			}
			_, err := client.AcquirePermit(t.Context(), ask())
			wantCode(t, err, codes.Internal)
		}
		if n := served.Load(); n != panics {
			t.Errorf("%d handlers have panicked, want %d", n, panics)
		}
		if err := send(t, client, &pb.ReleasePermitRequest{PermitId: "p"}); err != nil {
			t.Errorf("after %d panics: %v", panics, err)
		}
	})
}

func TestRequestIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		b := &fake{t: t, acquire: grant}
		client := start(t, b, server.Options{Log: logTo(&log)}).client()
		echo := func(ctx context.Context, in *pb.AcquirePermitRequest) string {
			var header metadata.MD
			client.AcquirePermit(ctx, in, grpc.Header(&header))
			if got := header.Get("x-request-id"); len(got) == 1 {
				return got[0]
			}
			t.Errorf("header %v, want one x-request-id", header)
			return ""
		}
		for _, given := range []string{"id-1", strings.Repeat("a", 128)} {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", given)
			if got := echo(ctx, ask()); got != given {
				t.Errorf("id %q comes back as %q", given, got)
			}
			if got := echo(ctx, &pb.AcquirePermitRequest{}); got != given {
				t.Errorf("with an error, id %q comes back as %q", given, got)
			}
			if !strings.Contains(log.String(), "x-request-id="+given) {
				t.Errorf("the log has no %q", given)
			}
		}
		made := map[string]bool{}
		for _, given := range []string{"", "with space", strings.Repeat("a", 129)} {
			got := echo(metadata.AppendToOutgoingContext(t.Context(), "x-request-id", given), ask())
			if got == given || len(got) < 20 || made[got] {
				t.Errorf("id %q is replaced by %q, want a new one", given, got)
			}
			made[got] = true
		}
		if got := echo(t.Context(), ask()); len(got) < 20 {
			t.Errorf("a call without an id gets %q", got)
		}

		w, err := client.WatchQuota(metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "w-1"),
			&pb.WatchQuotaRequest{Caller: "\n"})
		if err != nil {
			t.Fatal(err)
		}
		if h, err := w.Header(); err != nil || len(h.Get("x-request-id")) != 1 || h.Get("x-request-id")[0] != "w-1" {
			t.Errorf("a stream's header is %v, %v, want w-1", h, err)
		}
	})
}

// TestLog: one line a call, no byte in it that a terminal obeys, no secret.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		b := &fake{t: t,
			acquire: grant,
			report:  func(context.Context, broker.ReportRequest) (broker.Reported, error) { return broker.Reported{}, nil },
			release: func(context.Context, string, string) error { return errDisk },
		}
		client := start(t, b, server.Options{Log: logTo(&log)}).client()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer s3cret")
		client.AcquirePermit(ctx, ask())
		client.AcquirePermit(ctx, &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "\x1b[31m\n"}})
		client.ReportOutcome(ctx, &pb.ReportOutcomeRequest{
			PermitId: "p", Headers: []*pb.Header{{Name: "Authorization", Value: "s3cret"}, {Name: "X", Value: "s3cret"}}, BodyExcerpt: []byte("s3cret"),
		})
		client.ReleasePermit(ctx, &pb.ReleasePermitRequest{PermitId: "s3cret"})

		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		for i, want := range [][]string{
			{"level=DEBUG", "grpc.method=AcquirePermit", "grpc.code=OK", "x-request-id=", "grpc.time_ms="},
			{"level=INFO", "grpc.code=InvalidArgument", "scope.api"},
			{"level=DEBUG", "grpc.method=ReportOutcome", "grpc.code=OK"},
			{"level=ERROR", "grpc.method=ReleasePermit", "grpc.code=Internal", `cause="the disk is on fire"`},
		} {
			for _, w := range want {
				if len(lines) != 4 || !strings.Contains(lines[i], w) {
					t.Fatalf("line %d has no %s, or there are not 4:\n%s", i+1, w, log.String())
				}
			}
		}
		if strings.Contains(log.String(), "s3cret") || strings.ContainsAny(strings.ReplaceAll(log.String(), "\n", ""), "\x1b\r") {
			t.Errorf("the log has a secret or a control byte:\n%q", log.String())
		}
	})
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		b := &fake{t: t, acquire: func(context.Context, broker.AcquireRequest) (broker.Acquired, error) {
			time.Sleep(2 * time.Second)
			return broker.Acquired{}, nil
		}}
		client := start(t, b, server.Options{Metrics: registry}).client()
		client.AcquirePermit(t.Context(), ask())
		client.AcquirePermit(t.Context(), &pb.AcquirePermitRequest{})

		handled := map[string]float64{}
		var longest, count float64
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		series := 0
		for _, family := range families {
			series += len(family.Metric)
			for _, m := range family.Metric {
				labels := map[string]string{}
				for _, l := range m.Label {
					labels[l.GetName()] = l.GetValue()
				}
				if labels["grpc_method"] != "AcquirePermit" {
					continue
				}
				switch family.GetName() {
				case "grpc_server_handled_total":
					handled[labels["grpc_code"]] = m.Counter.GetValue()
				case "grpc_server_handling_seconds":
					longest, count = m.Histogram.GetSampleSum(), float64(m.Histogram.GetSampleCount())
				}
			}
		}
		if handled["OK"] != 1 || handled["InvalidArgument"] != 1 || longest != 2 || count != 2 {
			t.Errorf("handled %v, %v calls in %v s, want one of each, 2 calls in 2 s", handled, count, longest)
		}
		if series > 500 {
			t.Errorf("%d series, want no more than 500", series)
		}
		if _, err := server.New(b, server.Options{Metrics: registry}); err == nil {
			t.Error("a second server registers the same metrics without an error")
		}
	})
}

func TestNoCompressor(t *testing.T) {
	if encoding.GetCompressor("gzip") != nil {
		t.Error("gzip is registered: 256 KiB can unpack to anything")
	}
}
