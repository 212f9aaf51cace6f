package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// domain is the ErrorInfo domain of everything that this server says.
const domain = "quotabroker"

// comeBack is the retry advice when the broker, or its store, is away.
const comeBack = time.Second

// statusOf is what a caller is told of an error. Errors that are nobody's
// mistake but the broker's stay in its log.
func statusOf(ctx context.Context, err error) error {
	var fields fieldErrors
	var field *quota.FieldError
	switch {
	case errors.Is(err, errNotAdmitted):
		return status.Error(codes.PermissionDenied, err.Error())
	case errors.Is(err, errIdentity):
		return status.Error(codes.Unauthenticated, err.Error())
	case errors.As(err, &fields):
		return invalid(fields...)
	case errors.As(err, &field):
		return invalid(field)
	case errors.Is(err, broker.ErrPermitUnknown):
		return status.Error(codes.NotFound, broker.ErrPermitUnknown.Error())
	case errors.Is(err, broker.ErrUnavailable):
		return unavailable(broker.ErrUnavailable)
	case errors.Is(err, broker.ErrClosed):
		return unavailable(broker.ErrClosed)
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the call's deadline has passed")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the caller has gone away")
	default:
		callOf(ctx).cause = err
		return internal(ctx)
	}
}

// internal says where to look, and nothing of what happened.
func internal(ctx context.Context) error {
	return status.Errorf(codes.Internal, "the broker failed; its log says why under %s %s", callIDKey, callOf(ctx).name())
}

// invalid names each field that is wrong, its value, and what to do.
func invalid(fields ...*quota.FieldError) error {
	bad := &errdetails.BadRequest{}
	for _, f := range fields {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field:       f.Field,
			Description: strings.TrimPrefix(f.Error(), f.Field+": "),
		})
	}
	return withDetails(codes.InvalidArgument, fieldErrors(fields).Error(), bad)
}

// undecodable is the answer to a request that is not what the contract has.
func undecodable(err error) error {
	return invalid(&quota.FieldError{
		Field: "message", Value: printable(err.Error()),
		Remedy: "send it as quotabroker.v1 has it, with strings in UTF-8",
	})
}

func unavailable(err error) error {
	return withDetails(codes.Unavailable, fmt.Sprintf("%v; try again in %v", err, comeBack),
		&errdetails.RetryInfo{RetryDelay: durationpb.New(comeBack)})
}

// denied is the answer to a call of the named API that may not be made now.
func denied(d *broker.Denial, api string) error {
	info := map[string]string{"api": printable(api), "retry_after": seconds(d.RetryAfter)}
	subject := printable(api)
	if d.Bucket.Limit != "" {
		subject = bucketName(&d.Bucket)
		info["limit"], info["bucket"] = printable(d.Bucket.Limit), subject
	}
	why := denialText(d)
	return withDetails(codes.ResourceExhausted, why,
		&errdetails.RetryInfo{RetryDelay: durationpb.New(d.RetryAfter)},
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: subject, Description: why}}},
		&errdetails.ErrorInfo{Domain: domain, Reason: d.Reason, Metadata: info})
}

func withDetails(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	s := status.New(code, message)
	if detailed, err := s.WithDetails(details...); err == nil {
		s = detailed
	}
	return s.Err()
}

// levelOf says how loud a call's log line is. A denial is the broker at work;
// what the caller should mend is info; what the operator should, more.
func levelOf(code codes.Code) slog.Level {
	switch code {
	case codes.OK, codes.Canceled, codes.DeadlineExceeded, codes.ResourceExhausted:
		return slog.LevelDebug
	case codes.Unavailable:
		return slog.LevelWarn
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}
