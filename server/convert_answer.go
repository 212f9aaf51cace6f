package server

import (
	"iter"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// acquireResponse is the wire's form of a grant, or of a dry run that would be
// one.
func acquireResponse(a broker.Acquired) *pb.AcquirePermitResponse {
	out := &pb.AcquirePermitResponse{
		Quotas: quotas(a.Quotas), Waited: durationpb.New(a.Waited), ShadowDenied: denial(a.Shadowed),
	}
	if a.Permit.ID != "" {
		out.Permit = &pb.Permit{
			Id:            a.Permit.ID,
			SendWithin:    durationpb.New(a.Permit.SendWithin),
			ReportWithin:  durationpb.New(a.Permit.ReportWithin),
			Generation:    a.Permit.Generation,
			ReportHeaders: a.Permit.Wants.Headers,
			ReportBody:    reportBody(a.Permit.Wants.Body),
		}
	}
	return out
}

func reportResponse(r broker.Reported) *pb.ReportOutcomeResponse {
	return &pb.ReportOutcomeResponse{
		Retry:  &pb.Retry{Advised: r.Retry.Advised, After: durationpb.New(r.Retry.After), Reason: printable(r.Retry.Reason)},
		Quotas: quotas(r.Quotas),
	}
}

// watchResponses are the messages of one batch: first what makes permits void,
// then the buckets, in as many messages as their size asks for. An empty batch
// is one empty message, which tells a watcher that there is nothing yet.
func watchResponses(c broker.Changes) iter.Seq[*pb.WatchQuotaResponse] {
	// One more entry, of a few KiB at most, still fits the greatest message.
	const full = maxMessage / 2
	return func(yield func(*pb.WatchQuotaResponse) bool) {
		out, size := &pb.WatchQuotaResponse{}, 0
		room := func(entry proto.Message) bool {
			if size += proto.Size(entry); size < full {
				return true
			}
			more := yield(out)
			out, size = &pb.WatchQuotaResponse{}, proto.Size(entry)
			return more
		}
		for _, r := range c.Revocations {
			v := &pb.Revocation{Scope: scope(r.Scope), Generation: r.Generation, Reason: printable(r.Reason)}
			if !room(v) {
				return
			}
			out.Revocations = append(out.Revocations, v)
		}
		for _, q := range c.Quotas {
			v := quotaState(q)
			if !room(v) {
				return
			}
			out.Quotas = append(out.Quotas, v)
		}
		yield(out)
	}
}

func quotas(in []broker.Quota) []*pb.Quota {
	out, room := make([]*pb.Quota, len(in)), make([]quotaMessage, len(in))
	for i := range in {
		out[i] = room[i].of(&in[i])
	}
	return out
}

func quotaState(q broker.Quota) *pb.Quota { return new(quotaMessage).of(&q) }

// quotaMessage is a quota with the messages in it. Every answer has one for each
// bucket, so it is made in one piece.
type quotaMessage struct {
	quota       pb.Quota
	scope       pb.Scope
	reset, cool durationpb.Duration
}

func (m *quotaMessage) of(q *broker.Quota) *pb.Quota {
	out := &m.quota
	out.Name, out.Unit = printable(q.Limit), printable(q.Unit)
	out.Scope = fillScope(&m.scope, q.Key)
	out.Limit, out.Remaining = q.Quota, q.Remaining
	out.State, out.Provenance, out.Pressure = state(q.State), provenance(q.Provenance), q.Pressure
	out.ResetAfter = fillUntil(&m.reset, q.ResetAt, q.ResetAfter)
	out.CooldownAfter = fillUntil(&m.cool, q.CoolUntil, q.CoolAfter)
	out.CooldownReason = printable(q.CoolReason)
	return out
}

// until is the duration to an instant, absent when the instant is not known.
func until(at time.Time, d time.Duration) *durationpb.Duration {
	return fillUntil(new(durationpb.Duration), at, d)
}

func fillUntil(out *durationpb.Duration, at time.Time, d time.Duration) *durationpb.Duration {
	if at.IsZero() {
		return nil
	}
	d = max(d, 0)
	out.Seconds, out.Nanos = int64(d/time.Second), int32(d%time.Second)
	return out
}

func scope(s quota.Scope) *pb.Scope { return fillScope(new(pb.Scope), s) }

func fillScope(out *pb.Scope, s quota.Scope) *pb.Scope {
	out.Api, out.App, out.User, out.Endpoint = s.API, s.App, s.User, s.Endpoint
	for name, value := range s.Labels.All {
		if out.Labels == nil {
			out.Labels = make(map[string]string)
		}
		out.Labels[name] = value
	}
	return out
}

func state(s quota.State) pb.State {
	switch s {
	case quota.Cooling:
		return pb.State_STATE_COOLING
	case quota.ProbingState:
		return pb.State_STATE_PROBING
	case quota.Ramping:
		return pb.State_STATE_RAMPING
	default:
		return pb.State_STATE_OPEN
	}
}

func provenance(p quota.Provenance) pb.Provenance {
	switch p {
	case quota.Configured:
		return pb.Provenance_PROVENANCE_CONFIGURED
	case quota.Told:
		return pb.Provenance_PROVENANCE_TOLD
	case quota.Learned:
		return pb.Provenance_PROVENANCE_LEARNED
	default:
		return pb.Provenance_PROVENANCE_UNSPECIFIED
	}
}

func reportBody(b dialect.Body) pb.ReportBody {
	switch b {
	case dialect.ErrorBody:
		return pb.ReportBody_REPORT_BODY_ON_ERROR
	case dialect.EveryBody:
		return pb.ReportBody_REPORT_BODY_ALWAYS
	default:
		return pb.ReportBody_REPORT_BODY_NEVER
	}
}
