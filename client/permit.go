package client

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Permit is the right to make one call. It ends exactly once; see the package
// comment. It is safe for concurrent use.
type Permit struct {
	client     *Client
	id         string // empty for an unmanaged one
	scope      Scope
	generation uint64
	headers    []string
	body       pb.ReportBody
	shadowed   *DeniedError

	// unsent ends when the permit may no longer be sent; its cause says why.
	unsent context.Context
	void   context.CancelCauseFunc
	// lapse is when the permit becomes void by itself, and timer ends unsent
	// then; zero and nil for an unmanaged one.
	lapse time.Time
	timer *time.Timer
	ended atomic.Bool
}

// newPermit makes a permit of a broker's. Its time counts from before it was
// asked for, so that what the request and the answer took on their way is never
// in the caller's favour.
func (c *Client) newPermit(ctx context.Context, s Scope, granted *pb.Permit, asked time.Time, w *watch) *Permit {
	within := defaultSendWithin
	if granted.GetSendWithin() != nil {
		within = granted.GetSendWithin().AsDuration()
	}
	p := c.unmanaged(ctx, s)
	p.id = granted.GetId()
	p.generation = granted.GetGeneration()
	p.headers = granted.GetReportHeaders()
	p.body = granted.GetReportBody()
	p.lapse = asked.Add(within)
	p.timer = time.AfterFunc(time.Until(p.lapse), func() { p.void(ErrLapsed) })
	w.guard(p)
	return p
}

// unmanaged is a permit that nobody granted.
func (c *Client) unmanaged(ctx context.Context, s Scope) *Permit {
	p := &Permit{client: c, scope: s}
	p.unsent, p.void = context.WithCancelCause(context.WithoutCancel(ctx))
	return p
}

// Scope is whose call the permit is for.
func (p *Permit) Scope() Scope { return p.scope.clone() }

// Unmanaged reports whether the broker was away and nobody granted the permit:
// see [WithBrokerAway]. Its report tells the broker what came back if that is
// there again by then.
func (p *Permit) Unmanaged() bool { return p.id == "" }

// WantsBody reports whether the broker asked for the start of a body that came
// with the given status.
func (p *Permit) WantsBody(status int) bool {
	switch p.body {
	case pb.ReportBody_REPORT_BODY_ALWAYS:
		return true
	case pb.ReportBody_REPORT_BODY_ON_ERROR:
		return status >= 400
	default:
		return false
	}
}

// Check reports whether the call may still be sent: nil, [ErrLapsed],
// [ErrRevoked] with the broker's reason, or [ErrEnded]. Ask it right before
// sending. After an error but ErrEnded, Drop the permit and acquire another.
func (p *Permit) Check() error {
	switch err := context.Cause(p.unsent); {
	case p.ended.Load():
		return ErrEnded
	case err == nil && !p.lapse.IsZero() && !time.Now().Before(p.lapse):
		return ErrLapsed // the timer is late
	default:
		return err
	}
}

// AfterVoid calls f on a goroutine of its own once the call may no longer be
// sent, which is also when the permit has ended. The stop function reports
// whether it kept f from being called.
func (p *Permit) AfterVoid(f func()) (stop func() bool) {
	return context.AfterFunc(p.unsent, f)
}

// end ends the permit, and reports whether this was the first to do so.
func (p *Permit) end() bool {
	if !p.ended.CompareAndSwap(false, true) {
		return false
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.void(ErrEnded)
	return true
}

// revoke makes the permit void if it has not been so before.
func (p *Permit) revoke(reason string) {
	p.void(fmt.Errorf("%w: %s", ErrRevoked, reason))
}
