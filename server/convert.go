package server

import (
	"fmt"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Bounds of what a request may hold, in bytes and in number; the contract
// states them.
const (
	maxRequestID  = 128
	maxPermitID   = 256
	maxFields     = 64
	maxFieldValue = 1 << 10
	maxBody       = 4 << 10
)

// acquireRequest is the domain's form of a request; its Conn is left nil.
func acquireRequest(in *pb.AcquirePermitRequest) (broker.AcquireRequest, error) {
	var c checker
	r := broker.AcquireRequest{
		Scope:     c.scope(in.GetScope()),
		Caller:    c.text("caller", in.GetCaller()),
		Costs:     c.costs("costs", in.GetCosts()),
		Priority:  c.priority(in.GetPriority()),
		MaxWait:   c.duration("max_wait", in.GetMaxWait()),
		RequestID: c.text("request_id", in.GetRequestId()),
		DryRun:    in.GetDryRun(),
	}
	if len(r.RequestID) > maxRequestID {
		c.reject("request_id", r.RequestID, fmt.Sprintf("at most %d bytes", maxRequestID))
	}
	return r, c.err()
}

// reportRequest is the domain's form of a report. A permit id that no broker
// ever made is [broker.ErrPermitUnknown].
func reportRequest(in *pb.ReportOutcomeRequest) (broker.ReportRequest, error) {
	var c checker
	r := broker.ReportRequest{
		PermitID: in.GetPermitId(),
		Caller:   c.text("caller", in.GetCaller()),
		Result:   c.result(in.GetResult(), in.GetStatusCode()),
		Response: dialect.Response{
			Status:   c.statusCode(in.GetStatusCode()),
			Headers:  c.fields("headers", in.GetHeaders()),
			Trailers: c.fields("trailers", in.GetTrailers()),
			Body:     in.GetBodyExcerpt(),
		},
		SinceSent:     c.duration("since_sent", in.GetSinceSent()),
		SinceReceived: c.duration("since_received", in.GetSinceReceived()),
		ActualCosts:   c.costs("actual_costs", in.GetActualCosts()),
		FromCache:     in.GetFromCache(),
	}
	switch {
	case r.PermitID == "" && in.GetScope() == nil:
		c.reject("permit_id", "", "give the permit's id, or the scope of a call that was made without one")
	case r.PermitID == "" || !isEmpty(in.GetScope()):
		r.Scope = c.scope(in.GetScope())
	}
	if n := len(r.Response.Body); n > maxBody {
		c.reject("body_excerpt", fmt.Sprint(n, " bytes"), fmt.Sprintf("at most %d bytes: send only the start of the body", maxBody))
	}
	if in.GetSinceSent() != nil && in.GetSinceReceived() != nil && r.SinceReceived > r.SinceSent {
		c.reject("since_received", r.SinceReceived.String(),
			fmt.Sprintf("at most since_sent (%v): a response comes after its request", r.SinceSent))
	}
	return r, c.permit(r.PermitID)
}

// releaseRequest is who releases which permit.
func releaseRequest(in *pb.ReleasePermitRequest) (caller, permitID string, err error) {
	var c checker
	caller, permitID = c.text("caller", in.GetCaller()), in.GetPermitId()
	if permitID == "" {
		c.reject("permit_id", "", "give the id of the permit to release")
	}
	return caller, permitID, c.permit(permitID)
}

// watchPattern is the buckets to watch.
func watchPattern(in *pb.WatchQuotaRequest) (quota.Scope, error) {
	var c checker
	c.text("caller", in.GetCaller())
	pattern := c.pattern(in.GetScope())
	return pattern, c.err()
}

// isEmpty reports whether a scope has no part.
func isEmpty(s *pb.Scope) bool {
	return s.GetApi() == "" && s.GetApp() == "" && s.GetUser() == "" && s.GetEndpoint() == "" && len(s.GetLabels()) == 0
}
