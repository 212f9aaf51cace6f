package dialect

import (
	"strings"

	"github.com/quotabroker/quotabroker/server/quota"
)

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
	reading := r.answer(resp, r.read(parseTime))
	if r.refused && !r.cached {
		r.scope(&reading.Answer)
	}
	reading.Ignored = r.ignored
	return reading
}

// globalLimit names the limit that counts all calls of an application, where only a
// refusal tells of it.
const globalLimit = "global"

// The fields that say whose limit a refusal is about, as Discord has them.
const (
	fieldScope  = "x-ratelimit-scope"
	fieldGlobal = "x-ratelimit-global"
)

// scope reads of a refusal whose limit it is about: of all calls, or of something
// that others share. Then it is not about the numbers beside it.
func (r *reader) scope(a *quota.Answer) {
	for _, f := range r.fields {
		switch said := strings.ToLower(f.value); {
		case f.name == fieldScope && said == "shared":
			a.Verdict, a.Reason = quota.Overloaded, "429 Too Many Requests, of a limit that others share"
			unblock(a)
			return
		case f.name == fieldScope && said == "global", f.name == fieldGlobal && said == "true":
			a.Reason = "429 Too Many Requests, of all calls together"
			unblock(a)
			a.Observations = append(a.Observations[:min(len(a.Observations), maxObservations-1)], quota.Observation{
				Limit: globalLimit, Says: true, Remaining: quota.Unknown, Blocked: true,
			})
			return
		case f.name == fieldScope && said != "user":
			r.ignore(f.name, "no scope that is known")
		}
	}
}

// unblock says of none of the limits that were told that it is why the call was
// refused.
func unblock(a *quota.Answer) {
	for i := range a.Observations {
		a.Observations[i].Blocked = false
	}
}
