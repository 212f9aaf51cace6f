package dialect

import (
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Field is one header or trailer field, as it was on the wire. Names are
// compared without regard to case.
type Field struct {
	Name, Value string
}

// Response is what came back of one call.
type Response struct {
	// Status is the HTTP status code.
	Status int
	// Headers and Trailers are in wire order, repeated names as they were.
	Headers, Trailers []Field
	// Body is the start of the body, as much of it as [Wants] asked for.
	Body []byte
	// Received is when the header came in, by the broker's clock: what an
	// instant is measured from when the response has no plausible Date.
	Received time.Time
}

// Reading is what a dialect makes of a response.
type Reading struct {
	// Answer has the verdict, the observations and the waits. Its Sent and
	// Received are left zero.
	Answer quota.Answer
	// Ignored says which fields were not understood, and why.
	Ignored []Ignored
}

// Ignored is a field that was not understood.
type Ignored struct {
	// Name is the field's name, Reason what is wrong with its value.
	Name, Reason string
}

// Wants is what a dialect has to be told of each response.
type Wants struct {
	// Headers are the names of header fields, in lower case; one that ends in
	// "*" is a prefix.
	Headers []string
	// Body says which bodies matter.
	Body Body
}

// Body says which responses' bodies a dialect reads.
type Body uint8

// The choices.
const (
	// NoBody reads none.
	NoBody Body = iota
	// ErrorBody reads those with a status of 400 or above.
	ErrorBody
	// EveryBody reads all.
	EveryBody
)

// A Dialect is how one API spells its quotas. It is immutable and safe for
// concurrent use. Read never fails and never panics: what it cannot understand
// it ignores, and says so.
type Dialect interface {
	// Name is the name by which the configuration chooses it.
	Name() string
	// Wants is what Read needs to be given.
	Wants() Wants
	// Limits is what is known of the API without configuration; nil where that
	// is nothing.
	Limits() []quota.Limit
	// Read makes observations of a response.
	Read(Response) Reading
}
