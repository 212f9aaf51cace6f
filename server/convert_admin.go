package server

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// maxListed bounds the lists of which the contract says so.
const maxListed = 256

func listRequest(in *pb.ListQuotasRequest) (broker.ListRequest, error) {
	var c checker
	r := broker.ListRequest{Pattern: c.pattern(in.GetScope()), Top: int(in.GetTop()), Order: c.order(in.GetOrder())}
	return r, c.err()
}

func (c *checker) order(in pb.Order) broker.Order {
	switch in {
	case pb.Order_ORDER_UNSPECIFIED, pb.Order_ORDER_PRESSURE:
		return broker.ByPressure
	case pb.Order_ORDER_USED:
		return broker.ByUsed
	case pb.Order_ORDER_WAITING:
		return broker.ByWaiting
	case pb.Order_ORDER_NAME:
		return broker.ByName
	}
	c.reject("order", in.String(), "one of ORDER_PRESSURE, ORDER_USED, ORDER_WAITING, ORDER_NAME")
	return broker.ByPressure
}

func explainRequest(in *pb.ExplainRequest) (broker.ExplainRequest, error) {
	var c checker
	r := broker.ExplainRequest{
		Scope: c.scope(in.GetScope()), Costs: c.costs("costs", in.GetCosts()), Priority: c.priority(in.GetPriority()),
	}
	return r, c.err()
}

func listResponse(l broker.Listing) *pb.ListQuotasResponse {
	var totals []*pb.QuotaTotal
	for _, s := range l.Sums[:min(len(l.Sums), maxListed)] {
		totals = append(totals, &pb.QuotaTotal{
			Api: printable(s.API), Limit: printable(s.Limit), Unit: printable(s.Unit),
			Buckets: s.Buckets, Spent: s.Spent, Closed: s.Closed,
			Used: s.Used, Others: s.Others, Outstanding: s.Outstanding, Waiting: s.Waiting,
		})
	}
	listed := make([]*pb.QuotaStatus, len(l.Quotas))
	for i, q := range l.Quotas {
		listed[i] = quotaStatus(q)
	}
	return &pb.ListQuotasResponse{
		Quotas: fitting(listed, maxMessage/2), Matched: l.Matched, Totals: fitting(totals, maxMessage/4),
	}
}

// fitting is the first of the messages that fit into so many bytes.
func fitting[M proto.Message](list []M, size int) []M {
	for i, m := range list {
		// What a message takes in a list besides itself is a few bytes.
		const around = 8
		if size -= proto.Size(m) + around; size < 0 {
			return list[:i]
		}
	}
	return list
}

func quotaStatus(q broker.QuotaDetail) *pb.QuotaStatus {
	return &pb.QuotaStatus{
		Quota: quotaState(q.Quota), Used: q.Used, Others: q.Others, OthersToday: q.OthersToday, Whose: printable(q.Whose),
		Outstanding: q.Outstanding, Waiting: q.Waiting,
		EndsAfter: until(q.EndsAt, q.EndsAfter), HeardAgo: until(q.HeardAt, q.HeardAgo),
		Confidence: confidence(q), Rate: float64(q.Rate) / 1000,
		Window: window(q.Window), FoundWindow: window(q.Found.Window), FoundConfidence: q.Found.Confidence,
		LearnedCosts: learnedCosts(q.Costs),
	}
}

func learnedCosts(costs []quota.LearnedCost) (out []*pb.LearnedCost) {
	for _, c := range costs {
		out = append(out, &pb.LearnedCost{Endpoint: c.Endpoint, Cost: c.Cost, Answers: c.Answers})
	}
	return out
}

// window is empty where nothing is known of it.
func window(w quota.Window) string {
	if w.Kind == quota.Unstated {
		return ""
	}
	return w.String()
}

// confidence is absent where the limit is not learned.
func confidence(q broker.QuotaDetail) *pb.Confidence {
	if q.Provenance != quota.Learned {
		return nil
	}
	c := q.Confidence
	return &pb.Confidence{
		Confirmed: c.Confirmed, ConfirmedAgo: until(c.ConfirmedAt, q.ConfirmedAgo), Full: c.Full, Siblings: c.Siblings,
	}
}

func explainResponse(x broker.Explained) *pb.ExplainResponse {
	buckets := make([]*pb.BucketExplanation, len(x.Buckets))
	for i, b := range x.Buckets {
		buckets[i] = explanation(x.At, b)
	}
	return &pb.ExplainResponse{Denied: denial(x.Denied), Shadow: x.Shadow, Buckets: fitting(buckets, maxMessage/2)}
}

