package simulate

import "time"

// Call is one request as the upstream sees it: whose it is. As the key of a
// bucket, the parts by which its limit does not count are empty.
type Call struct {
	App, User, Endpoint string
}

// Header is one field of an answer.
type Header struct {
	Name, Value string
}

// The statuses that an upstream answers with.
const (
	StatusOK              = 200
	StatusNotModified     = 304
	StatusTooManyRequests = 429
	StatusUnavailable     = 503
)

// Request is a call that arrives at the upstream.
type Request struct {
	Call
	// Cost is what it takes of limits that do not count requests, in their unit;
	// 0 is 1.
	Cost int64
	// Free is true for a call that turns out to cost nothing.
	Free bool
	// Work is how long the upstream is busy with it: the time for which it takes
	// of a concurrent limit.
	Work time.Duration
	// Foreign is true for a call of another consumer of the same quotas.
	Foreign bool

	// sent and heard are when its caller sent it and will have the answer, heard
	// being 0 if nobody will. probe is the strategy's mark.
	sent, heard int64
	probe       bool
}

// Answer is what the upstream says to a call.
type Answer struct {
	// Status is one of the four statuses.
	Status int
	// Spent is the name of the limit that refused the call, the first of several;
	// empty for any other call. It is the judge's knowledge: a caller cannot see
	// it.
	Spent string
	// Headers are the answer's fields, in the order of the wire.
	Headers []Header
	// Body is what a refusal says in words.
	Body string
	// Cost is the true cost in the scenario's unit, as a body tells it; 0 for a
	// call that was not served or cost nothing.
	Cost int64
}

// Served reports whether the call did what it was made for.
func (a Answer) Served() bool { return a.Status < 400 }

// Value is the first field of that name, as it is spelled; empty without one.
func (a Answer) Value(name string) string {
	for _, h := range a.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}
