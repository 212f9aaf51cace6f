package telemetry_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rpc is the beginning of a call, as a gRPC server tells its handler of it.
func rpc(method string) *stats.RPCTagInfo {
	return &stats.RPCTagInfo{FullMethodName: "/quotabroker.v1.QuotaBrokerService/" + method}
}

// ended is its end.
func ended() *stats.End { return &stats.End{} }

// incoming is the context of a call whose caller is in a trace.
func incoming(ctx context.Context, traceparent string) context.Context {
	return metadata.NewIncomingContext(ctx, metadata.Pairs("traceparent", traceparent))
}
