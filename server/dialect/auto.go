package dialect

import "github.com/quotabroker/quotabroker/server/quota"

// auto reads what resembles a rate-limit field, whatever the order of its
// words, and all that [ietf] does.
type auto struct{}

// Name is "auto".
func (auto) Name() string { return "auto" }

// Wants is the four families of fields and the bodies of errors.
func (auto) Wants() Wants {
	return wants("x-ratelimit*", "x-rate-limit*", "ratelimit*", "rate-limit*")
}

// Limits is nil: limits are made as responses tell them.
func (auto) Limits() []quota.Limit { return nil }

// Read takes a reset for what its size and form say.
func (d auto) Read(resp Response) Reading {
	r := newReader(resp, d.Wants())
	return r.answer(resp, r.read(parseTime))
}
