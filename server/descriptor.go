package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// The library answers a request that cannot be decoded, such as one with a
// string that is not UTF-8, before any interceptor runs and with Internal, as
// if the server were at fault. Here it is the caller's mistake, logged and
// counted like any other: the handlers of [decoding] receive into a
// [received], for which [codec] keeps the error.

// received is a request and what went wrong with decoding it.
type received struct {
	message any
	err     error
}

// codec is protobuf's codec, which never fails for a [received].
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*received)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if err := c.CodecV2.Unmarshal(data, r.message); err != nil {
		r.err = undecodable(err)
	}
	return nil
}

// decoding is a service's description with handlers that do so.
func decoding(generated grpc.ServiceDesc) *grpc.ServiceDesc {
	desc := generated
	desc.Methods = nil
	for _, m := range generated.Methods {
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: m.MethodName, Handler: decodeInside(m.Handler)})
	}
	desc.Streams = nil
	for _, d := range generated.Streams {
		next := d.Handler
		d.Handler = func(srv any, stream grpc.ServerStream) error { return next(srv, decodingStream{stream}) }
		desc.Streams = append(desc.Streams, d)
	}
	return &desc
}

// decodeInside makes a handler answer a failure of decoding from inside the
// interceptors.
func decodeInside(next grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		var r received
		receive := func(in any) error {
			r.message = in
			return decode(&r)
		}
		inside := func(ctx context.Context, in any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			return intercept(ctx, in, info, func(ctx context.Context, in any) (any, error) {
				if r.err != nil {
					return nil, r.err
				}
				return handle(ctx, in)
			})
		}
		return next(srv, ctx, receive, inside)
	}
}

// decodingStream is a stream that is received from in the same way.
type decodingStream struct{ grpc.ServerStream }

// RecvMsg implements grpc.ServerStream.
func (s decodingStream) RecvMsg(m any) error {
	r := received{message: m}
	if err := s.ServerStream.RecvMsg(&r); err != nil {
		return err
	}
	return r.err
}
