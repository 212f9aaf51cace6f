package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// TestWatchResponsesFitMessages: however many buckets a watch has, and however
// long their names, no message is larger than may be sent, and nothing is lost
// or comes out of order.
func TestWatchResponsesFitMessages(t *testing.T) {
	part := strings.Repeat("ü", 128)
	var c broker.Changes
	for i := range 2000 {
		key := quota.Scope{API: part, App: part, User: part, Endpoint: part}
		c.Quotas = append(c.Quotas, broker.Quota{Status: quota.Status{Limit: "l", Key: key, Quota: int64(i)}})
		c.Revocations = append(c.Revocations, quota.Revocation{Scope: key, Generation: uint64(i)})
	}
	messages := slices.Collect(watchResponses(c))
	if len(messages) < 2 {
		t.Fatalf("%d messages, want several", len(messages))
	}
	var quotas []int64
	var generations []uint64
	for _, m := range messages {
		if size := proto.Size(m); size > maxMessage || size == 0 {
			t.Errorf("a message has %d bytes, want at most %d and not none", size, maxMessage)
		}
		for _, r := range m.Revocations {
			if len(quotas) > 0 {
				t.Error("a revocation comes after a bucket")
			}
			generations = append(generations, r.Generation)
		}
		for _, q := range m.Quotas {
			quotas = append(quotas, q.Limit)
		}
	}
	if len(quotas) != 2000 || len(generations) != 2000 || !slices.IsSorted(quotas) || !slices.IsSorted(generations) {
		t.Errorf("%d buckets and %d revocations, want 2000 of each in order", len(quotas), len(generations))
	}
}

func TestWatchResponsesOfNothing(t *testing.T) {
	messages := slices.Collect(watchResponses(broker.Changes{}))
	if len(messages) != 1 || proto.Size(messages[0]) != 0 {
		t.Errorf("messages %v, want an empty one", messages)
	}
}

func TestWatchResponsesEndEarly(t *testing.T) {
	c := broker.Changes{Quotas: make([]broker.Quota, 50_000), Revocations: make([]quota.Revocation, 50_000)}
	seen := 0
	for range watchResponses(c) {
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("%d messages, want 1", seen)
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[quota.State]pb.State{
		quota.Open: pb.State_STATE_OPEN, quota.Cooling: pb.State_STATE_COOLING,
		quota.ProbingState: pb.State_STATE_PROBING, quota.Ramping: pb.State_STATE_RAMPING,
	} {
		if got := state(in); got != want {
			t.Errorf("state %v is %v, want %v", in, got, want)
		}
	}
	for in, want := range map[quota.Provenance]pb.Provenance{
		quota.Nobody: pb.Provenance_PROVENANCE_UNSPECIFIED, quota.Configured: pb.Provenance_PROVENANCE_CONFIGURED,
		quota.Told: pb.Provenance_PROVENANCE_TOLD, quota.Learned: pb.Provenance_PROVENANCE_LEARNED,
	} {
		if got := provenance(in); got != want {
			t.Errorf("provenance %v is %v, want %v", in, got, want)
		}
	}
	for in, want := range map[dialect.Body]pb.ReportBody{
		dialect.NoBody: pb.ReportBody_REPORT_BODY_NEVER, dialect.ErrorBody: pb.ReportBody_REPORT_BODY_ON_ERROR,
		dialect.EveryBody: pb.ReportBody_REPORT_BODY_ALWAYS,
	} {
		if got := reportBody(in); got != want {
			t.Errorf("body %v is %v, want %v", in, got, want)
		}
	}
	for in, want := range map[pb.Priority]broker.Priority{
		pb.Priority_PRIORITY_UNSPECIFIED: broker.Normal, pb.Priority_PRIORITY_NORMAL: broker.Normal,
		pb.Priority_PRIORITY_CRITICAL: broker.Critical, pb.Priority_PRIORITY_HIGH: broker.High,
		pb.Priority_PRIORITY_BACKGROUND: broker.Background,
	} {
		if got := new(checker).priority(in); got != want {
			t.Errorf("priority %v is %v, want %v", in, got, want)
		}
	}
}

// script is a watcher that has these changes and then an error.
type script struct {
	batches []broker.Changes
	end     error
}

func (s *script) Next(context.Context) (broker.Changes, error) {
	if len(s.batches) == 0 {
		return broker.Changes{}, s.end
	}
	next := s.batches[0]
	s.batches = s.batches[1:]
	return next, nil
}

func TestPump(t *testing.T) {
	one := broker.Changes{Quotas: []broker.Quota{{Status: quota.Status{Limit: "l"}}}}
	gone := errors.New("the stream is gone")
	for name, c := range map[string]struct {
		end, sendErr error
		sent         int
		code         codes.Code
	}{
		"drained":          {broker.ErrClosed, nil, 2, codes.Unavailable},
		"caller went away": {context.Canceled, nil, 2, codes.Canceled},
		"stream broke":     {broker.ErrClosed, gone, 1, codes.Unknown},
	} {
		sent := 0
		err := pump(t.Context(), &script{[]broker.Changes{one, one}, c.end}, func(*pb.WatchQuotaResponse) error {
			sent++
			return c.sendErr
		})
		if status.Code(err) != c.code || sent != c.sent {
			t.Errorf("%s: %v after %d messages, want %v after %d", name, err, sent, c.code, c.sent)
		}
	}
}
