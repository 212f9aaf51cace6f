package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	middleware "github.com/grpc-ecosystem/go-grpc-middleware/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// interceptors is what every call goes through, from the outside in: it gets an
// id, is logged, is counted, and its panic ends there, so that the log and the
// count see what became of it.
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
	logger := logging.LoggerFunc(func(ctx context.Context, level logging.Level, msg string, fields ...any) {
		log.Log(ctx, slog.Level(level), msg, fields...)
	})
	logOptions := []logging.Option{logging.WithLogOnEvents(logging.FinishCall), logging.WithLevels(levelOf)}
	recoverer := recovery.WithRecoveryHandlerContext(func(ctx context.Context, p any) error {
		log.ErrorContext(ctx, "panic in a handler", callIDKey, callIDOf(ctx),
			"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		return internal(ctx)
	})
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(
			unaryCallID,
			logging.UnaryServerInterceptor(logger, logOptions...),
			metrics.UnaryServerInterceptor(),
			recovery.UnaryServerInterceptor(recoverer),
		),
		grpc.ChainStreamInterceptor(
			streamCallID,
			logging.StreamServerInterceptor(logger, logOptions...),
			metrics.StreamServerInterceptor(),
			recovery.StreamServerInterceptor(recoverer),
		),
	}, metrics, nil
}

// callIDKey names the id of a call in metadata and in logs. It is not the
// contract's request_id, by which a retry gets the same permit.
const callIDKey = "x-request-id"

// maxCallID bounds an id that is taken over from the caller, in bytes.
const maxCallID = 128

type callIDContext struct{}

// callIDOf is the id of the call.
func callIDOf(ctx context.Context) string {
	id, _ := ctx.Value(callIDContext{}).(string)
	return id
}

func unaryCallID(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, header := withCallID(ctx)
	if err := grpc.SetHeader(ctx, header); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func streamCallID(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, header := withCallID(stream.Context())
	if err := stream.SetHeader(header); err != nil {
		return err
	}
	return next(srv, &middleware.WrappedServerStream{ServerStream: stream, WrappedContext: ctx})
}

// withCallID takes over the caller's id, or makes one when there is none
// that is fit for a log; the header echoes it.
func withCallID(ctx context.Context) (context.Context, metadata.MD) {
	var id string
	if given := metadata.ValueFromIncomingContext(ctx, callIDKey); len(given) > 0 {
		id = given[0]
	}
	if !isCallID(id) {
		id = rand.Text()
	}
	ctx = context.WithValue(ctx, callIDContext{}, id)
	return logging.InjectLogField(ctx, callIDKey, id), metadata.Pairs(callIDKey, id)
}

// isCallID reports whether an id is printable ASCII without spaces, and not
// too long.
func isCallID(id string) bool {
	return id != "" && len(id) <= maxCallID &&
		!strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}
