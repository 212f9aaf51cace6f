package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors of a client and of a permit.
var (
	// ErrEnded answers a second Done or Drop: the permit has ended already, and
	// nothing was done. It is harmless after a deferred Drop.
	ErrEnded = errors.New("the permit has ended already")
	// ErrLapsed says that the permit was not sent in time and is void.
	ErrLapsed = errors.New("the permit was not sent in time")
	// ErrRevoked says that the broker took the permit back before it was sent,
	// because the upstream told some member of the fleet to wait.
	ErrRevoked = errors.New("the permit was revoked")
	// ErrClosed says that the client is closed.
	ErrClosed = errors.New("the client is closed")
)

// Reasons of a [DeniedError].
const (
	QuotaExhausted   = "QUOTA_EXHAUSTED"
	CoolingDown      = "COOLING_DOWN"
	Probing          = "PROBING"
	TooManyWaiters   = "TOO_MANY_WAITERS"
	DeadlineTooShort = "DEADLINE_TOO_SHORT"
)

// errorDomain is the domain of the ErrorInfo that says that a status is a
// broker's decision, and not a failure on the way to it.
const errorDomain = "quotabroker"

// DeniedError says that the call may not be made now.
type DeniedError struct {
	// Reason is one of the constants above, or what a newer broker says.
	Reason string
	// Bucket is the bucket that decides, and Limit the name of its limit; both
	// are empty when none does (TOO_MANY_WAITERS).
	Bucket, Limit string
	// RetryAfter is when asking again makes sense; 0 when the broker didn't say.
	RetryAfter time.Duration

	status *status.Status
}

// Error says reason, bucket and when to ask again in one line.
func (e *DeniedError) Error() string {
	s := "denied: " + e.Reason
	if e.Bucket != "" {
		s += fmt.Sprintf(": limit %q of %q", e.Limit, e.Bucket)
	}
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(": ask again in %v", (e.RetryAfter + time.Millisecond - 1).Truncate(time.Millisecond))
	}
	return s
}

// GRPCStatus is the broker's status with its details: RESOURCE_EXHAUSTED.
func (e *DeniedError) GRPCStatus() *status.Status {
	if e.status == nil { // not the broker's words but the client's own, or a test's
		return status.New(codes.ResourceExhausted, e.Error())
	}
	return e.status
}

// UnavailableError says that the broker is away; nothing was granted.
type UnavailableError struct {
	// RetryAfter is when the broker says that trying again makes sense; 0 when
	// it said nothing.
	RetryAfter time.Duration

	err error
}

// Error says what the last try met.
func (e *UnavailableError) Error() string { return fmt.Sprintf("the broker is away: %v", e.err) }

// Unwrap is the error of the last try, a gRPC status.
func (e *UnavailableError) Unwrap() error { return e.err }

// typed makes of a broker's error what a caller can act on.
func typed(err error) error {
	st := status.Convert(err)
	info, after := details(st)
	switch {
	case st.Code() == codes.ResourceExhausted && info.GetDomain() == errorDomain:
		return &DeniedError{
			Reason: info.GetReason(), RetryAfter: after, status: st,
			Bucket: info.GetMetadata()["bucket"], Limit: info.GetMetadata()["limit"],
		}
	case st.Code() == codes.Unavailable, st.Code() == codes.DeadlineExceeded:
		return &UnavailableError{RetryAfter: after, err: err}
	default:
		return err
	}
}

// details is what a status carries besides its code and message.
func details(st *status.Status) (info *errdetails.ErrorInfo, retryAfter time.Duration) {
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retryAfter = max(d.GetRetryDelay().AsDuration(), 0)
		}
	}
	return info, retryAfter
}

// tooManyWaiters is the denial of a call that waited in the client's own queue
// for all of its time.
func tooManyWaiters() *DeniedError {
	return &DeniedError{Reason: TooManyWaiters, RetryAfter: time.Second}
}

// ended is why ctx is over, as an error of Acquire: ErrClosed, or the context's
// error with its cause.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ErrClosed) || errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("no permit: %w", cause)
	}
	return fmt.Errorf("no permit: %w: %w", ctx.Err(), cause)
}
