package quotaadmin_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotaadmin"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// canned is a connection that has one answer.
type canned struct {
	grpc.ClientConnInterface
	answer proto.Message
	err    error
	asked  proto.Message
}

func (c *canned) Invoke(_ context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	c.asked = args.(proto.Message)
	if c.err == nil {
		proto.Merge(reply.(proto.Message), c.answer)
	}
	return c.err
}

// wantJSON fails the test unless a value marshals so.
func wantJSON(t *testing.T, value any, want string) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", " ")
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
}

func wantAsked(t *testing.T, c *canned, want proto.Message) {
	t.Helper()
	if !proto.Equal(c.asked, want) {
		t.Errorf("asked %v, want %v", c.asked, want)
	}
}

func quotaStatus() *pb.QuotaStatus {
	return &pb.QuotaStatus{
		Quota: &pb.Quota{
			Name: "app", Unit: "tokens", Limit: 100, Remaining: 30, Pressure: 0.7, State: pb.State_STATE_COOLING,
			Scope:      &pb.Scope{Api: "a", App: "b", User: "c", Endpoint: "d", Labels: map[string]string{"e": "f"}},
			ResetAfter: durationpb.New(time.Minute), Provenance: pb.Provenance_PROVENANCE_TOLD,
			CooldownAfter: durationpb.New(2500 * time.Millisecond), CooldownReason: "slow down",
		},
		Used: 70, Others: 5, OthersToday: 8, Whose: "w", Outstanding: 3, Waiting: 2,
		EndsAfter: durationpb.New(0), HeardAgo: durationpb.New(2*time.Second + 3*time.Microsecond),
		Window: "{fixed: 10s}", FoundWindow: "{sliding: 10s}", FoundConfidence: 0.9,
		LearnedCosts: []*pb.LearnedCost{{Endpoint: "g", Cost: 5, Answers: 9}},
	}
}

const quotaJSON = `"api": "a",
   "app": "b",
   "user": "c",
   "endpoint": "d",
   "labels": {
    "e": "f"
   },
   "limit": "app",
   "unit": "tokens",
   "quota": 100,
   "remaining": 30,
   "used": 70,
   "others": 5,
   "others_today": 8,
   "pressure": 0.7,
   "outstanding": 3,
   "waiting": 2,
   "reset_after_seconds": 60,
   "state": "cooling",
   "cooldown_after_seconds": 2.5,
   "cooldown_reason": "slow down",
   "whose": "w",
   "provenance": "told",
   "ends_after_seconds": 0,
   "window": "{fixed: 10s}",
   "found_window": "{sliding: 10s}",
   "found_confidence": 0.9,
   "heard_ago_seconds": 2,
   "learned_costs": [
    {
     "endpoint": "g",
     "cost": 5,
     "answers": 9
    }
   ]`

