package broker

import (
	"time"

	"github.com/quotabroker/quotabroker/server/queue"
	"github.com/quotabroker/quotabroker/server/quota"
)

// waiter is one call that is not decided yet. The shard's lock guards it, but
// for done, which anyone may wait for; once that is closed, the outcome does
// not change.
type waiter struct {
	queue.Place[*waiter]
	request requestKey
	// deadline is until when it waits; patient is false for a call that is to be
	// answered at once and waits for the store only.
	deadline time.Time
	patient  bool
	priority Priority
	// conn is the connection of the first call.
	conn any
	// calls is how many callers share it, by one request id, and have not given up.
	calls int

	// stands is where it has stood, the first few.
	stands []stand

	// done is closed when it is answered: nil for one that never had to wait.
	done     chan struct{}
	answered bool
	// The outcome is a permit, a denial or an error, and comes with the status
	// of the call's buckets and the instant.
	permit   *permit
	denied   *Denial
	shadowed *Denial
	err      error
	quotas   []Quota
	when     time.Time
}

// mostStands is how many stands of a waiter are remembered.
const mostStands = 8

// stand is where a waiter has stood, since when and why.
type stand struct {
	since  time.Time
	bucket *quota.Bucket
	reason quota.Reason
}

// standsSince is where the waiter has stood, as a caller that asked at an instant
// sees it.
func (w *waiter) standsSince(asked time.Time) []Stand {
	var list []Stand
	for _, at := range w.stands {
		s := Stand{After: until(asked, at.since), Reason: at.reason.String()}
		if at.bucket != nil {
			s.Limit = at.bucket.Name()
		}
		list = append(list, s)
	}
	return list
}

// requestKey is what makes a retry the same call, within its shard.
type requestKey struct{ caller, id string }
