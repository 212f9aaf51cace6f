package client

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

const (
	// answerIn is how long past the end of its wait a broker may take to answer.
	answerIn = 5 * time.Second
	// maxMargin is the most that a wait ends before the caller's deadline, so
	// that the broker's reason arrives instead of a bare "deadline exceeded".
	maxMargin = 100 * time.Millisecond
	// defaultSendWithin is for a broker that does not say.
	defaultSendWithin = 5 * time.Second
)

// Acquire waits for the right to make one call of the scope, to the context's
// deadline or, without one, for [DefaultMaxWait]; see [WithMaxWait].
//
// It fails with a [*DeniedError] when the call may not be made in time, with an
// [*UnavailableError] when the broker is away (see [WithBrokerAway]), with the
// context's error when that ended first, with [ErrClosed], with an
// [*InvalidScopeError], and otherwise with the broker's gRPC status. After an
// error nothing was granted, or what was granted lapses unused.
func (c *Client) Acquire(ctx context.Context, s Scope, opts ...AcquireOption) (*Permit, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	a := c.newAsk(ctx, s.clone(), opts)
	ctx, stop := c.whileOpen(ctx)
	defer stop()
	if c.open.Err() != nil {
		return nil, ended(c.open)
	}
	w := c.watches.hold(s.API, s.App)
	defer w.release()
	leave, err := c.enter(ctx, a)
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.grant(ctx, a, w)
}

// ask is one Acquire under way.
type ask struct {
	call
	scope Scope
	// end is when the wait is over.
	end time.Time
}

func (c *Client) newAsk(ctx context.Context, s Scope, opts []AcquireOption) *ask {
	a := &ask{call: c.set.call, scope: s}
	for _, o := range opts {
		o.applyCall(&a.call)
	}
	wait := DefaultMaxWait
	if a.waitSet {
		wait = a.maxWait
	} else if end, ok := ctx.Deadline(); ok {
		wait = time.Until(end)
	}
	a.end = time.Now().Add(wait)
	return a
}

// left is how long the call may still wait, never negative: a little less than
// the context has left.
func (a *ask) left(ctx context.Context) time.Duration {
	wait := time.Until(a.end)
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		wait = min(wait, left-min(left/10, maxMargin))
	}
	return max(wait, 0)
}

// enter takes a place among the calls that may wait at the broker, and returns
// how to leave it. A call that wants an answer at once needs none.
func (c *Client) enter(ctx context.Context, a *ask) (leave func(), err error) {
	wait := a.left(ctx)
	if wait <= 0 {
		return func() {}, nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case c.waiting <- struct{}{}:
		return func() { <-c.waiting }, nil
	case <-ctx.Done():
		return nil, ended(ctx)
	case <-t.C:
		return nil, tooManyWaiters()
	}
}

// grant asks until it has a permit that may still be sent. One that lapsed or was
// revoked on its way is given back.
func (c *Client) grant(ctx context.Context, a *ask, w *watch) (*Permit, error) {
	var void error
	for range c.set.attempts {
		p, err := c.askOnce(ctx, a, w)
		if err != nil {
			return c.refused(ctx, a, err)
		}
		if void = p.Check(); void == nil {
			return p, nil
		}
		_ = p.Drop()
	}
	return nil, void
}

// askOnce gets one permit. All tries have one request id, so that a grant whose
// answer was lost is found again and not granted twice.
func (c *Client) askOnce(ctx context.Context, a *ask, w *watch) (*Permit, error) {
	id := rand.Text()
	var asked time.Time
	var answer *pb.AcquirePermitResponse
	err := c.retry(ctx, func(int) (err error) {
		asked = time.Now()
		ctx, cancel := context.WithTimeout(ctx, a.left(ctx)+answerIn)
		defer cancel()
		answer, err = c.stub.AcquirePermit(ctx, c.request(ctx, a, id))
		return err
	})
	if err != nil {
		return nil, err
	}
	if answer.GetPermit().GetId() == "" {
		return nil, status.Error(codes.Internal, "the broker's answer has no permit")
	}
	p := c.newPermit(ctx, a.scope, answer.GetPermit(), asked, w)
	p.shadowed = shadowed(answer.GetShadowDenied())
	return p, nil
}

// request is what is asked of the broker now.
func (c *Client) request(ctx context.Context, a *ask, id string) *pb.AcquirePermitRequest {
	return &pb.AcquirePermitRequest{
		Scope:     a.scope.message(),
		Caller:    c.set.caller,
		Costs:     a.costs,
		Priority:  a.priority.message(),
		MaxWait:   durationpb.New(a.left(ctx)),
		RequestId: id,
	}
}

// refused is what Acquire returns for an error of the broker or of the way to it.
func (c *Client) refused(ctx context.Context, a *ask, err error) (*Permit, error) {
	err = typed(err)
	var denied *DeniedError
	if ctx.Err() != nil && !errors.As(err, &denied) {
		return nil, ended(ctx)
	}
	if end, ok := ctx.Deadline(); ok && status.Code(err) == codes.DeadlineExceeded && time.Until(end) < maxMargin {
		// The other side was a little faster in ending the same wait.
		return nil, errors.Join(context.DeadlineExceeded, err)
	}
	var away *UnavailableError
	if errors.As(err, &away) && a.away == Allow {
		return c.unmanaged(ctx, a.scope), nil
	}
	return nil, err
}
