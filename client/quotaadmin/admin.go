package quotaadmin

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quotabroker/quotabroker/client"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Client asks one broker. It is safe for concurrent use.
type Client struct {
	stub pb.AdminServiceClient
}

// New makes a client of a connection, which stays the caller's to close. It does
// no I/O.
func New(conn grpc.ClientConnInterface) *Client { return &Client{pb.NewAdminServiceClient(conn)} }

// Order is which buckets come first.
type Order uint8

// The orders. The zero value is ByPressure.
const (
	// ByPressure has the fullest first.
	ByPressure Order = iota
	// ByUsed has those of which most was used in this window first.
	ByUsed
	// ByWaiting has those at which most callers wait first.
	ByWaiting
	// ByName sorts by API, application, the other parts, and limit.
	ByName
)

func (o Order) message() pb.Order {
	switch o {
	case ByUsed:
		return pb.Order_ORDER_USED
	case ByWaiting:
		return pb.Order_ORDER_WAITING
	case ByName:
		return pb.Order_ORDER_NAME
	default:
		return pb.Order_ORDER_PRESSURE
	}
}

// Query chooses buckets.
type Query struct {
	// Scope matches them: parts left empty match everything.
	Scope client.Scope
	// Top is how many are listed at most, to 1000; 0 means 100.
	Top int
	// Order says which come first.
	Order Order
}

// Quotas lists buckets and sums up all that match.
func (c *Client) Quotas(ctx context.Context, q Query) (Listing, error) {
	// What does not fit is out of bounds all the same.
	const most = 1<<31 - 1
	top := int32(max(-1, min(q.Top, most)))
	got, err := c.stub.ListQuotas(ctx, &pb.ListQuotasRequest{Scope: message(q.Scope), Top: top, Order: q.Order.message()})
	if err != nil {
		return Listing{}, &Error{err}
	}
	return listing(got), nil
}

// Explain says what would become of a call of the scope now, and why. A call
// without costs is one request.
func (c *Client) Explain(ctx context.Context, s client.Scope, costs map[string]int64) (Explanation, error) {
	got, err := c.stub.Explain(ctx, &pb.ExplainRequest{Scope: message(s), Costs: costs})
	if err != nil {
		return Explanation{}, &Error{err}
	}
	return explanation(got), nil
}

// Scores are those of the API in shadow mode, or of all for an empty name.
func (c *Client) Scores(ctx context.Context, api string) ([]Score, error) {
	got, err := c.stub.ListShadowScores(ctx, &pb.ListShadowScoresRequest{Api: api})
	if err != nil {
		return nil, &Error{err}
	}
	return scores(got), nil
}

func message(s client.Scope) *pb.Scope {
	return &pb.Scope{Api: s.API, App: s.App, User: s.User, Endpoint: s.Endpoint, Labels: s.Labels}
}

// Error is why a broker did not answer, in words for an operator.
type Error struct {
	// err is a gRPC status.
	err error
}

// Error says what happened, and what to do where that is known.
func (e *Error) Error() string {
	s := status.Convert(e.err)
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		return "the broker does not answer: " + s.Message()
	case codes.Unimplemented:
		return "the broker is of a version that does not show its quotas: update it"
	default:
		return s.Message()
	}
}

// Unwrap is the gRPC status.
func (e *Error) Unwrap() error { return e.err }
