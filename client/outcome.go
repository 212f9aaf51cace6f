package client

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// MaxBodyExcerpt is the most of a body that a report carries, in bytes.
const MaxBodyExcerpt = 4 << 10

// Bounds of the contract on the headers of one report. What is beyond them is
// left out, since the broker would refuse or ignore it.
const (
	maxHeaders     = 64
	maxHeaderName  = 256
	maxHeaderValue = 1 << 10
)

// Result is what became of a call.
type Result uint8

// The results. The zero value is Sent when the outcome has a status, otherwise
// Unknown.
const (
	// Sent and answered.
	Sent Result = iota + 1
	// NotSent: the upstream has certainly seen nothing of it, and the permit's
	// cost is credited.
	NotSent
	// Unknown: it may have reached the upstream, so the cost stays spent.
	Unknown
)

// Header is one field of a response. Names are compared without regard to case.
type Header struct {
	Name, Value string
}

// Outcome is what came back of one call. Only the headers and the part of the
// body that the broker asked for with the permit leave the process; credentials
// and cookies never do.
type Outcome struct {
	// Result is what became of the call.
	Result Result
	// Status is the HTTP status code, 100 to 599; 0 when there was none.
	Status int
	// Headers and Trailers are the response's fields in wire order, names
	// repeated as they were.
	Headers, Trailers []Header
	// Body is the start of the body; see [Permit.WantsBody]. Nil is none.
	Body []byte
	// Sent and Received are when the request was written and when the response's
	// header was there, by time.Now. Zero: when the permit was granted, and now.
	Sent, Received time.Time
	// Costs is what the call really cost by unit; nil means as acquired.
	Costs map[string]int64
	// FromCache says that a cache answered and nothing was sent.
	FromCache bool
}

// secret reports whether a field, by its name in lower case, never leaves the
// process, whoever asks.
func secret(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "cookie", "cookie2", "set-cookie", "set-cookie2":
		return true
	default:
		return false
	}
}

// wanted reports whether a field's name is among those asked for: names in lower
// case, or prefixes that end in "*". The field's own spelling does not matter.
func wanted(name string, asked []string) bool {
	name = strings.ToLower(name)
	return !secret(name) && slices.ContainsFunc(asked, func(a string) bool {
		if prefix, ok := strings.CutSuffix(a, "*"); ok {
			return strings.HasPrefix(name, prefix)
		}
		return name == a
	})
}

// fields is what of hs may leave the process.
func fields(hs []Header, asked []string) []*pb.Header {
	var kept []*pb.Header
	for _, h := range hs {
		if len(kept) == maxHeaders {
			break
		}
		if len(h.Name) > maxHeaderName || len(h.Value) > maxHeaderValue || !wanted(h.Name, asked) {
			continue
		}
		// HTTP allows bytes that are not UTF-8, and protobuf refuses them.
		kept = append(kept, &pb.Header{Name: strings.ToValidUTF8(h.Name, "?"), Value: strings.ToValidUTF8(h.Value, "?")})
	}
	return kept
}

// message is the result on the wire.
func (r Result) message() pb.Result {
	switch r {
	case Sent:
		return pb.Result_RESULT_SENT
	case NotSent:
		return pb.Result_RESULT_NOT_SENT
	case Unknown:
		return pb.Result_RESULT_UNKNOWN
	default:
		return pb.Result_RESULT_UNSPECIFIED
	}
}

// message is the report of an outcome, but for its times. It shares nothing that
// the caller may change.
func (p *Permit) message(o *Outcome) *pb.ReportOutcomeRequest {
	r := &pb.ReportOutcomeRequest{
		PermitId:    p.id,
		Scope:       p.scope.message(),
		Caller:      p.client.set.caller,
		Result:      o.Result.message(),
		StatusCode:  int32(min(max(o.Status, 0), math.MaxInt32)),
		Headers:     fields(o.Headers, p.headers),
		Trailers:    fields(o.Trailers, p.headers),
		ActualCosts: maps.Clone(o.Costs),
		FromCache:   o.FromCache,
	}
	if p.WantsBody(o.Status) {
		r.BodyExcerpt = bytes.Clone(o.Body[:min(len(o.Body), MaxBodyExcerpt)])
	}
	return r
}

// since is the time from t to now on the wire; absent when t is not known.
func since(now, t time.Time) *durationpb.Duration {
	if t.IsZero() {
		return nil
	}
	return durationpb.New(max(now.Sub(t), 0))
}
