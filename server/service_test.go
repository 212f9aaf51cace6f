package server_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

func labels(t *testing.T, m map[string]string) quota.Labels {
	t.Helper()
	l, err := quota.NewLabels(m)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// aStatus is a bucket with everything known, and its form on the wire.
func aStatus(t *testing.T, now time.Time) (broker.Quota, *pb.Quota) {
	tenant := map[string]string{"tenant": "t1"}
	return broker.Quota{
			Status: quota.Status{
				Limit: "app-day", Unit: "requests", Key: quota.Scope{API: "linkedin", App: "app1", Endpoint: "GET /v2/me", Labels: labels(t, tenant)},
				Quota: 500, Remaining: 20, ResetAt: now.Add(time.Hour), State: quota.Cooling, CoolUntil: now.Add(time.Minute),
				CoolReason: "too\nfast", Provenance: quota.Told, Pressure: 0.96,
			},
			ResetAfter: time.Hour, CoolAfter: time.Minute,
		}, &pb.Quota{
			Name: "app-day", Unit: "requests", Scope: &pb.Scope{Api: "linkedin", App: "app1", Endpoint: "GET /v2/me", Labels: tenant},
			Limit: 500, Remaining: 20, ResetAfter: durationpb.New(time.Hour), State: pb.State_STATE_COOLING,
			CooldownAfter: durationpb.New(time.Minute), CooldownReason: "too fast",
			Provenance: pb.Provenance_PROVENANCE_TOLD, Pressure: 0.96,
		}
}

func TestAcquirePermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := aStatus(t, time.Now())
		unknown := broker.Quota{Status: quota.Status{Limit: "l", Quota: quota.Unknown, Remaining: quota.Unknown}}
		var got broker.AcquireRequest
		b := &fake{t: t, acquire: func(_ context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
			got = r
			return broker.Acquired{
				Permit: broker.Permit{
					ID: "p1", SendWithin: 5 * time.Second, ReportWithin: 5 * time.Minute, Generation: 7,
					Wants: dialect.Wants{Headers: []string{"x-ratelimit-*"}, Body: dialect.ErrorBody},
				},
				Quotas: []broker.Quota{in, unknown}, Waited: 3 * time.Second,
			}, nil
		}}
		answer, err := start(t, b, server.Options{}).client().AcquirePermit(t.Context(), &pb.AcquirePermitRequest{
			Scope:  &pb.Scope{Api: "linkedin", App: "app1", User: "u1", Endpoint: "GET /v2/me", Labels: map[string]string{"tenant": "t1"}},
			Caller: "importer", Costs: map[string]int64{"tokens": 10}, Priority: pb.Priority_PRIORITY_HIGH,
			MaxWait: durationpb.New(time.Minute), RequestId: "r1", DryRun: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got.Conn == nil {
			t.Error("the broker is not told the connection")
		}
		got.Conn = nil
		if want := (broker.AcquireRequest{
			Scope: quota.Scope{API: "linkedin", App: "app1", User: "u1", Endpoint: "GET /v2/me",
				Labels: labels(t, map[string]string{"tenant": "t1"})},
			Caller: "importer", Costs: quota.Costs{"tokens": 10}, Priority: broker.High,
			MaxWait: time.Minute, RequestID: "r1", DryRun: true,
		}); !reflect.DeepEqual(got, want) {
			t.Errorf("the broker was asked\n%+v, want\n%+v", got, want)
		}
		if want := (&pb.AcquirePermitResponse{
			Permit: &pb.Permit{
				Id: "p1", SendWithin: durationpb.New(5 * time.Second), ReportWithin: durationpb.New(5 * time.Minute), Generation: 7,
				ReportHeaders: []string{"x-ratelimit-*"}, ReportBody: pb.ReportBody_REPORT_BODY_ON_ERROR,
			},
			Quotas: []*pb.Quota{out, {Name: "l", Scope: &pb.Scope{}, Limit: -1, Remaining: -1, State: pb.State_STATE_OPEN}},
			Waited: durationpb.New(3 * time.Second),
		}); !proto.Equal(answer, want) {
			t.Errorf("answer\n%v, want\n%v", answer, want)
		}
	})
}

func TestAcquirePermitWithoutPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fake{t: t, acquire: func(context.Context, broker.AcquireRequest) (broker.Acquired, error) { return broker.Acquired{}, nil }}
		answer, err := start(t, b, server.Options{}).client().AcquirePermit(t.Context(), ask())
		if err != nil || answer.GetPermit() != nil {
			t.Errorf("a dry run answers %v, %v, want no permit", answer, err)
		}
	})
}

func TestReportOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := aStatus(t, time.Now())
		var got broker.ReportRequest
		b := &fake{t: t, report: func(_ context.Context, r broker.ReportRequest) (broker.Reported, error) {
			got = r
			return broker.Reported{Retry: broker.Retry{Advised: true, After: time.Second, Reason: "soon"}, Quotas: []broker.Quota{in}}, nil
		}}
		answer, err := start(t, b, server.Options{}).client().ReportOutcome(t.Context(), &pb.ReportOutcomeRequest{
			PermitId: "p1", Scope: &pb.Scope{Api: "linkedin", User: "u1"}, Caller: "importer", StatusCode: 429,
			Headers: []*pb.Header{
				{Name: "X-RateLimit-Remaining", Value: "0"}, {Name: "Authorization", Value: "Bearer s3cret"},
				{Name: "x-ratelimit-remaining", Value: "1"}, {Name: "set-cookie", Value: "s3cret"},
				{Name: "X-Long", Value: strings.Repeat("1", 1025)}, {Name: "Garbage", Value: "\x00\n"},
			},
			Trailers:    []*pb.Header{{Name: "Cookie", Value: "s3cret"}, {Name: "PROXY-AUTHORIZATION", Value: "s3cret"}, {Name: "T", Value: strings.Repeat("1", 1024)}},
			BodyExcerpt: []byte{0xff, '{'}, SinceSent: durationpb.New(2 * time.Second), SinceReceived: durationpb.New(time.Second),
			ActualCosts: map[string]int64{"tokens": 12}, FromCache: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := (broker.ReportRequest{
			PermitID: "p1", Scope: quota.Scope{API: "linkedin", User: "u1"}, Caller: "importer", Result: broker.Sent,
			Response: dialect.Response{
				Status:   429,
				Headers:  []dialect.Field{{Name: "X-RateLimit-Remaining", Value: "0"}, {Name: "x-ratelimit-remaining", Value: "1"}, {Name: "Garbage", Value: "\x00\n"}},
				Trailers: []dialect.Field{{Name: "T", Value: strings.Repeat("1", 1024)}},
				Body:     []byte{0xff, '{'},
			},
			SinceSent: 2 * time.Second, SinceReceived: time.Second, ActualCosts: quota.Costs{"tokens": 12}, FromCache: true,
		}); !reflect.DeepEqual(got, want) {
			t.Errorf("the broker was told\n%+v, want\n%+v", got, want)
		}
		if want := (&pb.ReportOutcomeResponse{
			Retry: &pb.Retry{Advised: true, After: durationpb.New(time.Second), Reason: "soon"}, Quotas: []*pb.Quota{out},
		}); !proto.Equal(answer, want) {
			t.Errorf("answer\n%v, want\n%v", answer, want)
		}
	})
}

func TestReportOutcomeResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got broker.Result
		b := &fake{t: t, report: func(_ context.Context, r broker.ReportRequest) (broker.Reported, error) {
			got = r.Result
			return broker.Reported{}, nil
		}}
		client := start(t, b, server.Options{}).client()
		for _, c := range []struct {
			result pb.Result
			status int32
			want   broker.Result
		}{
			{pb.Result_RESULT_UNSPECIFIED, 200, broker.Sent},
			{pb.Result_RESULT_UNSPECIFIED, 0, broker.Lost},
			{pb.Result_RESULT_SENT, 0, broker.Sent},
			{pb.Result_RESULT_NOT_SENT, 0, broker.NotSent},
			{pb.Result_RESULT_UNKNOWN, 0, broker.Lost},
		} {
			if _, err := client.ReportOutcome(t.Context(), &pb.ReportOutcomeRequest{PermitId: "p", Result: c.result, StatusCode: c.status}); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("%v with status %d is %v, want %v", c.result, c.status, got, c.want)
			}
		}
	})
}

func TestReleasePermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fake{t: t, release: func(_ context.Context, caller, id string) error {
			if caller != "importer" || id != "p1" {
				t.Errorf("released %q for %q, want p1 for importer", id, caller)
			}
			return nil
		}}
		if _, err := start(t, b, server.Options{}).client().ReleasePermit(t.Context(), &pb.ReleasePermitRequest{PermitId: "p1", Caller: "importer"}); err != nil {
			t.Error(err)
		}
	})
}

func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails error
		b := &fake{
			t:       t,
			acquire: func(context.Context, broker.AcquireRequest) (broker.Acquired, error) { return broker.Acquired{}, fails },
			report:  func(context.Context, broker.ReportRequest) (broker.Reported, error) { return broker.Reported{}, fails },
			release: func(context.Context, string, string) error { return fails },
			watch:   func(quota.Scope) (*broker.Watcher, error) { return nil, fails },
		}
		client := start(t, b, server.Options{}).client()
		calls := map[string]func() error{
			"acquire": func() error { _, err := client.AcquirePermit(t.Context(), ask()); return err },
			"report": func() error {
				_, err := client.ReportOutcome(t.Context(), &pb.ReportOutcomeRequest{PermitId: "p"})
				return err
			},
			"release": func() error {
				_, err := client.ReleasePermit(t.Context(), &pb.ReleasePermitRequest{PermitId: "p"})
				return err
			},
			"watch": func() error {
				w, err := client.WatchQuota(t.Context(), &pb.WatchQuotaRequest{})
				if err == nil {
					_, err = w.Recv()
				}
				return err
			},
		}
		for _, c := range []struct {
			err   error
			code  codes.Code
			field string
			retry time.Duration
			text  string
		}{
			{fmt.Errorf("api: %w", &quota.FieldError{Field: "scope.api", Value: "nope", Remedy: "configure it"}), codes.InvalidArgument, "scope.api", 0, `"nope": configure it`},
			{fmt.Errorf("no %w", broker.ErrPermitUnknown), codes.NotFound, "", 0, "no such permit"},
			{fmt.Errorf("%w: %w", broker.ErrUnavailable, context.DeadlineExceeded), codes.Unavailable, "", time.Second, "the quota store is away"},
			{broker.ErrClosed, codes.Unavailable, "", time.Second, "shutting down"},
			{context.Canceled, codes.Canceled, "", 0, ""},
			{fmt.Errorf("wait: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "", 0, "deadline"},
			{errors.New("password=s3cret"), codes.Internal, "", 0, "x-request-id"},
		} {
			fails = c.err
			for name, call := range calls {
				err := call()
				if got := status.Code(err); got != c.code {
					t.Errorf("%s: %v is %v, want %v", name, c.err, got, c.code)
				}
				if got := strings.Join(fields(err), ","); got != c.field {
					t.Errorf("%s: %v names field %q, want %q", name, c.err, got, c.field)
				}
				if retry, _ := detail[*errdetails.RetryInfo](err); retry.GetRetryDelay().AsDuration() != c.retry {
					t.Errorf("%s: %v advises %v, want %v", name, c.err, retry, c.retry)
				}
				if text := status.Convert(err).Message(); !strings.Contains(text, c.text) || strings.Contains(text, "s3cret") {
					t.Errorf("%s: %v says %q, want it to have %q", name, c.err, text, c.text)
				}
			}
		}
	})
}
