package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// callIDKey names the id of a call in metadata and in logs. It is not the
// contract's request_id, by which a retry gets the same permit.
const callIDKey = "x-request-id"

// maxCallID bounds an id that is taken over from the caller, in bytes.
const maxCallID = 128

// call is what is known of one call around its handler, in whose goroutine it
// stays.
type call struct {
	began time.Time
	// id is the caller's if that is fit for a log; empty until somebody needs it.
	id string
	// cause is what the caller is not told of a failure.
	cause error
}

type callKey struct{}

// withCall makes the call of a request that has just come in.
func withCall(ctx context.Context) (context.Context, *call) {
	c := &call{began: time.Now()}
	if given := metadata.ValueFromIncomingContext(ctx, callIDKey); len(given) > 0 && isCallID(given[0]) {
		c.id = given[0]
	}
	return context.WithValue(ctx, callKey{}, c), c
}

// callOf is the call of a handler's context.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// name is the call's id, and makes one when there is none. It is made only for
// what a person can look for, a line in the log or an error: random numbers, and a
// header that no other has, cost more than all decisions on the call.
func (c *call) name() string {
	if c.id == "" {
		c.id = rand.Text()
	}
	return c.id
}

// header tells the caller the id.
func (c *call) header() metadata.MD { return metadata.Pairs(callIDKey, c.id) }

// isCallID reports whether an id is printable ASCII without spaces, and not
// too long.
func isCallID(id string) bool {
	return id != "" && len(id) <= maxCallID &&
		!strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// callLog has one line for each call, and costs those that it leaves out nothing.
type callLog struct{ *slog.Logger }

// unary is the interceptor. The caller is told the id that it gave, or that the
// log or an error has.
func (l callLog) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	ctx, c := withCall(ctx)
	answer, err := next(ctx, req)
	l.finish(ctx, c, info.FullMethod, err)
	if c.id != "" {
		_ = grpc.SetHeader(ctx, c.header()) // if it fails, nobody is there any more
	}
	return answer, err
}

// stream is the interceptor of streams. Their headers go first, so each has its id
// from the start.
func (l callLog) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	ctx, c := withCall(stream.Context())
	c.name()
	if err := stream.SetHeader(c.header()); err != nil {
		return err
	}
	err := next(srv, callStream{stream, ctx})
	l.finish(ctx, c, info.FullMethod, err)
	return err
}

// callStream is a stream with the context of its call.
type callStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has its context
}

// Context implements grpc.ServerStream.
func (s callStream) Context() context.Context { return s.ctx }

// finish writes the call's line.
func (l callLog) finish(ctx context.Context, c *call, method string, err error) {
	code := status.Code(err)
	level := levelOf(code)
	if !l.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String(callIDKey, c.name()),
		slog.String("grpc.service", strings.TrimPrefix(path.Dir(method), "/")),
		slog.String("grpc.method", path.Base(method)),
		slog.String("grpc.code", code.String()),
		slog.Float64("grpc.time_ms", float64(time.Since(c.began).Microseconds())/1000),
	}
	if p, ok := peer.FromContext(ctx); ok {
		attrs = append(attrs, slog.String("peer.address", p.Addr.String()))
	}
	if err != nil {
		attrs = append(attrs, slog.String("grpc.error", err.Error()))
	}
	if c.cause != nil {
		attrs = append(attrs, slog.String("cause", c.cause.Error()))
	}
	l.LogAttrs(ctx, level, "finished call", attrs...)
}
