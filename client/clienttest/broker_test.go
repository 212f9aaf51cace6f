package clienttest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// inBubble runs a test with a broker and a bare stub of the contract.
func inBubble(t *testing.T, test func(t *testing.T, b *clienttest.Broker, stub pb.QuotaBrokerServiceClient)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker()
		defer b.Close()
		test(t, b, pb.NewQuotaBrokerServiceClient(b.Conn()))
	})
}

func ask(user, id string, wait time.Duration) *pb.AcquirePermitRequest {
	return &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", User: user}, RequestId: id, MaxWait: durationpb.New(wait)}
}

// TestContract holds the fake to what the contract says of permits.
func TestContract(t *testing.T) {
	inBubble(t, func(t *testing.T, b *clienttest.Broker, stub pb.QuotaBrokerServiceClient) {
		first, err := stub.AcquirePermit(t.Context(), ask("u", "id-1", 0))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		again, err := stub.AcquirePermit(t.Context(), ask("u", "id-1", 0))
		if err != nil || again.GetPermit().GetId() != first.GetPermit().GetId() || b.Grants() != 1 {
			t.Errorf("the same request id got another permit: %v", err)
		}
		if a, z := first.GetPermit().GetSendWithin().AsDuration(), again.GetPermit().GetSendWithin().AsDuration(); a != 5*time.Second || z != 3*time.Second {
			t.Errorf("send within %v, and 2 s later within %v", a, z)
		}
		other, err := stub.AcquirePermit(t.Context(), ask("u", "", 0))
		if err != nil || other.GetPermit().GetId() == first.GetPermit().GetId() {
			t.Errorf("another request got the same permit: %v", err)
		}
		report := &pb.ReportOutcomeRequest{PermitId: first.GetPermit().GetId(), StatusCode: 200}
		if _, err := stub.ReportOutcome(t.Context(), report); err != nil {
			t.Error(err)
		}
		if _, err := stub.ReportOutcome(t.Context(), report); status.Code(err) != codes.NotFound {
			t.Errorf("a second report: %v", err)
		}
		if _, err := stub.ReleasePermit(t.Context(), &pb.ReleasePermitRequest{PermitId: report.GetPermitId()}); status.Code(err) != codes.NotFound {
			t.Errorf("a release after the report: %v", err)
		}
		if out := b.Outstanding(); len(out) != 1 || out[0] != other.GetPermit().GetId() {
			t.Errorf("out are %v", out)
		}
	})
}

func TestRulesAreForTheirScope(t *testing.T) {
	inBubble(t, func(t *testing.T, b *clienttest.Broker, stub pb.QuotaBrokerServiceClient) {
		b.Deny(client.Scope{User: "u"}, clienttest.Denial{})
		if _, err := stub.AcquirePermit(t.Context(), ask("u", "", time.Hour)); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("denied at once, whatever it would wait: %v", err)
		}
		if _, err := stub.AcquirePermit(t.Context(), ask("v", "", 0)); err != nil {
			t.Errorf("another user: %v", err)
		}
		b.Grant()
		if _, err := stub.AcquirePermit(t.Context(), ask("u", "", 0)); err != nil {
			t.Errorf("after Grant: %v", err)
		}
	})
}

func TestWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, b *clienttest.Broker, stub pb.QuotaBrokerServiceClient) {
		began := time.Now()
		b.CoolDown(client.Scope{}, clienttest.Denial{RetryAfter: 10 * time.Second})
		if _, err := stub.AcquirePermit(t.Context(), ask("u", "", 9*time.Second)); status.Code(err) != codes.ResourceExhausted || time.Since(began) != 0 {
			t.Errorf("what can't be served in time is told so at once: %v", err)
		}
		granted, err := stub.AcquirePermit(t.Context(), ask("u", "", 10*time.Second))
		if err != nil || granted.GetWaited().AsDuration() != 10*time.Second || granted.GetPermit().GetSendWithin().AsDuration() != 15*time.Second {
			t.Errorf("at the end of the cool-down: %v, %v", granted, err)
		}
		b.Hold(client.Scope{})
		time.AfterFunc(time.Second, b.GoAway)
		if _, err := stub.AcquirePermit(t.Context(), ask("u", "", time.Hour)); status.Code(err) != codes.Unavailable {
			t.Errorf("a waiter when the broker goes away: %v", err)
		}
	})
}

func TestAwayIsAwayForEverything(t *testing.T) {
	inBubble(t, func(t *testing.T, b *clienttest.Broker, stub pb.QuotaBrokerServiceClient) {
		watch, err := stub.WatchQuota(t.Context(), &pb.WatchQuotaRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := watch.Recv(); err != nil {
			t.Fatal(err)
		}
		b.GoAway()
		_, a := stub.AcquirePermit(t.Context(), ask("u", "", 0))
		_, r := stub.ReportOutcome(t.Context(), &pb.ReportOutcomeRequest{})
		_, d := stub.ReleasePermit(t.Context(), &pb.ReleasePermitRequest{})
		_, w := watch.Recv()
		for call, err := range map[string]error{"acquire": a, "report": r, "release": d, "watch": w} {
			if status.Code(err) != codes.Unavailable {
				t.Errorf("%s: %v", call, err)
			}
		}
		b.ComeBack()
		if _, err := stub.AcquirePermit(t.Context(), ask("u", "", 0)); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	})
}

func TestWatchersHearWhatTheyWatch(t *testing.T) {
	inBubble(t, func(t *testing.T, b *clienttest.Broker, stub pb.QuotaBrokerServiceClient) {
		ctx, cancel := context.WithCancel(t.Context())
		watch, err := stub.WatchQuota(ctx, &pb.WatchQuotaRequest{Scope: &pb.Scope{Api: "a", App: "1"}})
		if err != nil {
			t.Fatal(err)
		}
		if m, err := watch.Recv(); err != nil || len(m.GetRevocations()) != 0 {
			t.Fatalf("first %v, %v", m, err)
		}
		b.Revoke(client.Scope{API: "b"}, "not theirs")
		b.Revoke(client.Scope{API: "a", App: "1", User: "u"}, "theirs")
		m, err := watch.Recv()
		if err != nil || len(m.GetRevocations()) != 1 || m.GetRevocations()[0].GetReason() != "theirs" || m.GetRevocations()[0].GetGeneration() != 2 {
			t.Errorf("heard %v, %v", m, err)
		}
		granted, err := stub.AcquirePermit(t.Context(), ask("u", "", 0))
		if err != nil || granted.GetPermit().GetGeneration() != 2 {
			t.Errorf("granted after them: %v, %v", granted, err)
		}
		cancel()
		synctest.Wait()
		if n := b.Watches(); n != 0 {
			t.Errorf("%d watch on", n)
		}
	})
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := clienttest.NewBroker()
	stub := pb.NewQuotaBrokerServiceClient(b.Conn())
	b.Hold(client.Scope{})
	held := make(chan error, 1)
	go func() {
		_, err := stub.AcquirePermit(t.Context(), ask("u", "", time.Hour))
		held <- err
	}()
	watch, err := stub.WatchQuota(t.Context(), &pb.WatchQuotaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := <-held; err == nil {
		t.Error("granted by a broker that is closed")
	}
}
