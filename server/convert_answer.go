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
	out := &pb.AcquirePermitResponse{Quotas: quotas(a.Quotas), Waited: durationpb.New(a.Waited)}
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
	out := make([]*pb.Quota, len(in))
	for i, q := range in {
		out[i] = quotaState(q)
	}
	return out
}

func quotaState(q broker.Quota) *pb.Quota {
	return &pb.Quota{
		Name:           printable(q.Limit),
		Scope:          scope(q.Key),
		Limit:          q.Quota,
		Remaining:      q.Remaining,
		ResetAfter:     until(q.ResetAt, q.ResetAfter),
		State:          state(q.State),
		Provenance:     provenance(q.Provenance),
		Pressure:       q.Pressure,
		CooldownAfter:  until(q.CoolUntil, q.CoolAfter),
		CooldownReason: printable(q.CoolReason),
		Unit:           printable(q.Unit),
	}
}

// until is the duration to an instant, absent when the instant is not known.
func until(at time.Time, d time.Duration) *durationpb.Duration {
	if at.IsZero() {
		return nil
	}
	return durationpb.New(max(d, 0))
}

func scope(s quota.Scope) *pb.Scope {
	out := &pb.Scope{Api: s.API, App: s.App, User: s.User, Endpoint: s.Endpoint}
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
