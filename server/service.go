package server

import (
	"context"

	"google.golang.org/grpc"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
)

// service is the contract's RPCs: convert, ask the broker, convert back.
type service struct {
	pb.UnimplementedQuotaBrokerServiceServer
	broker Broker
}

// AcquirePermit implements the contract.
func (s *service) AcquirePermit(ctx context.Context, in *pb.AcquirePermitRequest) (*pb.AcquirePermitResponse, error) {
	r, err := acquireRequest(in)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	if r.Caller, err = callerOf(ctx, r.Caller); err != nil {
		return nil, statusOf(ctx, err)
	}
	r.Conn = connOf(ctx)
	a, err := s.broker.Acquire(ctx, r)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	if a.Denied != nil {
		return nil, denied(a.Denied, r.Scope.API)
	}
	return acquireResponse(a), nil
}

// ReportOutcome implements the contract.
func (s *service) ReportOutcome(ctx context.Context, in *pb.ReportOutcomeRequest) (*pb.ReportOutcomeResponse, error) {
	r, err := reportRequest(in)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	if r.Caller, err = callerOf(ctx, r.Caller); err != nil {
		return nil, statusOf(ctx, err)
	}
	reported, err := s.broker.Report(ctx, r)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	return reportResponse(reported), nil
}

// ReleasePermit implements the contract.
func (s *service) ReleasePermit(ctx context.Context, in *pb.ReleasePermitRequest) (*pb.ReleasePermitResponse, error) {
	caller, permitID, err := releaseRequest(in)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	if caller, err = callerOf(ctx, caller); err != nil {
		return nil, statusOf(ctx, err)
	}
	if err := s.broker.Release(ctx, caller, permitID); err != nil {
		return nil, statusOf(ctx, err)
	}
	return &pb.ReleasePermitResponse{}, nil
}

// WatchQuota implements the contract.
func (s *service) WatchQuota(in *pb.WatchQuotaRequest, stream grpc.ServerStreamingServer[pb.WatchQuotaResponse]) error {
	ctx := stream.Context()
	pattern, err := watchPattern(in)
	if err != nil {
		return statusOf(ctx, err)
	}
	if _, err := callerOf(ctx, in.GetCaller()); err != nil {
		return statusOf(ctx, err)
	}
	w, err := s.broker.Watch(pattern)
	if err != nil {
		return statusOf(ctx, err)
	}
	defer w.Close()
	return pump(ctx, w, stream.Send)
}

// changes is the part of a broker.Watcher that is pumped.
type changes interface {
	Next(ctx context.Context) (broker.Changes, error)
}

// pump sends what changes until the watch ends. While a slow reader holds up a
// send, the watcher keeps the latest for it.
func pump(ctx context.Context, w changes, send func(*pb.WatchQuotaResponse) error) error {
	for {
		c, err := w.Next(ctx)
		if err != nil {
			return statusOf(ctx, err)
		}
		for r := range watchResponses(c) {
			if err := send(r); err != nil {
				return err
			}
		}
	}
}
