package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// seed adds messages in their wire form.
func seed(f *testing.F, messages ...proto.Message) {
	f.Helper()
	for _, m := range messages {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// checkRefusal fails unless the error is one that a caller's mistake has.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	switch code := status.Code(statusOf(context.Background(), err)); code {
	case codes.InvalidArgument:
	case codes.NotFound:
		if !errors.Is(err, broker.ErrPermitUnknown) {
			t.Errorf("%v is %v", err, code)
		}
	default:
		t.Errorf("%v is %v", err, code)
	}
	if text := err.Error(); strings.ContainsAny(text, "\x00\x1b\r\n") {
		t.Errorf("the error %q has control characters", text)
	}
}

// checkScope fails for a scope that the domain would not take.
func checkScope(t *testing.T, s quota.Scope, pattern bool) {
	t.Helper()
	if pattern && s.API == "" {
		s.API = "any"
	}
	if err := s.Validate(); err != nil {
		t.Errorf("accepted a scope that is not valid: %v", err)
	}
}

func checkText(t *testing.T, field, value string) {
	t.Helper()
	if err := quota.CheckPart(field, value); err != nil {
		t.Errorf("accepted: %v", err)
	}
}

func checkDuration(t *testing.T, field string, d time.Duration) {
	t.Helper()
	if d < 0 {
		t.Errorf("accepted %s of %v", field, d)
	}
}

func FuzzAcquireRequest(f *testing.F) {
	seed(f,
		&pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", Labels: map[string]string{"t": "1"}}, Costs: map[string]int64{"x": 1}},
		&pb.AcquirePermitRequest{Scope: &pb.Scope{User: "\n"}, MaxWait: &durationpb.Duration{Seconds: -1, Nanos: 1}, Priority: 77},
	)
	f.Fuzz(func(t *testing.T, wire []byte) {
		in := &pb.AcquirePermitRequest{}
		if proto.Unmarshal(wire, in) != nil {
			return
		}
		r, err := acquireRequest(in)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkScope(t, r.Scope, false)
		checkText(t, "caller", r.Caller)
		checkText(t, "request_id", r.RequestID)
		checkDuration(t, "max_wait", r.MaxWait)
		if err := r.Costs.Validate("costs"); err != nil {
			t.Errorf("accepted: %v", err)
		}
		if r.Priority > broker.Background || len(r.RequestID) > maxRequestID {
			t.Errorf("accepted priority %d, request id %q", r.Priority, r.RequestID)
		}
	})
}

func FuzzReportRequest(f *testing.F) {
	seed(f,
		&pb.ReportOutcomeRequest{PermitId: "p", StatusCode: 429, Headers: []*pb.Header{{Name: "Retry-After", Value: "1"}}},
		&pb.ReportOutcomeRequest{Scope: &pb.Scope{Api: "a"}, Headers: []*pb.Header{{Name: "COOKIE", Value: "s3cret"}}},
		&pb.ReportOutcomeRequest{PermitId: "p", SinceSent: durationpb.New(1), SinceReceived: durationpb.New(2), Result: -5},
	)
	f.Fuzz(func(t *testing.T, wire []byte) {
		in := &pb.ReportOutcomeRequest{}
		if proto.Unmarshal(wire, in) != nil {
			return
		}
		r, err := reportRequest(in)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if r.PermitID == "" || r.Scope != (quota.Scope{}) {
			checkScope(t, r.Scope, false)
		}
		checkText(t, "caller", r.Caller)
		checkDuration(t, "since_sent", r.SinceSent)
		checkDuration(t, "since_received", r.SinceReceived)
		if err := r.ActualCosts.Validate("actual_costs"); err != nil {
			t.Errorf("accepted: %v", err)
		}
		checkFields(t, r.Response.Headers)
		checkFields(t, r.Response.Trailers)
		if s := r.Response.Status; len(r.PermitID) > maxPermitID || len(r.Response.Body) > maxBody || r.Result > broker.Lost || s != 0 && (s < 100 || s > 599) {
			t.Errorf("accepted %+v", r)
		}
	})
}

func checkFields(t *testing.T, fields []dialect.Field) {
	t.Helper()
	if len(fields) > maxFields {
		t.Errorf("accepted %d fields", len(fields))
	}
	for _, h := range fields {
		checkText(t, "name", h.Name)
		if h.Name == "" || len(h.Value) > maxFieldValue || isCredential(h.Name) {
			t.Errorf("accepted the field %q of %d bytes", h.Name, len(h.Value))
		}
	}
}

func FuzzWatchAndRelease(f *testing.F) {
	seed(f, &pb.WatchQuotaRequest{Scope: &pb.Scope{User: "u"}, Caller: "c"}, &pb.ReleasePermitRequest{PermitId: "p", Caller: "\x7f"})
	f.Fuzz(func(t *testing.T, wire []byte) {
		watch, release := &pb.WatchQuotaRequest{}, &pb.ReleasePermitRequest{}
		if proto.Unmarshal(wire, watch) == nil {
			if pattern, err := watchPattern(watch); err != nil {
				checkRefusal(t, err)
			} else {
				checkScope(t, pattern, true)
			}
		}
		if proto.Unmarshal(wire, release) == nil {
			caller, id, err := releaseRequest(release)
			if err != nil {
				checkRefusal(t, err)
				return
			}
			checkText(t, "caller", caller)
			if id == "" || len(id) > maxPermitID {
				t.Errorf("accepted the permit id %q", id)
			}
		}
	})
}
