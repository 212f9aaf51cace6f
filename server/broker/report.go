package broker

import (
	"context"
	"time"

	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Result is what became of a call.
type Result uint8

// The results.
const (
	// Sent and answered.
	Sent Result = iota
	// NotSent credits the permit, as Release does.
	NotSent
	// Lost may have reached the upstream; the cost stays spent.
	Lost
)

// ReportRequest says what came back.
type ReportRequest struct {
	// PermitID is the permit that was used; empty for a call without one.
	PermitID string
	// Scope is whose call it was: required without a permit id; with one, used
	// when the permit is of an earlier life of the broker.
	Scope quota.Scope
	// Caller is who reports: only the caller of the permit may.
	Caller string
	// Result is what became of the call.
	Result Result
	// Response is what came back; its Received is ignored in favour of SinceReceived.
	Response dialect.Response
	// SinceSent is how long ago the request was sent, 0 when not told; SinceReceived how long
	// ago the response came.
	SinceSent, SinceReceived time.Duration
	// ActualCosts is what the call really took, by unit, where it is known.
	ActualCosts quota.Costs
	// FromCache says that nothing was sent.
	FromCache bool
}

// Retry is the advice on sending the same request again.
type Retry struct {
	// Advised is true when the upstream held the call back: a quota is spent, or
	// it protects itself. Any other failure is the caller's to judge, and in
	// shadow mode every one.
	Advised bool
	// After is how long to wait before asking for a new permit; 0 means at once,
	// and the broker then holds the call until it may go.
	After time.Duration
	// Reason says why in one line.
	Reason string
}

// Reported is the answer to a report.
type Reported struct {
	// Retry is the advice on sending the same request again.
	Retry Retry
	// Quotas is each bucket that counts the call.
	Quotas []Quota
}

// Report ends a permit by what came back, or teaches of a call without one. A
// permit that is unknown, has ended or is another caller's is
// [ErrPermitUnknown] and changes nothing; but a report for a permit of an
// earlier life of the broker that comes with a scope teaches as one without a
// permit does. Bad input is a *quota.FieldError; [ErrUnavailable] says that the
// store has not made this broker the application's owner in time.
func (b *Broker) Report(ctx context.Context, r ReportRequest) (Reported, error) {
	if err := r.validate(); err != nil {
		return Reported{}, err
	}
	if b.isClosing() {
		return Reported{}, ErrClosed
	}
	if s, n, ok := b.lives.find(r.PermitID); ok {
		return s.report(b.clock.now(), n, r)
	}
	if r.PermitID != "" && r.Scope == (quota.Scope{}) {
		return Reported{}, ErrPermitUnknown
	}
	if err := r.Scope.Validate(); err != nil {
		return Reported{}, err
	}
	return b.observe(ctx, r)
}

func (r *ReportRequest) validate() error {
	switch {
	case r.SinceSent < 0:
		return &quota.FieldError{Field: "since_sent", Value: r.SinceSent.String(), Remedy: "must not be negative"}
	case r.SinceReceived < 0:
		return &quota.FieldError{Field: "since_received", Value: r.SinceReceived.String(), Remedy: "must not be negative"}
	}
	return r.ActualCosts.Validate("actual_costs")
}

// answer is what the dialect makes of the response, with the instants by the
// broker's clock. That they may be earlier than the permit, by the reporter's
// mistake, the model knows.
func (r *ReportRequest) answer(d dialect.Dialect, now time.Time) quota.Answer {
	if r.Result == Lost {
		return quota.Answer{Unanswered: true}
	}
	received := now.Add(-r.SinceReceived)
	r.Response.Received = received
	a := d.Read(r.Response).Answer
	a.Received = received
	if r.SinceSent > 0 {
		a.Sent = now.Add(-max(r.SinceSent, r.SinceReceived))
	}
	a.Costs, a.By = r.ActualCosts, r.Caller
	return a
}

// unsent reports whether nothing was sent.
func (r *ReportRequest) unsent() bool { return r.Result == NotSent || r.FromCache }

// report ends a permit of the shard's present life.
func (s *shard) report(now time.Time, n nonce, r ReportRequest) (Reported, error) {
	var a quota.Answer
	if !r.unsent() {
		a = r.answer(s.upstream.Load().Dialect, now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.nowLocked()
	p := s.permitLocked(now, n, r.Caller)
	switch {
	case p == nil:
		return Reported{}, ErrPermitUnknown
	case s.gone:
		return Reported{}, ErrClosed
	}
	s.endLocked(p)
	if r.unsent() {
		s.ledger.Release(now, &p.grant)
	} else {
		s.ledger.Settle(now, &p.grant, a)
		s.scoreLocked(now, p, a)
	}
	s.stepLocked(now)
	return s.reportedLocked(now, p.grant.Scope, p.costs, a), nil
}

// observe learns from a call of which no permit is known.
func (b *Broker) observe(ctx context.Context, r ReportRequest) (Reported, error) {
	s, err := b.shardOf(r.Scope)
	if err != nil {
		return Reported{}, err
	}
	var a quota.Answer
	if !r.unsent() {
		a = r.answer(s.upstream.Load().Dialect, b.clock.now())
	}
	if s, err = b.lockShard(r.Scope); err != nil {
		return Reported{}, err
	}
	defer s.mu.Unlock()
	if err := s.awaitOwnedLocked(ctx); err != nil {
		return Reported{}, err
	}
	now := s.nowLocked()
	if !r.unsent() {
		s.ledger.Observe(now, r.Scope, a)
	}
	s.stepLocked(now)
	return s.reportedLocked(now, r.Scope, nil, a), nil
}

// reportedLocked is the answer to a report.
func (s *shard) reportedLocked(now time.Time, scope quota.Scope, costs quota.Costs, a quota.Answer) Reported {
	return Reported{Retry: s.retryLocked(now, scope, costs, a), Quotas: s.countedLocked(now, scope)}
}

func (s *shard) retryLocked(now time.Time, scope quota.Scope, costs quota.Costs, a quota.Answer) Retry {
	if a.Unanswered || a.Verdict == quota.Passed || s.api.Shadow {
		return Retry{}
	}
	d := s.ledger.Check(now, quota.Request{Scope: scope, Costs: costs})
	retry := Retry{Advised: true, After: until(now, d.RetryAt), Reason: a.Reason}
	if retry.Reason == "" {
		retry.Reason = d.Reason.String()
	}
	return retry
}

// Release ends a permit with which nothing was sent, and credits its cost. It
// returns [ErrPermitUnknown], and changes nothing, for one that is unknown, has
// ended or lapsed, or is another caller's.
func (b *Broker) Release(_ context.Context, caller, permitID string) error {
	if b.isClosing() {
		return ErrClosed
	}
	s, n, ok := b.lives.find(permitID)
	if !ok {
		return ErrPermitUnknown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.nowLocked()
	p := s.permitLocked(now, n, caller)
	switch {
	case p == nil:
		return ErrPermitUnknown
	case s.gone:
		return ErrClosed
	case !s.ledger.Release(now, &p.grant):
		return ErrPermitUnknown
	}
	s.endLocked(p)
	s.stepLocked(now)
	return nil
}
