package server_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

func (r *rig) admin(opts ...grpc.DialOption) pb.AdminServiceClient {
	r.t.Helper()
	return pb.NewAdminServiceClient(r.dial(opts...))
}

// same fails the test unless two messages are equal.
func same(t *testing.T, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// detailed is a bucket with a value of its own in every field.
func detailed() broker.QuotaDetail {
	return broker.QuotaDetail{
		Quota: broker.Quota{
			Status: quota.Status{
				Limit: "app", Unit: "tokens", Key: quota.Scope{API: "a", App: "b"}, Quota: 100, Remaining: 30,
				Used: 70, Others: 5, OthersToday: 8, Whose: "w", Outstanding: 3, Waiting: 2, ResetAt: noon.Add(time.Minute),
				State: quota.Ramping, Provenance: quota.Learned, Pressure: 0.7, Rate: 1500,
				Window:     quota.Window{Kind: quota.Fixed, Period: time.Minute},
				Found:      quota.Finding{Window: quota.Window{Kind: quota.Sliding, Period: time.Minute}, Confidence: 0.9},
				Confidence: quota.Confidence{Confirmed: 4, ConfirmedAt: noon.Add(-time.Hour), Full: 3, Siblings: 2},
			},
			ResetAfter: time.Minute,
		},
		EndsAt: noon.Add(time.Second), EndsAfter: time.Second, HeardAt: noon.Add(-2 * time.Second), HeardAgo: 2 * time.Second,
		ConfirmedAgo: time.Hour, Costs: []quota.LearnedCost{{Endpoint: "e", Cost: 5, Answers: 9}},
	}
}

func statusOnWire() *pb.QuotaStatus {
	return &pb.QuotaStatus{
		Quota: &pb.Quota{
			Name: "app", Unit: "tokens", Scope: &pb.Scope{Api: "a", App: "b"}, Limit: 100, Remaining: 30,
			ResetAfter: durationpb.New(time.Minute), State: pb.State_STATE_RAMPING, Provenance: pb.Provenance_PROVENANCE_LEARNED, Pressure: 0.7,
		},
		Used: 70, Others: 5, OthersToday: 8, Whose: "w", Outstanding: 3, Waiting: 2, Rate: 1.5,
		Confidence: &pb.Confidence{Confirmed: 4, ConfirmedAgo: durationpb.New(time.Hour), Full: 3, Siblings: 2},
		EndsAfter:  durationpb.New(time.Second), HeardAgo: durationpb.New(2 * time.Second),
		Window: "{fixed: 1m0s}", FoundWindow: "{sliding: 1m0s}", FoundConfidence: 0.9,
		LearnedCosts: []*pb.LearnedCost{{Endpoint: "e", Cost: 5, Answers: 9}},
	}
}

func TestListQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked broker.ListRequest
		b := &fake{t: t, list: func(r broker.ListRequest) (broker.Listing, error) {
			asked = r
			return broker.Listing{
				Quotas: []broker.QuotaDetail{detailed()}, Matched: 7,
				Sums: []broker.LimitSum{{
					LimitID: broker.LimitID{API: "a", Limit: "app"}, Unit: "tokens",
					Buckets: 1, Spent: 2, Closed: 3, Used: 4, Others: 5, Outstanding: 6, Waiting: 7,
				}},
			}, nil
		}}
		got, err := start(t, b, server.Options{}).admin().ListQuotas(t.Context(), &pb.ListQuotasRequest{
			Scope: &pb.Scope{Api: "a", User: "u"}, Top: 3, Order: pb.Order_ORDER_USED,
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := (broker.ListRequest{Pattern: quota.Scope{API: "a", User: "u"}, Top: 3, Order: broker.ByUsed}); asked != want {
			t.Errorf("asked for %+v, want %+v", asked, want)
		}
		same(t, got, &pb.ListQuotasResponse{
			Quotas: []*pb.QuotaStatus{statusOnWire()}, Matched: 7,
			Totals: []*pb.QuotaTotal{{
				Api: "a", Limit: "app", Unit: "tokens",
				Buckets: 1, Spent: 2, Closed: 3, Used: 4, Others: 5, Outstanding: 6, Waiting: 7,
			}},
		})
	})
}

// The greatest listing still fits into a message.
func TestListQuotasFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("x", quota.MaxPart)
		var l broker.Listing
		for i := range broker.MaxTop {
			d := detailed()
			d.Limit, d.Key.App, d.Key.User, d.Key.Endpoint = long, long, long, long
			l.Quotas = append(l.Quotas, d)
			l.Sums = append(l.Sums, broker.LimitSum{LimitID: broker.LimitID{API: long, Limit: fmt.Sprint(long, i)}})
		}
		b := &fake{t: t, list: func(broker.ListRequest) (broker.Listing, error) { return l, nil }}
		got, err := start(t, b, server.Options{}).admin().ListQuotas(t.Context(), &pb.ListQuotasRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.GetQuotas()) < 50 || len(got.GetTotals()) < 50 || len(got.GetTotals()) > 256 {
			t.Errorf("%d buckets and %d totals", len(got.GetQuotas()), len(got.GetTotals()))
		}
	})
}

func TestExplainRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked broker.ExplainRequest
		b := &fake{t: t, explain: func(_ context.Context, r broker.ExplainRequest) (broker.Explained, error) {
			asked = r
			return broker.Explained{
				Denied: &broker.Denial{Reason: "QUOTA_EXHAUSTED", Bucket: detailed().Status, RetryAfter: time.Minute},
				Shadow: true, At: noon,
				Buckets: []broker.Explanation{{
					QuotaDetail: detailed(),
					Model: quota.Explanation{
						Confirmed: 40, ConfirmedAt: noon.Add(-2 * time.Second), Uncovered: 1, Counted: 2, Held: 3,
						Began: noon.Add(-time.Hour), EndLo: noon.Add(-time.Second), EndHi: noon.Add(time.Second), Pad: time.Millisecond,
						Sliding: true, Doubtful: true, Gate: true,
					},
					Evidence: []quota.Evidence{
						{
							HeardAt: noon.Add(-2 * time.Second), GrantedAt: noon.Add(-3 * time.Second), By: "svc", Verdict: quota.Refused,
							Quota: 100, Remaining: 0, ResetLo: noon.Add(8 * time.Second), ResetHi: noon.Add(10 * time.Second), Effect: "believed",
						},
						{HeardAt: noon, GrantedAt: noon, Remaining: quota.Unknown},
					},
					Ahead: []broker.Waiting{{Caller: "web", Priority: broker.High, Waited: time.Second}}, AheadCount: 9,
				}},
			}, nil
		}}
		got, err := start(t, b, server.Options{}).admin().Explain(t.Context(), &pb.ExplainRequest{
			Scope: &pb.Scope{Api: "a"}, Costs: map[string]int64{"tokens": 3}, Priority: pb.Priority_PRIORITY_BACKGROUND,
		})
		if err != nil {
			t.Fatal(err)
		}
		if asked.Scope.API != "a" || asked.Costs["tokens"] != 3 || asked.Priority != broker.Background {
			t.Errorf("asked for %+v", asked)
		}
		same(t, got, &pb.ExplainResponse{
			Denied: &pb.Denial{Reason: "QUOTA_EXHAUSTED", Limit: "app", Bucket: "a/b", RetryAfter: durationpb.New(time.Minute)},
			Shadow: true,
			Buckets: []*pb.BucketExplanation{{
				Status: statusOnWire(),
				Model: &pb.BucketModel{
					Confirmed: 40, ConfirmedAgo: durationpb.New(2 * time.Second), Uncovered: 1, Counted: 2, Held: 3,
					BeganAgo: durationpb.New(time.Hour), EndsAfterLeast: durationpb.New(0), EndsAfterMost: durationpb.New(time.Second),
					Pad: durationpb.New(time.Millisecond), Sliding: true, Doubtful: true, Gate: true,
				},
				Evidence: []*pb.Evidence{
					{
						HeardAgo: durationpb.New(2 * time.Second), GrantedAgo: durationpb.New(3 * time.Second), Caller: "svc",
						Verdict: pb.Verdict_VERDICT_REFUSED, Limit: 100, Remaining: 0,
						ResetAfterLeast: durationpb.New(10 * time.Second), ResetAfterMost: durationpb.New(12 * time.Second), Effect: "believed",
					},
					{HeardAgo: durationpb.New(0), GrantedAgo: durationpb.New(0), Verdict: pb.Verdict_VERDICT_PASSED, Remaining: -1},
				},
				Ahead:      []*pb.Waiter{{Caller: "web", Priority: pb.Priority_PRIORITY_HIGH, Waited: durationpb.New(time.Second)}},
				AheadCount: 9,
			}},
		})
	})
}

func TestListShadowScores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := broker.ShadowCounts{GrantedTaken: 1, GrantedRefused: 2, HeldTaken: 3, HeldRefused: 4, HeldAtTurn: 5}
		b := &fake{t: t, scores: func(api string) []broker.Score {
			return []broker.Score{{API: api, KeptFor: time.Hour, ShadowCounts: counts, Limits: []broker.LimitScore{{Limit: "app", ShadowCounts: counts, Configured: 120, Told: 100}}}}
		}}
		got, err := start(t, b, server.Options{}).admin().ListShadowScores(t.Context(), &pb.ListShadowScoresRequest{Api: "a"})
		if err != nil || len(got.GetScores()) != 1 {
			t.Fatalf("got %v, %v", got, err)
		}
		score := got.GetScores()[0]
		if score.GetSafe() || !strings.Contains(score.GetAdvice(), "limit app is configured too high") {
			t.Errorf("advice %q", score.GetAdvice())
		}
		score.Advice = ""
		wire := &pb.ShadowCounts{GrantedTaken: 1, GrantedRefused: 2, HeldTaken: 3, HeldRefused: 4, HeldAtTurn: 5}
		same(t, score, &pb.ShadowScore{
			Api: "a", KeptFor: durationpb.New(time.Hour), Counts: wire, Limits: []*pb.ShadowLimit{{Limit: "app", Counts: wire, Configured: 120, Told: 100}},
		})
	})
}

func TestAdminBadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		admin := start(t, &fake{t: t}, server.Options{}).admin()
		for field, call := range map[string]func() error{
			"scope.user": func() error {
				_, err := admin.ListQuotas(t.Context(), &pb.ListQuotasRequest{Scope: &pb.Scope{User: "\x01"}})
				return err
			},
			"order": func() error {
				_, err := admin.ListQuotas(t.Context(), &pb.ListQuotasRequest{Order: 99})
				return err
			},
			"scope.api": func() error {
				_, err := admin.Explain(t.Context(), &pb.ExplainRequest{})
				return err
			},
			"costs.requests": func() error {
				_, err := admin.Explain(t.Context(), &pb.ExplainRequest{Scope: &pb.Scope{Api: "a"}, Costs: map[string]int64{"requests": -1}})
				return err
			},
			"api": func() error {
				_, err := admin.ListShadowScores(t.Context(), &pb.ListShadowScoresRequest{Api: strings.Repeat("x", 300)})
				return err
			},
		} {
			err := call()
			if got := fields(err); status.Code(err) != codes.InvalidArgument || len(got) != 1 || got[0] != field {
				t.Errorf("%s: %v, fields %q", field, err, got)
			}
		}
	})
}

// Over TLS only a verified client certificate sees other callers' quotas.
func TestAdminIsForOperators(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mutual bool
		want   codes.Code
	}{
		{"without a client CA", false, codes.PermissionDenied},
		{"with a client's certificate", true, codes.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority(t)
				files, config := a.files(), a.trust()
				b := &fake{t: t}
				if tt.mutual {
					files, config = a.mutual(), a.trust(a.issue(&x509.Certificate{DNSNames: []string{"operator"}}))
					b.list = func(broker.ListRequest) (broker.Listing, error) { return broker.Listing{}, nil }
					b.explain = func(context.Context, broker.ExplainRequest) (broker.Explained, error) { return broker.Explained{}, nil }
					b.scores = func(string) []broker.Score { return nil }
				}
				admin := start(t, b, server.Options{TLS: files}).admin(grpc.WithTransportCredentials(credentials.NewTLS(config)))
				_, err := admin.ListQuotas(t.Context(), &pb.ListQuotasRequest{})
				wantCode(t, err, tt.want)
				_, err = admin.Explain(t.Context(), &pb.ExplainRequest{Scope: &pb.Scope{Api: "a"}})
				wantCode(t, err, tt.want)
				_, err = admin.ListShadowScores(t.Context(), &pb.ListShadowScoresRequest{})
				wantCode(t, err, tt.want)
			})
		})
	}
}

// A whole broker in shadow mode over the wire: every call is granted, says what
// it would have been, and the score adds up.
func TestShadowOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		auto, _ := dialect.Builtin("auto")
		b, err := broker.New(broker.Config{Store: memory.New(), APIs: map[string]broker.API{
			"linkedin": {Rules: &quota.Rules{API: "linkedin", Limits: []quota.Limit{onePerWindow()}}, Dialect: auto, Shadow: true},
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		r := start(t, b, server.Options{})
		client := r.client()
		for i, want := range []string{"", "QUOTA_EXHAUSTED"} {
			got, err := client.AcquirePermit(t.Context(), ask())
			if err != nil || got.GetPermit().GetId() == "" || got.GetShadowDenied().GetReason() != want {
				t.Fatalf("call %d: %v, %v", i, got, err)
			}
			if want != "" && (got.GetShadowDenied().GetLimit() != "app" || got.GetShadowDenied().GetRetryAfter().AsDuration() <= 0) {
				t.Errorf("call %d would have been denied as %v", i, got.GetShadowDenied())
			}
			if _, err := client.ReportOutcome(t.Context(), &pb.ReportOutcomeRequest{PermitId: got.GetPermit().GetId(), StatusCode: 200}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := r.admin().ListShadowScores(t.Context(), &pb.ListShadowScoresRequest{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, got.GetScores()[0].GetCounts(), &pb.ShadowCounts{GrantedTaken: 1, HeldTaken: 1})
	})
}