func TestQuotas(t *testing.T) {
	c := &canned{answer: &pb.ListQuotasResponse{
		Quotas: []*pb.QuotaStatus{quotaStatus()}, Matched: 7,
		Totals: []*pb.QuotaTotal{{Api: "a", Limit: "app", Unit: "tokens", Buckets: 1, Spent: 2, Closed: 3, Used: 4, Others: 5, Outstanding: 6, Waiting: 7}},
	}}
	q := quotaadmin.Query{Scope: client.Scope{API: "a", Labels: map[string]string{"e": "f"}}, Top: 5, Order: quotaadmin.ByWaiting}
	got, err := quotaadmin.New(c).Quotas(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	wantAsked(t, c, &pb.ListQuotasRequest{Scope: &pb.Scope{Api: "a", Labels: map[string]string{"e": "f"}}, Top: 5, Order: pb.Order_ORDER_WAITING})
	wantJSON(t, got, `{
 "quotas": [
  {
   `+quotaJSON+`
  }
 ],
 "matched": 7,
 "totals": [
  {
   "api": "a",
   "limit": "app",
   "unit": "tokens",
   "buckets": 1,
   "spent": 2,
   "closed": 3,
   "used": 4,
   "others": 5,
   "outstanding": 6,
   "waiting": 7
  }
 ]
}`)
	c.answer = &pb.ListQuotasResponse{}
	got, err = quotaadmin.New(c).Quotas(t.Context(), quotaadmin.Query{Top: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	wantAsked(t, c, &pb.ListQuotasRequest{Scope: &pb.Scope{}, Top: 1<<31 - 1, Order: pb.Order_ORDER_PRESSURE})
	wantJSON(t, got, `{
 "quotas": [],
 "matched": 0,
 "totals": []
}`)
}

func TestExplain(t *testing.T) {
	c := &canned{answer: &pb.ExplainResponse{
		Denied: &pb.Denial{Reason: "COOLING_DOWN", Limit: "app", Bucket: "a/b", RetryAfter: durationpb.New(time.Second)}, Shadow: true,
		Buckets: []*pb.BucketExplanation{{
			Status: quotaStatus(),
			Model: &pb.BucketModel{
				Confirmed: 1, ConfirmedAgo: durationpb.New(2 * time.Second), Uncovered: 3, Counted: 4, Held: 5,
				BeganAgo: durationpb.New(6 * time.Second), EndsAfterLeast: durationpb.New(7 * time.Second), EndsAfterMost: durationpb.New(8 * time.Second),
				Pad: durationpb.New(9 * time.Second), Sliding: true, Doubtful: true, Gate: true,
			},
			Evidence: []*pb.Evidence{{
				HeardAgo: durationpb.New(time.Second), GrantedAgo: durationpb.New(2 * time.Second), Caller: "svc", Verdict: pb.Verdict_VERDICT_OVERLOADED,
				Limit: 3, Remaining: -1, ResetAfterLeast: durationpb.New(4 * time.Second), ResetAfterMost: durationpb.New(5 * time.Second), Effect: "believed",
			}},
			Ahead: []*pb.Waiter{{Caller: "web", Priority: pb.Priority_PRIORITY_CRITICAL, Waited: durationpb.New(time.Second)}}, AheadCount: 9,
		}},
	}}
	got, err := quotaadmin.New(c).Explain(t.Context(), client.Scope{API: "a", User: "c"}, map[string]int64{"tokens": 3})
	if err != nil {
		t.Fatal(err)
	}
	wantAsked(t, c, &pb.ExplainRequest{Scope: &pb.Scope{Api: "a", User: "c"}, Costs: map[string]int64{"tokens": 3}})
	wantJSON(t, got, `{
 "denied": {
  "reason": "COOLING_DOWN",
  "limit": "app",
  "bucket": "a/b",
  "retry_after_seconds": 1
 },
 "shadow": true,
 "buckets": [
  {
   `+quotaJSON+`,
   "model": {
    "confirmed": 1,
    "confirmed_ago_seconds": 2,
    "uncovered": 3,
    "counted": 4,
    "held": 5,
    "began_ago_seconds": 6,
    "ends_after_least_seconds": 7,
    "ends_after_most_seconds": 8,
    "pad_seconds": 9,
    "sliding": true,
    "doubtful": true,
    "gate": true
   },
   "evidence": [
    {
     "heard_ago_seconds": 1,
     "granted_ago_seconds": 2,
     "caller": "svc",
     "verdict": "overloaded",
     "quota": 3,
     "remaining": -1,
     "reset_after_least_seconds": 4,
     "reset_after_most_seconds": 5,
     "effect": "believed"
    }
   ],
   "ahead": [
    {
     "caller": "web",
     "priority": "critical",
     "waited_seconds": 1
    }
   ],
   "ahead_count": 9
  }
 ]
}`)
}

func TestScores(t *testing.T) {
	counts := &pb.ShadowCounts{GrantedTaken: 1, GrantedRefused: 2, HeldTaken: 3, HeldRefused: 4, HeldAtTurn: 5}
	c := &canned{answer: &pb.ListShadowScoresResponse{Scores: []*pb.ShadowScore{{
		Api: "a", KeptFor: durationpb.New(time.Hour), Counts: counts, Safe: true, Advice: "switch it on",
		Limits: []*pb.ShadowLimit{{Limit: "app", Counts: counts, Configured: 120, Told: 100}},
	}}}}
	got, err := quotaadmin.New(c).Scores(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	wantAsked(t, c, &pb.ListShadowScoresRequest{Api: "a"})
	wantJSON(t, got, `[
 {
  "api": "a",
  "kept_for_seconds": 3600,
  "safe": true,
  "advice": "switch it on",
  "granted_taken": 1,
  "granted_refused": 2,
  "held_taken": 3,
  "held_refused": 4,
  "held_at_turn": 5,
  "limits": [
   {
    "limit": "app",
    "granted_taken": 1,
    "granted_refused": 2,
    "held_taken": 3,
    "held_refused": 4,
    "held_at_turn": 5,
    "configured": 120,
    "told": 100
   }
  ]
 }
]`)
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		code codes.Code
		want string
	}{
		{codes.Unavailable, "the broker does not answer: why"},
		{codes.DeadlineExceeded, "the broker does not answer: why"},
		{codes.Unimplemented, "the broker is of a version that does not show its quotas: update it"},
		{codes.PermissionDenied, "why"},
	} {
		admin := quotaadmin.New(&canned{err: status.Error(tt.code, "why")})
		_, quotasErr := admin.Quotas(t.Context(), quotaadmin.Query{})
		_, explainErr := admin.Explain(t.Context(), client.Scope{}, nil)
		_, scoresErr := admin.Scores(t.Context(), "")
		for _, err := range []error{quotasErr, explainErr, scoresErr} {
			if err == nil || err.Error() != tt.want || status.Code(errors.Unwrap(err)) != tt.code {
				t.Errorf("%v: got %v, want %q", tt.code, err, tt.want)
			}
		}
	}
}
