package server_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
)

// long is one byte longer than a part may be.
var long = strings.Repeat("a", 257)

// acquireWith is a good request with one thing changed.
func acquireWith(change func(*pb.AcquirePermitRequest)) *pb.AcquirePermitRequest {
	r := ask()
	change(r)
	return r
}

// reportWith likewise.
func reportWith(change func(*pb.ReportOutcomeRequest)) *pb.ReportOutcomeRequest {
	r := &pb.ReportOutcomeRequest{PermitId: "p1"}
	change(r)
	return r
}

func headers(n int) []*pb.Header {
	return slices.Repeat([]*pb.Header{{Name: "X-A", Value: "1"}}, n)
}

func units(n int) map[string]int64 {
	m := map[string]int64{}
	for i := range n {
		m[fmt.Sprint("u", i)] = 1
	}
	return m
}

// badInput has a message of every kind of bad input; all but the permit ids
// are INVALID_ARGUMENT for a field.
var badInput = []struct {
	name   string
	in     proto.Message
	field  string
	remedy string
}{
	{"no scope", &pb.AcquirePermitRequest{}, "scope.api", "name the API"},
	{"empty scope", &pb.AcquirePermitRequest{Scope: &pb.Scope{}}, "scope.api", "name the API"},
	{"api too long", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: long}}, "scope.api", "at most 256 bytes"},
	{"app too long", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", App: long}}, "scope.app", "at most 256 bytes"},
	{"user with a newline", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", User: "u\n1"}}, "scope.user", "control characters"},
	{"user with ANSI", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", User: "\x1b[31m"}}, "scope.user", "control characters"},
	{"user with C1", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", User: "\u0085"}}, "scope.user", "control characters"},
	{"endpoint with NUL", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", Endpoint: "\x00"}}, "scope.endpoint", "control characters"},
	{"too many labels", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", Labels: map[string]string{"a": "", "b": "", "c": "", "d": "", "e": ""}}}, "scope.labels", "at most 4"},
	{"label without a name", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", Labels: map[string]string{"": "x"}}}, "scope.labels", "needs a name"},
	{"label's value too long", &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "a", Labels: map[string]string{"t": long}}}, "scope.labels.t", "at most 256 bytes"},
	{"caller too long", acquireWith(func(r *pb.AcquirePermitRequest) { r.Caller = long }), "caller", "at most 256 bytes"},
	{"caller with a tab", acquireWith(func(r *pb.AcquirePermitRequest) { r.Caller = "a\tb" }), "caller", "control characters"},
	{"cost of -1", acquireWith(func(r *pb.AcquirePermitRequest) { r.Costs = map[string]int64{"tokens": -1} }), "costs.tokens", "0 to 1000000000"},
	{"cost too great", acquireWith(func(r *pb.AcquirePermitRequest) { r.Costs = map[string]int64{"tokens": 1_000_000_001} }), "costs.tokens", "0 to 1000000000"},
	{"cost of 2^63-1", acquireWith(func(r *pb.AcquirePermitRequest) { r.Costs = map[string]int64{"tokens": math.MaxInt64} }), "costs.tokens", "0 to 1000000000"},
	{"cost without a unit", acquireWith(func(r *pb.AcquirePermitRequest) { r.Costs = map[string]int64{"": 1} }), "costs", "1 to 64 bytes"},
	{"unit too long", acquireWith(func(r *pb.AcquirePermitRequest) { r.Costs = map[string]int64{long[:65]: 1} }), "costs", "1 to 64 bytes"},
	{"too many units", acquireWith(func(r *pb.AcquirePermitRequest) { r.Costs = units(9) }), "costs", "at most 8"},
	{"unknown priority", acquireWith(func(r *pb.AcquirePermitRequest) { r.Priority = 9 }), "priority", "one of PRIORITY_CRITICAL"},
	{"negative priority", acquireWith(func(r *pb.AcquirePermitRequest) { r.Priority = -1 }), "priority", "one of PRIORITY_CRITICAL"},
	{"negative wait", acquireWith(func(r *pb.AcquirePermitRequest) { r.MaxWait = durationpb.New(-1) }), "max_wait", "not be negative"},
	{"wait of mixed signs", acquireWith(func(r *pb.AcquirePermitRequest) { r.MaxWait = &durationpb.Duration{Seconds: 1, Nanos: -1} }), "max_wait", "sign of seconds"},
	{"wait of too many nanos", acquireWith(func(r *pb.AcquirePermitRequest) { r.MaxWait = &durationpb.Duration{Nanos: 1e9} }), "max_wait", "below a second"},
	{"wait of 2^63-1 s", acquireWith(func(r *pb.AcquirePermitRequest) { r.MaxWait = &durationpb.Duration{Seconds: math.MaxInt64} }), "max_wait", "10 000 years"},
	{"request id too long", acquireWith(func(r *pb.AcquirePermitRequest) { r.RequestId = long[:129] }), "request_id", "at most 128 bytes"},
	{"request id with a newline", acquireWith(func(r *pb.AcquirePermitRequest) { r.RequestId = "\n" }), "request_id", "control characters"},

	{"neither permit nor scope", &pb.ReportOutcomeRequest{StatusCode: 200}, "permit_id", "or the scope"},
	{"scope without an api", &pb.ReportOutcomeRequest{Scope: &pb.Scope{User: "u1"}}, "scope.api", "name the API"},
	{"permit, and scope without an api", reportWith(func(r *pb.ReportOutcomeRequest) { r.Scope = &pb.Scope{User: "u1"} }), "scope.api", "name the API"},
	{"unknown result", reportWith(func(r *pb.ReportOutcomeRequest) { r.Result = 4 }), "result", "one of RESULT_SENT"},
	{"not sent, with a status", reportWith(func(r *pb.ReportOutcomeRequest) { r.Result, r.StatusCode = pb.Result_RESULT_NOT_SENT, 200 }), "result", "status_code 200 says"},
	{"status of 99", reportWith(func(r *pb.ReportOutcomeRequest) { r.StatusCode = 99 }), "status_code", "100 to 599"},
	{"status of 600", reportWith(func(r *pb.ReportOutcomeRequest) { r.StatusCode = 600 }), "status_code", "100 to 599"},
	{"negative status", reportWith(func(r *pb.ReportOutcomeRequest) { r.StatusCode = -429 }), "status_code", "100 to 599"},
	{"too many headers", reportWith(func(r *pb.ReportOutcomeRequest) { r.Headers = headers(65) }), "headers", "at most 64"},
	{"too many trailers", reportWith(func(r *pb.ReportOutcomeRequest) { r.Trailers = headers(65) }), "trailers", "at most 64"},
	{"header without a name", reportWith(func(r *pb.ReportOutcomeRequest) { r.Headers = []*pb.Header{{Name: "a"}, {Value: "1"}} }), "headers[1].name", "needs a name"},
	{"header's name too long", reportWith(func(r *pb.ReportOutcomeRequest) { r.Headers = []*pb.Header{{Name: long}} }), "headers[0].name", "at most 256 bytes"},
	{"trailer's name with a newline", reportWith(func(r *pb.ReportOutcomeRequest) { r.Trailers = []*pb.Header{{Name: "a\r\nb"}} }), "trailers[0].name", "control characters"},
	{"body too long", reportWith(func(r *pb.ReportOutcomeRequest) { r.BodyExcerpt = make([]byte, 4097) }), "body_excerpt", "at most 4096 bytes"},
	{"negative since_sent", reportWith(func(r *pb.ReportOutcomeRequest) { r.SinceSent = durationpb.New(-time.Second) }), "since_sent", "not be negative"},
	{"negative since_received", reportWith(func(r *pb.ReportOutcomeRequest) { r.SinceReceived = durationpb.New(-time.Second) }), "since_received", "not be negative"},
	{"received before it was sent", reportWith(func(r *pb.ReportOutcomeRequest) {
		r.SinceSent, r.SinceReceived = durationpb.New(time.Second), durationpb.New(2*time.Second)
	}), "since_received", "at most since_sent (1s)"},
	{"actual cost of -1", reportWith(func(r *pb.ReportOutcomeRequest) { r.ActualCosts = map[string]int64{"tokens": -1} }), "actual_costs.tokens", "0 to 1000000000"},
	{"reporter too long", reportWith(func(r *pb.ReportOutcomeRequest) { r.Caller = long }), "caller", "at most 256 bytes"},

	{"no permit to release", &pb.ReleasePermitRequest{}, "permit_id", "give the id"},
	{"releaser with a newline", &pb.ReleasePermitRequest{PermitId: "p", Caller: "\n"}, "caller", "control characters"},
	{"pattern too long", &pb.WatchQuotaRequest{Scope: &pb.Scope{Endpoint: long}}, "scope.endpoint", "at most 256 bytes"},
	{"pattern of too many labels", &pb.WatchQuotaRequest{Scope: &pb.Scope{Labels: map[string]string{"a": "", "b": "", "c": "", "d": "", "e": ""}}}, "scope.labels", "at most 4"},
	{"watcher with a newline", &pb.WatchQuotaRequest{Caller: "\n"}, "caller", "control characters"},
}

// send sends a message by the RPC that takes it.
func send(t *testing.T, client pb.QuotaBrokerServiceClient, in proto.Message) error {
	t.Helper()
	var err error
	switch in := in.(type) {
	case *pb.AcquirePermitRequest:
		_, err = client.AcquirePermit(t.Context(), in)
	case *pb.ReportOutcomeRequest:
		_, err = client.ReportOutcome(t.Context(), in)
	case *pb.ReleasePermitRequest:
		_, err = client.ReleasePermit(t.Context(), in)
	case *pb.WatchQuotaRequest:
		var w grpc.ServerStreamingClient[pb.WatchQuotaResponse]
		if w, err = client.WatchQuota(t.Context(), in); err == nil {
			_, err = w.Recv()
		}
	}
	return err
}

func TestBadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := start(t, &fake{t: t}, server.Options{}).client()
		for _, c := range badInput {
			err := send(t, client, c.in)
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("%s: %v, want InvalidArgument", c.name, err)
				continue
			}
			if got := fields(err); !slices.Equal(got, []string{c.field}) {
				t.Errorf("%s: complains of %q, want %q", c.name, got, c.field)
				continue
			}
			bad, _ := detail[*errdetails.BadRequest](err)
			text := bad.GetFieldViolations()[0].GetDescription()
			if !strings.Contains(text, c.remedy) || !strings.HasPrefix(text, `"`) {
				t.Errorf("%s: says %q, want the value and %q", c.name, text, c.remedy)
			}
			if message := status.Convert(err).Message(); message != c.field+": "+text {
				t.Errorf("%s: message %q, want the field and %q", c.name, message, text)
			}
		}
	})
}

// TestBadInputAllAtOnce: a caller learns of everything that is wrong in one go,
// within reason.
func TestBadInputAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := start(t, &fake{t: t}, server.Options{}).client()
		err := send(t, client, &pb.AcquirePermitRequest{
			Scope: &pb.Scope{Api: "\n", User: long}, Caller: "\t", MaxWait: durationpb.New(-1),
		})
		if got, want := fields(err), []string{"scope.api", "scope.user", "caller", "max_wait"}; !slices.Equal(got, want) {
			t.Errorf("complains of %q, want %q", got, want)
		}
		bad := slices.Repeat([]*pb.Header{{Name: long}}, 64)
		err = send(t, client, &pb.ReportOutcomeRequest{PermitId: "p", Headers: bad, Trailers: bad})
		if got := len(fields(err)); got != 8 {
			t.Errorf("complains of %d fields, want no more than 8", got)
		}
	})
}

func TestPermitIDThatIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := start(t, &fake{t: t}, server.Options{}).client()
		for _, in := range []proto.Message{
			&pb.ReportOutcomeRequest{PermitId: long}, &pb.ReleasePermitRequest{PermitId: long},
		} {
			err := send(t, client, in)
			if status.Code(err) != codes.NotFound {
				t.Errorf("%T: %v, want NotFound", in, err)
			}
		}
	})
}

// raw is a codec that sends bytes as they are: what a careless client does.
type raw struct{ encoding.Codec }

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal([]byte, any) error   { return nil }
func (raw) Name() string                  { return "proto" }

func TestMessagesThatCannotBeDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		conn := start(t, &fake{t: t}, server.Options{Log: logTo(&log)}).dial()
		user := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "\xff\xfe")
		scope := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), user)
		for name, message := range map[string][]byte{"not UTF-8": scope, "cut short": scope[:3], "not a message": {0xff, 0xff}} {
			err := conn.Invoke(t.Context(), pb.QuotaBrokerService_AcquirePermit_FullMethodName, &message, new([]byte), grpc.ForceCodec(raw{}))
			wantCode(t, err, codes.InvalidArgument)
			if got := fields(err); !slices.Equal(got, []string{"message"}) {
				t.Errorf("%s: complains of %q, want the message (%v)", name, got, err)
			}
			stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true},
				pb.QuotaBrokerService_WatchQuota_FullMethodName, grpc.ForceCodec(raw{}))
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.SendMsg(&message); err != nil {
				t.Fatal(err)
			}
			stream.CloseSend()
			wantCode(t, stream.RecvMsg(new([]byte)), codes.InvalidArgument)
		}
		if got := strings.Count(log.String(), "grpc.code=InvalidArgument"); got != 6 {
			t.Errorf("%d of 6 calls are in the log:\n%s", got, log.String())
		}
	})
}
