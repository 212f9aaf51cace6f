package client

import pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"

// Shadowed is why the call would not have been allowed at once, where the broker
// has its API in shadow mode: there every call is granted, and this is for the
// log. It is nil if the call would have been allowed, and in no shadow mode.
func (p *Permit) Shadowed() *DeniedError { return p.shadowed }

func shadowed(d *pb.Denial) *DeniedError {
	if d == nil {
		return nil
	}
	return &DeniedError{
		Reason: d.GetReason(), Bucket: d.GetBucket(), Limit: d.GetLimit(),
		RetryAfter: max(d.GetRetryAfter().AsDuration(), 0),
	}
}
