package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
)

// interceptors is what every call goes through, from the outside in: it is
// logged, is counted, and its panic ends there, so that the log and the count see
// what became of it. A panic in the model does not come this far: see package broker.
func interceptors(log *slog.Logger, registry prometheus.Registerer) ([]grpc.ServerOption, *grpcprom.ServerMetrics, error) {
	metrics := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(
		// From a grant at once to the longest wait.
		grpcprom.WithHistogramBuckets([]float64{.0005, .001, .0025, .005, .01, .05, .1, .5, 1, 5, 30, 60, 300}),
	))
	if registry != nil {
		if err := registry.Register(metrics); err != nil {
			return nil, nil, fmt.Errorf("server metrics: %w", err)
		}
	}
	calls := callLog{log}
	recoverer := recovery.WithRecoveryHandlerContext(func(ctx context.Context, p any) error {
		log.ErrorContext(ctx, "panic in a handler", callIDKey, callOf(ctx).name(),
			"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		return internal(ctx)
	})
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(
			calls.unary,
			metrics.UnaryServerInterceptor(),
			recovery.UnaryServerInterceptor(recoverer),
		),
		grpc.ChainStreamInterceptor(
			calls.stream,
			metrics.StreamServerInterceptor(),
			recovery.StreamServerInterceptor(recoverer),
		),
	}, metrics, nil
}
