package server_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

var _ server.Broker = (*broker.Broker)(nil)

// whole serves a broker with everything behind it: any API, read by auto, with
// the given limits.
func whole(t *testing.T, limits ...quota.Limit) *rig {
	t.Helper()
	auto, ok := dialect.Builtin("auto")
	if !ok {
		t.Fatal("there is no dialect auto")
	}
	b, err := broker.New(broker.Config{
		Store: memory.New(),
		Unknown: func(name string) (broker.API, bool) {
			return broker.API{Rules: &quota.Rules{API: name, Limits: limits}, Dialect: auto}, name != "nope"
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return start(t, b, server.Options{})
}

// onePerWindow allows one call each ten minutes, from an instant not yet known.
func onePerWindow() quota.Limit {
	return quota.Limit{Name: "app", Quota: 1, Window: quota.Window{Kind: quota.Fixed, Period: 10 * time.Minute}, Provenance: quota.Configured}
}

// spent is the example of the guide: 429 with nothing left for a minute.
func spent(scope *pb.Scope) *pb.ReportOutcomeRequest {
	return &pb.ReportOutcomeRequest{
		Scope: scope, StatusCode: 429,
		Headers: []*pb.Header{
			{Name: "X-RateLimit-Limit", Value: "500"}, {Name: "X-RateLimit-Remaining", Value: "0"}, {Name: "X-RateLimit-Reset", Value: "60"},
		},
	}
}

func TestReportHoldsBackTheScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := whole(t).client()
		first, err := client.AcquirePermit(t.Context(), ask())
		if err != nil {
			t.Fatal(err)
		}
		report := spent(nil)
		report.PermitId = first.GetPermit().GetId()
		reported, err := client.ReportOutcome(t.Context(), report)
		if err != nil || !reported.GetRetry().GetAdvised() {
			t.Fatalf("report: %v, %v, want the advice to retry", reported, err)
		}

		_, err = client.AcquirePermit(t.Context(), ask())
		wantCode(t, err, codes.ResourceExhausted)
		retry, _ := detail[*errdetails.RetryInfo](err)
		if after := retry.GetRetryDelay().AsDuration(); after < 59*time.Second || after > 62*time.Second {
			t.Errorf("retry after %v, want about 60s", after)
		}
		info, _ := detail[*errdetails.ErrorInfo](err)
		if m := info.GetMetadata(); m["bucket"] != "linkedin/" || m["limit"] == "" || m["api"] != "linkedin" {
			t.Errorf("metadata %v does not name the bucket (%v)", m, err)
		}

		if _, err := client.AcquirePermit(t.Context(), &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "github"}}); err != nil {
			t.Errorf("another API: %v", err)
		}
		patient := ask()
		patient.MaxWait = durationpb.New(2 * time.Minute)
		granted, err := client.AcquirePermit(t.Context(), patient)
		if waited := granted.GetWaited().AsDuration(); err != nil || waited < 59*time.Second || waited > 62*time.Second {
			t.Errorf("with max_wait: waited %v, %v, want about 60s", waited, err)
		}
	})
}

// Test256WaitersOnOneConnection: reports still get through, and every waiter
// ends by its deadline, whether that is the call's or its max_wait.
func Test256WaitersOnOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := whole(t, onePerWindow()).client()
		holder, err := client.AcquirePermit(t.Context(), ask())
		if err != nil {
			t.Fatal(err)
		}
		const waiters = 256
		ended := make(chan error, waiters)
		began := time.Now()
		for i := range waiters {
			go func() { ended <- waitUntil(client, began, time.Duration(i+1)*time.Second, i%2 == 0) }()
		}
		synctest.Wait()
		if n := len(ended); n != 0 {
			t.Fatalf("%d calls do not wait: %v", n, <-ended)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for _, api := range []string{"github", "stripe"} {
			if _, err := client.ReportOutcome(ctx, spent(&pb.Scope{Api: api})); err != nil {
				t.Errorf("a report behind the waits: %v", err)
			}
		}
		time.Sleep(90 * time.Second)
		ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		report := &pb.ReportOutcomeRequest{PermitId: holder.GetPermit().GetId(), StatusCode: 200}
		if _, err := client.ReportOutcome(ctx, report); err != nil {
			t.Errorf("the holder's report behind the waits: %v", err)
		}
		for range waiters {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > waiters*time.Second {
			t.Errorf("the last ended after %v", took)
		}
	})
}

// waitUntil waits for a permit for so long, by the call's deadline or by
// max_wait, and complains when it ends later than that, or ends strangely.
func waitUntil(client pb.QuotaBrokerServiceClient, began time.Time, limit time.Duration, byDeadline bool) error {
	request := ask()
	ctx := context.Background()
	request.MaxWait = durationpb.New(limit)
	if byDeadline {
		request.MaxWait = durationpb.New(time.Hour)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, began.Add(limit))
		defer cancel()
	}
	_, err := client.AcquirePermit(ctx, request)
	code, took := status.Code(err), time.Since(began)
	if took > limit {
		return fmt.Errorf("a wait of %v ended after %v", limit, took)
	}
	if code != codes.OK && code != codes.ResourceExhausted && code != codes.DeadlineExceeded {
		return fmt.Errorf("a wait of %v ended with %w", limit, err)
	}
	return nil
}

func TestUnknownAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := whole(t).client()
		err := send(t, client, &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "nope"}})
		wantCode(t, err, codes.InvalidArgument)
		if got := fields(err); len(got) != 1 || got[0] != "scope.api" {
			t.Errorf("complains of %q, want scope.api", got)
		}
	})
}

// TestEndedPermits: a permit that has ended, belongs to somebody else or never
// was is the same to everybody.
func TestEndedPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := whole(t).client()
		request := ask()
		request.Caller = "importer"
		a, err := client.AcquirePermit(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		id := a.GetPermit().GetId()
		var texts []string
		refused := func(what string, err error) {
			if status.Code(err) != codes.NotFound {
				t.Errorf("%s: %v, want NotFound", what, err)
			}
			texts = append(texts, status.Convert(err).Message())
		}
		refused("somebody else's", send(t, client, &pb.ReleasePermitRequest{PermitId: id, Caller: "exporter"}))
		refused("garbage", send(t, client, &pb.ReleasePermitRequest{PermitId: "\x00\n", Caller: "importer"}))
		refused("a bit off", send(t, client, &pb.ReportOutcomeRequest{PermitId: id + "A", Caller: "importer"}))
		if err := send(t, client, &pb.ReportOutcomeRequest{PermitId: id, Caller: "importer", StatusCode: 200}); err != nil {
			t.Fatal(err)
		}
		refused("reported twice", send(t, client, &pb.ReportOutcomeRequest{PermitId: id, Caller: "importer", StatusCode: 200}))
		refused("released after the report", send(t, client, &pb.ReleasePermitRequest{PermitId: id, Caller: "importer"}))
		for _, text := range texts {
			if text != texts[0] {
				t.Errorf("the answers %q differ", texts)
			}
		}
	})
}

func TestWatchQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := whole(t).client()
		ctx, cancel := context.WithCancel(t.Context())
		watch, err := client.WatchQuota(ctx, &pb.WatchQuotaRequest{Scope: &pb.Scope{Api: "linkedin"}})
		if err != nil {
			t.Fatal(err)
		}
		if first, err := watch.Recv(); err != nil || len(first.GetQuotas()) != 0 {
			t.Fatalf("the watch begins with %v, %v, want nothing", first, err)
		}
		if err := send(t, client, spent(&pb.Scope{Api: "linkedin"})); err != nil {
			t.Fatal(err)
		}
		if err := send(t, client, spent(&pb.Scope{Api: "github"})); err != nil {
			t.Fatal(err)
		}
		var cooling *pb.Quota
		for cooling == nil {
			batch, err := watch.Recv()
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range batch.GetQuotas() {
				if q.GetScope().GetApi() != "linkedin" {
					t.Errorf("the watch of linkedin tells of %v", q)
				}
				if q.GetState() == pb.State_STATE_COOLING {
					cooling = q
				}
			}
		}
		if left := cooling.GetCooldownAfter().AsDuration(); left < 59*time.Second || left > 62*time.Second || cooling.GetPressure() != 1 {
			t.Errorf("the cool-down is %v, want about 60s at full pressure", cooling)
		}
		cancel()
		for err == nil {
			_, err = watch.Recv()
		}
		wantCode(t, err, codes.Canceled)
	})
}

func TestStopEndsWaitersAndWatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := whole(t, onePerWindow())
		client := r.client()
		holder, err := client.AcquirePermit(t.Context(), ask())
		if err != nil {
			t.Fatal(err)
		}
		const each = 100
		ends := make(chan error, 2*each)
		for range each {
			go func() {
				request := ask()
				request.MaxWait = durationpb.New(time.Minute)
				_, err := client.AcquirePermit(t.Context(), request)
				ends <- err
			}()
			go func() {
				watch, err := client.WatchQuota(t.Context(), &pb.WatchQuotaRequest{})
				for err == nil {
					_, err = watch.Recv()
				}
				ends <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		if err := r.server.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		for range 2 * each {
			err := <-ends
			if retry, ok := detail[*errdetails.RetryInfo](err); status.Code(err) != codes.Unavailable || !ok || retry.GetRetryDelay().AsDuration() <= 0 {
				t.Errorf("ended with %v, want Unavailable and when to retry", err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the stop took %v", took)
		}
		if err := send(t, client, &pb.ReleasePermitRequest{PermitId: holder.GetPermit().GetId()}); err == nil {
			t.Error("a stopped server still answers")
		}
	})
}

func TestWaitersOfOneConnectionAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := whole(t, onePerWindow()).client()
		if err := send(t, client, ask()); err != nil {
			t.Fatal(err)
		}
		request := ask()
		request.MaxWait = durationpb.New(time.Minute)
		for range broker.DefaultMaxWaitersPerConn {
			go client.AcquirePermit(t.Context(), request)
		}
		synctest.Wait()
		_, err := client.AcquirePermit(t.Context(), request)
		wantCode(t, err, codes.ResourceExhausted)
		if info, _ := detail[*errdetails.ErrorInfo](err); info.GetReason() != "TOO_MANY_WAITERS" {
			t.Errorf("denied for %v, want TOO_MANY_WAITERS", info)
		}
	})
}
