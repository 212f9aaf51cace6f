package server

import (
	"context"
	"errors"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/broker"
)

// Admin is what the admin service needs of the use cases. [broker.Broker] is it;
// see there what each method promises. It must be safe for concurrent use.
type Admin interface {
	// List lists the buckets that match a pattern.
	List(r broker.ListRequest) (broker.Listing, error)
	// Explain says what would become of a call, and why.
	Explain(ctx context.Context, r broker.ExplainRequest) (broker.Explained, error)
	// Scores are those of the API in shadow mode, or of all.
	Scores(api string) []broker.Score
}

// errNotAdmitted answers who may not see other callers' quotas.
var errNotAdmitted = errors.New("over TLS an operator's calls need a verified client certificate: set tls.client_ca at the broker and show a certificate that it signed, or call on loopback without TLS")

// admitted reports who may not ask as an operator. Whoever comes without TLS is
// on this machine: see [Server.Serve].
func admitted(ctx context.Context) error {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return errNotAdmitted
	}
	info, secure := p.AuthInfo.(credentials.TLSInfo)
	if secure && len(info.State.VerifiedChains) == 0 {
		return errNotAdmitted
	}
	return nil
}

// admin is the operator's RPCs: convert, ask the broker, convert back.
type admin struct {
	pb.UnimplementedAdminServiceServer
	broker Admin
}

// ListQuotas implements the contract.
func (a *admin) ListQuotas(ctx context.Context, in *pb.ListQuotasRequest) (*pb.ListQuotasResponse, error) {
	if err := admitted(ctx); err != nil {
		return nil, statusOf(ctx, err)
	}
	r, err := listRequest(in)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	l, err := a.broker.List(r)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	return listResponse(l), nil
}

// Explain implements the contract.
func (a *admin) Explain(ctx context.Context, in *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	if err := admitted(ctx); err != nil {
		return nil, statusOf(ctx, err)
	}
	r, err := explainRequest(in)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	x, err := a.broker.Explain(ctx, r)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	return explainResponse(x), nil
}

// ListShadowScores implements the contract.
func (a *admin) ListShadowScores(ctx context.Context, in *pb.ListShadowScoresRequest) (*pb.ListShadowScoresResponse, error) {
	if err := admitted(ctx); err != nil {
		return nil, statusOf(ctx, err)
	}
	var c checker
	api := c.text("api", in.GetApi())
	if err := c.err(); err != nil {
		return nil, statusOf(ctx, err)
	}
	return scoresResponse(a.broker.Scores(api)), nil
}
