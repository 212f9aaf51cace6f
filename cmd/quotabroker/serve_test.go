package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// dial connects to a broker in plaintext.
func dial(t *testing.T, address string) pb.QuotaBrokerServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewQuotaBrokerServiceClient(conn)
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// guide is the scope of the guide's example.
func guide(api string) *pb.Scope {
	return &pb.Scope{Api: api, App: "app-1", User: "member-1", Endpoint: "GET /v2/connections"}
}

// report429 acquires a permit and reports the guide's answer to it.
func report429(t *testing.T, broker pb.QuotaBrokerServiceClient, scope *pb.Scope, reset string) {
	t.Helper()
	got, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: scope})
	if err != nil {
		t.Fatalf("the first permit: %v", err)
	}
	_, err = broker.ReportOutcome(patient(t), &pb.ReportOutcomeRequest{
		PermitId: got.GetPermit().GetId(), StatusCode: http.StatusTooManyRequests,
		Headers: []*pb.Header{
			{Name: "X-RateLimit-Limit", Value: "500"},
			{Name: "X-RateLimit-Remaining", Value: "0"},
			{Name: "X-RateLimit-Reset", Value: reset},
		},
	})
	if err != nil {
		t.Fatalf("the report: %v", err)
	}
}

// TestServeHoldsTheFleetBack is the second line of "Done when".
func TestServeHoldsTheFleetBack(t *testing.T) {
	t.Parallel()
	broker := dial(t, start(t, "serve", "--config", anyPorts(t, "")).address("gRPC"))
	report429(t, broker, guide("linkedin"), "60")

	_, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: guide("linkedin")})
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("got %v, want RESOURCE_EXHAUSTED", err)
	}
	var after time.Duration
	var bucket string
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.RetryInfo:
			after = d.GetRetryDelay().AsDuration()
		case *errdetails.ErrorInfo:
			bucket = d.GetMetadata()["bucket"]
		}
	}
	if after < 55*time.Second || after > 65*time.Second {
		t.Errorf("RetryInfo is %v, want about 60 s", after)
	}
	if !strings.HasPrefix(bucket, "linkedin/app-1") {
		t.Errorf("the bucket is %q, want one of linkedin/app-1", bucket)
	}
	if _, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: guide("github")}); err != nil {
		t.Errorf("another API: %v", err)
	}
}

func TestServeGrantsWhenTheWindowTurns(t *testing.T) {
	t.Parallel()
	broker := dial(t, start(t, "serve", "--config", anyPorts(t, "")).address("gRPC"))
	began := time.Now()
	report429(t, broker, guide("linkedin"), "1")
	got, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{
		Scope: guide("linkedin"), MaxWait: durationpb.New(patience),
	})
	if err != nil {
		t.Fatal(err)
	}
	// "1" told in whole seconds may be less: the broker does not go before it is sure.
	if took := time.Since(began); got.GetPermit().GetId() == "" || took < time.Second || took > 5*time.Second {
		t.Errorf("got permit %q after %v, want one after about a second", got.GetPermit().GetId(), took)
	}
	if waited := got.GetWaited().AsDuration(); waited <= 0 || waited > 5*time.Second {
		t.Errorf("the broker says it waited %v", waited)
	}
}

func TestServeAnswersWaitersAtTheEnd(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--config", anyPorts(t, ""))
	broker := dial(t, p.address("gRPC"))
	report429(t, broker, guide("linkedin"), "60")
	answer := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	go func() {
		_, err := broker.AcquirePermit(ctx, &pb.AcquirePermitRequest{
			Scope: guide("linkedin"), MaxWait: durationpb.New(2 * time.Minute),
		})
		answer <- err
	}()
	// A call on the same connection that is answered after it was sent shows
	// that the waiter's is on its way; the pause lets it arrive.
	report429(t, broker, guide("github"), "60")
	time.Sleep(200 * time.Millisecond)
	p.signal(syscall.SIGTERM)
	if err := <-answer; status.Code(err) != codes.Unavailable {
		t.Errorf("the waiter got %v, want UNAVAILABLE", err)
	}
	if code := p.exit(); code != exitOK {
		t.Errorf("got exit code %d, want %d", code, exitOK)
	}
}

func TestServeRefusesUnknownAPIs(t *testing.T) {
	t.Parallel()
	broker := dial(t, start(t, "serve", "--config", anyPorts(t, "apis: {linkedin: {}}\n")).address("gRPC"))
	if _, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: guide("linkedin")}); err != nil {
		t.Errorf("the configured API: %v", err)
	}
	_, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: guide("github")})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `scope.api: "github": no such API: the broker's configuration has linkedin`) {
		t.Errorf("got %v, want INVALID_ARGUMENT that names scope.api, github and what there is", err)
	}
}

func TestServeShowsHealthAndMetrics(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--config", anyPorts(t, ""))
	broker := dial(t, p.address("gRPC"))
	report429(t, broker, guide("linkedin"), "60")
	base := "http://" + p.address("health and metrics over HTTP")
	for _, tt := range []struct{ path, want string }{
		{"/healthz", "alive"},
		{"/readyz", "serving"},
		{"/metrics", "grpc_server_handled_total"},
	} {
		response, err := http.Get(base + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close() // it is read
		if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), tt.want) {
			t.Errorf("%s: got %v, %v and no %q", tt.path, response.Status, err, tt.want)
		}
	}
}

// TestServeWritesJSONLogs checks what stderr has where it is no terminal.
func TestServeWritesJSONLogs(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--config", anyPorts(t, ""), "--log-level", "debug")
	p.address("gRPC")
	p.signal(syscall.SIGTERM)
	p.exit()
	if text := p.stderr.String(); !strings.Contains(text, `"msg":"stopping"`) {
		t.Errorf("got %q", text)
	}
}
