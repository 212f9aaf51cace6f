package quota

import "time"

// Observation is what one response said of one bucket. A dialect makes it of
// headers and bodies.
type Observation struct {
	// Limit is the name the response gives the limit, such as an IETF policy
	// name; empty when it names none. Where it equals a configured limit's name
	// it speaks of that limit.
	Limit string
	// Says is true when the response says by which parts of the scope the
	// bucket is counted; Per is then those parts.
	Says bool
	// Per is the parts by which the bucket is counted, when Says is true.
	Per Parts
	// Unit is what is counted; empty means [Requests].
	Unit string
	// Quota is the units a window; 0 when the response did not say.
	Quota int64
	// Remaining is the units left, never negative; [Unknown] when the response
	// did not say. A response that says how much is used and the limit says
	// what remains.
	Remaining int64
	// Window is the window's kind and length where the response told it.
	Window Window
	// Reset is when the count begins anew, where the response told it.
	Reset Reset
	// Blocked says that this bucket is why the upstream refused the call.
	Blocked bool
}

// Reset is when a window ends, as a response told it.
type Reset struct {
	// Known is true when the response told a reset.
	Known bool
	// After is the time from the moment the response was made until the reset;
	// not negative. A dialect computes it of an instant by the response's Date,
	// or by when it was received if it has none.
	After time.Duration
	// Slack is how far the true reset may lie to either side of After, because
	// it was told in whole units; 0 means one second, which is right for whole
	// seconds rounded either way. An instant less a Date, both in whole seconds,
	// lies up to 1.5 s from the difference less half a second, because a Date is
	// always cut and never rounded up.
	Slack time.Duration
	// Epoch is the instant as the upstream wrote it, in its own units; 0 when it
	// told a duration. Equal epochs are the same window.
	Epoch int64
}

// Verdict is what a response says of the call itself.
type Verdict uint8

// The verdicts.
const (
	// Passed: the upstream took the call, whatever it answered.
	Passed Verdict = iota
	// Refused: a quota is spent.
	Refused
	// Overloaded: the upstream protects itself; nobody's quota is spent.
	Overloaded
)

// Answer is what became of a call: the part of a report that the model
// understands. The zero value is a call of which nothing is known but that it
// was answered just now.
type Answer struct {
	// Unanswered says that no response came: it timed out, or the connection
	// broke. Everything below is then ignored.
	Unanswered bool
	// Verdict is what the response says of the call itself.
	Verdict Verdict
	// Sent and Received are when the request went out and the response's header
	// came in. The zero Sent means when the permit was granted, the zero
	// Received means now.
	Sent, Received time.Time
	// Observations are what the response said of buckets.
	Observations []Observation
	// RetryAfter is how long after Received the upstream wants to be left alone;
	// 0 when it did not say.
	RetryAfter time.Duration
	// Backoff is how long to leave an overloaded upstream alone when it did not
	// say; 0 means as the model's exponential back-off has it.
	Backoff time.Duration
	// By is the caller that reports, to be shown; it decides nothing.
	By string
	// Reason is the upstream's words in one line, for logs and errors.
	Reason string
	// Free says that the upstream took the call and did not count it.
	Free bool
	// Costs is what the call really took, by unit, where that is known; units
	// that are not named took what was reserved, or nothing when it was free.
	Costs Costs
}
