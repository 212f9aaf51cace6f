package dialect

import (
	"slices"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Free is the dialect of an API that does not count the calls which it answers
// with one of the given statuses: GitHub's 304, for one. No statuses change
// nothing.
func Free(d Dialect, statuses ...int) Dialect {
	if len(statuses) == 0 {
		return d
	}
	return free{d, slices.Clone(statuses)}
}

// FreeStatuses are those with which [Free] made the dialect, a copy; nil for any other.
func FreeStatuses(d Dialect) []int {
	f, _ := d.(free)
	return slices.Clone(f.statuses)
}

// free is a dialect with the statuses that cost nothing.
type free struct {
	dialect  Dialect
	statuses []int
}

// Name is the dialect's own.
func (f free) Name() string { return f.dialect.Name() }

// Wants is what the dialect needs.
func (f free) Wants() Wants { return f.dialect.Wants() }

// Limits is what the dialect knows.
func (f free) Limits() []quota.Limit { return f.dialect.Limits() }

// Read marks a call that the upstream took and did not count. A refusal is none:
// what it costs is for the refusing upstream to show.
func (f free) Read(resp Response) Reading {
	r := f.dialect.Read(resp)
	r.Answer.Free = r.Answer.Verdict == quota.Passed && slices.Contains(f.statuses, resp.Status)
	return r
}
