package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Priority is the class of a call: a head start in the queue.
type Priority uint8

// The classes. The zero value is Normal.
const (
	// Normal has no head start.
	Normal Priority = iota
	// Critical is 60 s ahead of Normal.
	Critical
	// High is 10 s ahead of Normal.
	High
	// Background is 60 s behind Normal.
	Background
)

// headStart is how much earlier than it did a call of the class counts as come:
// a lower class is late, and is never starved.
func (p Priority) headStart() time.Duration {
	return [...]time.Duration{Critical: time.Minute, High: 10 * time.Second, Background: -time.Minute}[p]
}

// maxRequestID is the longest request id, in bytes.
const maxRequestID = 128

// AcquireRequest asks for the right to make one call.
type AcquireRequest struct {
	// Scope is whose call it is. Required.
	Scope quota.Scope
	// Caller is the service that asks; the permit is good for it only.
	Caller string
	// Costs is what the call takes of each unit; nil means one request.
	Costs quota.Costs
	// Priority is the class of the call.
	Priority Priority
	// MaxWait is how long the caller is willing to wait; 0 answers at once. Where
	// it is only the store that is missing then, that has a second more. The
	// context's deadline always wins.
	MaxWait time.Duration
	// RequestID makes a retry safe: the same id of the same caller, for the same
	// application, gets the same permit until its send deadline. While the first
	// call waits, a second one joins it and keeps its place in the queue; the
	// wait goes on until both have given up. Empty means none.
	RequestID string
	// DryRun decides and spends nothing. It never waits its turn.
	DryRun bool
	// Conn is the connection that asks, for the bound on its waiters; any
	// comparable value, nil for none.
	Conn any
}

// Denial is why a call was not allowed.
type Denial struct {
	// Reason is one of "QUOTA_EXHAUSTED", "COOLING_DOWN", "PROBING",
	// "TOO_MANY_WAITERS", "DEADLINE_TOO_SHORT".
	Reason string
	// Bucket is the bucket that decides; zero where it is the store that would
	// have to be waited for.
	Bucket quota.Status
	// RetryAfter is when asking again makes sense; always positive.
	RetryAfter time.Duration
}

// The reasons that no bucket has.
const (
	tooManyWaiters   = "TOO_MANY_WAITERS"
	deadlineTooShort = "DEADLINE_TOO_SHORT"
)

// Acquired is the answer to an acquire: Denied is nil if and only if the call is allowed.
type Acquired struct {
	// Denied is why the call was not allowed.
	Denied *Denial
	// Shadowed is why the call would not have been allowed at once, where its API
	// is in shadow mode; nil if it would.
	Shadowed *Denial
	// Permit is the grant; zero when denied and in a dry run.
	Permit Permit
	// Quotas is each bucket that counts the call.
	Quotas []Quota
	// Waited is how long the call waited; 0 when it was answered at once.
	Waited time.Duration
	// Stands is where the call stood meanwhile, in order; the first few.
	Stands []Stand
}

// Stand is one bucket at which a call stood while it waited.
type Stand struct {
	// After is how long the caller had waited by then.
	After time.Duration
	// Limit is the bucket's limit; empty where it was the store that had to be
	// waited for.
	Limit string
	// Reason is why it stood: one of [quota.Reason].
	Reason string
}

// Acquire decides on a call, waiting if it must and may. A context that ends
// while waiting costs nothing: the error is then the context's. Bad input is a
// *quota.FieldError; [ErrUnavailable] says that the store has not confirmed in
// time what would have been granted, [ErrClosed] that the call would have to
// wait and the broker is shutting down. With an error after a wait, Waited and
// Stands are filled in.
func (b *Broker) Acquire(ctx context.Context, r AcquireRequest) (Acquired, error) {
	if err := r.validate(); err != nil {
		return Acquired{}, err
	}
	if err := ctx.Err(); err != nil {
		return Acquired{}, err
	}
	s, err := b.lockShard(r.Scope)
	if err != nil {
		return Acquired{}, err
	}
	defer s.mu.Unlock()
	if r.DryRun {
		return s.checkLocked(ctx, r)
	}
	c := s.newCallLocked(ctx, r)
	w, err := s.arriveLocked(c)
	if c.waits {
		defer b.waiting.leave(r.Conn)
	}
	if err != nil || w.answered {
		return s.outcomeLocked(c, w, err)
	}
	return s.awaitLocked(ctx, c, w)
}

func (r *AcquireRequest) validate() error {
	if err := r.Scope.Validate(); err != nil {
		return err
	}
	if err := r.Costs.Validate("costs"); err != nil {
		return err
	}
	if err := quota.CheckPart("caller", r.Caller); err != nil {
		return err
	}
	switch {
	case r.MaxWait < 0:
		return &quota.FieldError{Field: "max_wait", Value: r.MaxWait.String(), Remedy: "must not be negative"}
	case len(r.RequestID) > maxRequestID:
		return &quota.FieldError{Field: "request_id", Value: r.RequestID, Remedy: fmt.Sprintf("at most %d bytes", maxRequestID)}
	case r.Priority > Background:
		return &quota.FieldError{Field: "priority", Value: fmt.Sprint(r.Priority), Remedy: "no such class"}
	}
	return nil
}
