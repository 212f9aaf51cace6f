package client

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Retry is the broker's advice on sending the same request again. It does not
// know whether the request is safe to repeat.
type Retry struct {
	// Advised is true when the upstream held the call back and it may succeed
	// later. The zero value advises nothing.
	Advised bool
	// After is how long to wait before the next Acquire, which then waits for
	// the rest.
	After time.Duration
	// Reason says why, in one line for a log.
	Reason string
}

// answer is what came of a report.
type answer struct {
	retry Retry
	err   error
}

// Done ends the permit with what came back, and returns the broker's advice.
//
// The report has a time of its own ([WithReportTimeout]) and is sent even when
// ctx has ended; ctx only bounds how long Done waits for the answer. An error
// but [ErrEnded] says that the report may not have arrived; the permit has ended
// all the same, and the broker counts it as spent. Done does not wait for the
// report of an unmanaged permit.
func (p *Permit) Done(ctx context.Context, o Outcome) (Retry, error) {
	if !p.end() {
		return Retry{}, ErrEnded
	}
	answered := p.send(ctx, &o)
	if p.Unmanaged() {
		return Retry{}, nil
	}
	select {
	case a := <-answered:
		return a.retry, a.err
	case <-ctx.Done():
		return Retry{}, fmt.Errorf("the report is under way: %w", ctx.Err())
	}
}

// DoneAsync is Done for a caller that needs no advice: the report is sent in the
// background, and [Client.Close] waits for it. It returns nil or [ErrEnded].
func (p *Permit) DoneAsync(o Outcome) error {
	if !p.end() {
		return ErrEnded
	}
	p.send(p.unsent, &o)
	return nil
}

// Drop ends a permit with which nothing was sent: its cost is credited. It does
// not wait while the client is open: the release is sent in the background, and
// [Client.Close] waits for it; one that is lost leaves the permit to lapse. It
// returns nil or [ErrEnded].
func (p *Permit) Drop() error {
	if !p.end() {
		return ErrEnded
	}
	if !p.Unmanaged() {
		p.client.background(p.release)
	}
	return nil
}

// release gives the permit back.
func (p *Permit) release() {
	c := p.client
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.unsent), c.set.reportTimeout)
	defer cancel()
	_ = c.retry(ctx, func(int) error {
		_, err := c.stub.ReleasePermit(ctx, &pb.ReleasePermitRequest{PermitId: p.id, Caller: c.set.caller})
		return err
	})
}

// send reports the outcome in the background, with the values of ctx.
func (p *Permit) send(ctx context.Context, o *Outcome) <-chan answer {
	answered := make(chan answer, 1)
	if p.Unmanaged() && o.Result == NotSent {
		return answered
	}
	report, sent, received := p.message(o), o.Sent, o.Received
	ctx = context.WithoutCancel(ctx)
	p.client.background(func() {
		ctx, cancel := context.WithTimeout(ctx, p.client.set.reportTimeout)
		defer cancel()
		retry, err := p.client.report(ctx, report, sent, received)
		answered <- answer{retry, err}
	})
	return answered
}

// report sends a report until it has arrived. Its times are told anew each try.
func (c *Client) report(ctx context.Context, r *pb.ReportOutcomeRequest, sent, received time.Time) (Retry, error) {
	var told *pb.ReportOutcomeResponse
	err := c.retry(ctx, func(try int) (err error) {
		// By one instant: a pause between two would tell of a response that came
		// before its request, and that is refused.
		now := time.Now()
		r.SinceSent, r.SinceReceived = since(now, sent), since(now, received)
		told, err = c.stub.ReportOutcome(ctx, r)
		if try > 0 && status.Code(err) == codes.NotFound {
			return nil // a try before this one arrived, and its answer was lost
		}
		return err
	})
	if err != nil {
		return Retry{}, fmt.Errorf("report: %w", err)
	}
	advice := told.GetRetry()
	return Retry{
		Advised: advice.GetAdvised(),
		After:   max(advice.GetAfter().AsDuration(), 0),
		Reason:  advice.GetReason(),
	}, nil
}
