package dialect

import "github.com/quotabroker/quotabroker/server/quota"

// ietf is draft-ietf-httpapi-ratelimit-headers, 03 to 10: RateLimit-Limit with
// -Remaining and -Reset (03 to 06), RateLimit as a dictionary (07) and as a list
// of named policies (08 on), RateLimit-Policy, and the problem types that say
// which policies were violated.
type ietf struct{}

// Name is "ietf".
func (ietf) Name() string { return "ietf" }

// Wants is the draft's own fields and the bodies of errors.
func (ietf) Wants() Wants {
	return wants("ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
}

// Limits is nil: a response declares them.
func (ietf) Limits() []quota.Limit { return nil }

// Read takes resets as seconds to go, as the draft has them.
func (d ietf) Read(resp Response) Reading {
	r := newReader(resp, d.Wants())
	return r.answer(resp, r.read(parseSeconds))
}
