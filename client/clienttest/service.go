package clienttest

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// errAway is what every call meets while the broker is away.
var errAway = status.Error(codes.Unavailable, "the broker is away")

// service is the contract on top of a Broker.
type service struct {
	pb.UnimplementedQuotaBrokerServiceServer
	broker *Broker
}

// AcquirePermit implements the contract: it waits for what the script says.
func (s *service) AcquirePermit(ctx context.Context, r *pb.AcquirePermitRequest) (*pb.AcquirePermitResponse, error) {
	b, began := s.broker, time.Now()
	b.note(func() { b.acquires = append(b.acquires, r) })
	end := began.Add(r.GetMaxWait().AsDuration())
	for {
		now := time.Now()
		answer, closed, changed, err := b.decide(r, now, now.Sub(began))
		if closed == nil {
			return answer, err
		}
		wait := min(closed.left(now), end.Sub(now))
		if closed.atOnce || wait <= 0 || !closed.until.IsZero() && closed.until.After(end) {
			return nil, closed.denied(now)
		}
		t := time.NewTimer(wait)
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		t.Stop()
	}
}

// decide grants, or says which rule is in the way and how to learn that the
// script changed.
func (b *Broker) decide(
	r *pb.AcquirePermitRequest, now time.Time, waited time.Duration,
) (_ *pb.AcquirePermitResponse, closed *rule, changed <-chan struct{}, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, nil, nil, errAway
	}
	if closed := b.ruleLocked(r.GetScope(), now); closed != nil {
		c := *closed
		return nil, &c, b.changed, nil
	}
	p := b.grantLocked(r, now)
	return &pb.AcquirePermitResponse{Permit: p.shown(now.Add(-waited)), Waited: durationpb.New(waited)}, nil, nil, b.lostLocked()
}

// permit is a permit that is out.
type permit struct {
	message *pb.Permit
	granted time.Time
}

// lapses is when the permit can no longer be sent.
func (p *permit) lapses() time.Time { return p.granted.Add(p.message.GetSendWithin().AsDuration()) }

// shown is the permit as a caller that asked at an instant sees it: its time
// counts from then.
func (p *permit) shown(asked time.Time) *pb.Permit {
	m := proto.CloneOf(p.message)
	m.SendWithin = durationpb.New(p.lapses().Sub(asked))
	return m
}

// grantLocked makes the permit of a request, or finds the one it has.
func (b *Broker) grantLocked(r *pb.AcquirePermitRequest, now time.Time) *permit {
	if p := b.permits[b.requests[r.GetRequestId()]]; p != nil && now.Before(p.lapses()) {
		return p
	}
	b.grants++
	id := fmt.Sprintf("permit-%d", b.grants)
	p := &permit{message: proto.CloneOf(b.template), granted: now}
	p.message.Id, p.message.Generation = id, b.generation
	b.permits[id] = p
	if r.GetRequestId() != "" {
		b.requests[r.GetRequestId()] = id
	}
	return p
}

// lostLocked is the error of an answer that gets lost; nil when it doesn't.
func (b *Broker) lostLocked() error {
	if b.lose == 0 {
		return nil
	}
	b.lose--
	return status.Error(codes.Unavailable, "the connection broke before the answer was through")
}

// ReportOutcome implements the contract: it ends the permit and advises.
func (s *service) ReportOutcome(_ context.Context, r *pb.ReportOutcomeRequest) (*pb.ReportOutcomeResponse, error) {
	b := s.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, errAway
	}
	if r.GetPermitId() != "" && !b.endLocked(r.GetPermitId()) {
		return nil, status.Error(codes.NotFound, "no such permit")
	}
	b.reports = append(b.reports, r)
	advice := b.advice[int(r.GetStatusCode())]
	return &pb.ReportOutcomeResponse{Retry: &pb.Retry{
		Advised: advice.Advised, After: durationpb.New(advice.After), Reason: advice.Reason,
	}}, b.lostLocked()
}

// ReleasePermit implements the contract.
func (s *service) ReleasePermit(_ context.Context, r *pb.ReleasePermitRequest) (*pb.ReleasePermitResponse, error) {
	b := s.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, errAway
	}
	if !b.endLocked(r.GetPermitId()) {
		return nil, status.Error(codes.NotFound, "no such permit")
	}
	b.releases = append(b.releases, r)
	return &pb.ReleasePermitResponse{}, b.lostLocked()
}

// endLocked forgets a permit, and reports whether it was out.
func (b *Broker) endLocked(id string) bool {
	_, out := b.permits[id]
	delete(b.permits, id)
	return out
}

// note runs a note under the lock.
func (b *Broker) note(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// denied is the error of a call that the rule refuses.
func (r *rule) denied(now time.Time) error {
	after := r.denial.wait()
	if !r.until.IsZero() {
		after = r.until.Sub(now)
	}
	d := r.denial
	st, err := status.New(codes.ResourceExhausted, d.Reason).WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(after)},
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: d.Bucket, Description: d.Limit}}},
		&errdetails.ErrorInfo{Domain: "quotabroker", Reason: d.Reason, Metadata: map[string]string{
			"bucket": d.Bucket, "limit": d.Limit, "retry_after": after.String(),
		}},
	)
	if err != nil {
		return err // only text that is not UTF-8
	}
	return st.Err()
}

// watcher is one stream of revocations.
type watcher struct {
	pattern *pb.Scope
	queue   []*pb.Revocation
	ready   chan struct{}
}

// tellLocked queues a revocation that the watcher's pattern matches, without
// waiting for its reader.
func (w *watcher) tellLocked(r *pb.Revocation) {
	if !matches(w.pattern, r.GetScope()) && !matches(r.GetScope(), w.pattern) {
		return
	}
	w.queue = append(w.queue, r)
	select {
	case w.ready <- struct{}{}:
	default: // it has been told to look
	}
}

// WatchQuota implements the contract: a first, empty message, then revocations.
func (s *service) WatchQuota(r *pb.WatchQuotaRequest, stream grpc.ServerStreamingServer[pb.WatchQuotaResponse]) error {
	b := s.broker
	w := &watcher{pattern: r.GetScope(), ready: make(chan struct{}, 1)}
	b.note(func() { b.watchers[w] = struct{}{} })
	defer b.note(func() { delete(b.watchers, w) })
	for {
		queue, changed, err := b.news(w)
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.WatchQuotaResponse{Revocations: queue}); err != nil {
			return err
		}
		select {
		case <-w.ready:
		case <-changed: // perhaps the broker goes away
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// news takes what is queued for a watcher.
func (b *Broker) news(w *watcher) (_ []*pb.Revocation, changed <-chan struct{}, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, nil, errAway
	}
	queue := w.queue
	w.queue = nil
	return queue, b.changed, nil
}
