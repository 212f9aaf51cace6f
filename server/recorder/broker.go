package recorder

import (
	"context"
	"errors"

	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
)

// Broker is a broker whose decisions are recorded. It is safe for concurrent use.
type Broker struct {
	server.Broker
	// Recorder is where they go.
	Recorder *Recorder
}

// Acquire decides as the broker does, and records what was asked and decided.
func (b Broker) Acquire(ctx context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
	a, err := b.Broker.Acquire(ctx, r)
	if failed, ok := decided(err); ok {
		seen := broker.Acquired{Denied: a.Denied, Permit: a.Permit, Waited: a.Waited} // the rest is not kept
		b.Recorder.put(func(m *maker) recording.Line { return m.acquire(&r, &seen, failed) })
	}
	return a, err
}

// Report reports as the broker does, and records what came back and was advised.
func (b Broker) Report(ctx context.Context, r broker.ReportRequest) (broker.Reported, error) {
	reported, err := b.Broker.Report(ctx, r)
	if failed, ok := decided(err); ok {
		retry := reported.Retry
		b.Recorder.put(func(m *maker) recording.Line { return m.report(&r, retry, failed) })
	}
	return reported, err
}

// Release ends a permit as the broker does, and records that.
func (b Broker) Release(ctx context.Context, caller, permitID string) error {
	err := b.Broker.Release(ctx, caller, permitID)
	if failed, ok := decided(err); ok {
		b.Recorder.put(func(m *maker) recording.Line {
			return recording.Line{Release: &recording.Release{Permit: m.permit(permitID), Caller: caller, Failed: failed}}
		})
	}
	return err
}

// decided is the failure that a recording has for an error, empty without one. It
// is false for bad input, of which there is nothing to decide.
func decided(err error) (failed string, ok bool) {
	_, bad := errors.AsType[*quota.FieldError](err)
	switch {
	case err == nil:
		return "", true
	case bad:
		return "", false
	case errors.Is(err, broker.ErrPermitUnknown):
		return recording.NoPermit, true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return recording.GaveUp, true
	}
	return recording.Unavailable, true
}
