package ours

import (
	"slices"

	"github.com/quotabroker/quotabroker/server/quota"
)

// mostRevoked is how many revocations a service remembers, for permits that are
// still on their way.
const mostRevoked = 256

// revoked is what the services know of revocations, all alike, and the permits
// with which slow callers have yet to send.
type revoked struct {
	list    []quota.Revocation
	holders []*call
	// sweepAt is how many holders there may be before those are dropped whose
	// permits have ended.
	sweepAt int
}

// voids reports whether the call's permit was revoked.
func (r *revoked) voids(c *call) bool {
	for _, one := range r.list {
		if covers(one, c) {
			return true
		}
	}
	return false
}

func covers(r quota.Revocation, c *call) bool {
	return c.permit.Generation < r.Generation && c.permit.Scope.Matches(r.Scope)
}

// held notes a permit that may not have been sent yet.
func (r *revoked) held(c *call) {
	if len(r.holders) >= r.sweepAt {
		r.holders = slices.DeleteFunc(r.holders, func(h *call) bool { return !h.permit.Outstanding() })
		r.sweepAt = 2*len(r.holders) + 16
	}
	r.holders = append(r.holders, c)
}

// add remembers a revocation, and returns whose permits it makes void.
func (r *revoked) add(one quota.Revocation) (void []*call) {
	if len(r.list) == mostRevoked {
		r.list = r.list[1:]
	}
	r.list = append(r.list, one)
	for _, h := range r.holders {
		if covers(one, h) {
			void = append(void, h)
		}
	}
	return void
}