func explanation(now time.Time, b broker.Explanation) *pb.BucketExplanation {
	out := &pb.BucketExplanation{
		Status: quotaStatus(b.QuotaDetail), Model: model(now, b.Model), AheadCount: int64(b.AheadCount),
	}
	for _, e := range b.Evidence {
		out.Evidence = append(out.Evidence, evidence(now, e))
	}
	for _, w := range b.Ahead {
		out.Ahead = append(out.Ahead, &pb.Waiter{
			Caller: printable(w.Caller), Priority: priority(w.Priority), Waited: durationpb.New(w.Waited),
		})
	}
	return out
}

func model(now time.Time, m quota.Explanation) *pb.BucketModel {
	return &pb.BucketModel{
		Confirmed: m.Confirmed, ConfirmedAgo: between(m.ConfirmedAt, now), Uncovered: m.Uncovered,
		Counted: m.Counted, Held: m.Held,
		BeganAgo: between(m.Began, now), EndsAfterLeast: between(now, m.EndLo), EndsAfterMost: between(now, m.EndHi),
		Pad: durationpb.New(m.Pad), Sliding: m.Sliding, Doubtful: m.Doubtful, Gate: m.Gate,
	}
}

func evidence(now time.Time, e quota.Evidence) *pb.Evidence {
	return &pb.Evidence{
		HeardAgo: between(e.HeardAt, now), GrantedAgo: between(e.GrantedAt, now), Caller: printable(e.By),
		Verdict: verdict(e.Verdict), Limit: e.Quota, Remaining: e.Remaining,
		ResetAfterLeast: between(e.HeardAt, e.ResetLo), ResetAfterMost: between(e.HeardAt, e.ResetHi),
		Effect: printable(e.Effect),
	}
}

// between is the time from one instant to another, never negative; absent when
// either is not known.
func between(from, to time.Time) *durationpb.Duration {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	return durationpb.New(max(0, to.Sub(from)))
}

// denial is absent for none.
func denial(d *broker.Denial) *pb.Denial {
	if d == nil {
		return nil
	}
	out := &pb.Denial{Reason: d.Reason, Limit: printable(d.Bucket.Limit)}
	if d.Bucket.Limit != "" {
		out.Bucket = bucketName(&d.Bucket)
	}
	if d.RetryAfter > 0 {
		out.RetryAfter = durationpb.New(d.RetryAfter)
	}
	return out
}

func scoresResponse(scores []broker.Score) *pb.ListShadowScoresResponse {
	var list []*pb.ShadowScore
	for _, s := range scores[:min(len(scores), maxListed)] {
		safe, advice := s.Advice()
		score := &pb.ShadowScore{
			Api: printable(s.API), KeptFor: durationpb.New(s.KeptFor), Counts: shadowCounts(s.ShadowCounts),
			Safe: safe, Advice: printable(advice),
		}
		for _, l := range s.Limits {
			score.Limits = append(score.Limits, &pb.ShadowLimit{
				Limit: printable(l.Limit), Counts: shadowCounts(l.ShadowCounts), Configured: l.Configured, Told: l.Told,
			})
		}
		list = append(list, score)
	}
	return &pb.ListShadowScoresResponse{Scores: fitting(list, maxMessage/2)}
}

func shadowCounts(c broker.ShadowCounts) *pb.ShadowCounts {
	return &pb.ShadowCounts{
		GrantedTaken: c.GrantedTaken, GrantedRefused: c.GrantedRefused,
		HeldTaken: c.HeldTaken, HeldRefused: c.HeldRefused, HeldAtTurn: c.HeldAtTurn,
	}
}

func priority(p broker.Priority) pb.Priority {
	switch p {
	case broker.Critical:
		return pb.Priority_PRIORITY_CRITICAL
	case broker.High:
		return pb.Priority_PRIORITY_HIGH
	case broker.Background:
		return pb.Priority_PRIORITY_BACKGROUND
	default:
		return pb.Priority_PRIORITY_NORMAL
	}
}

func verdict(v quota.Verdict) pb.Verdict {
	switch v {
	case quota.Refused:
		return pb.Verdict_VERDICT_REFUSED
	case quota.Overloaded:
		return pb.Verdict_VERDICT_OVERLOADED
	default:
		return pb.Verdict_VERDICT_PASSED
	}
}
