package broker

import (
	"container/heap"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// waiter is one call that is not decided yet. The shard's lock guards it, but
// for done, which anyone may wait for; once that is closed, the outcome does
// not change.
type waiter struct {
	request requestKey
	scope   quota.Scope
	costs   quota.Costs

	// rank orders the waiters, the least first: when the call came, less the
	// head start of its class. seq breaks ties.
	rank time.Time
	seq  uint64
	// deadline is until when it waits; patient is false for a call that is to be
	// answered at once and waits for the store only.
	deadline time.Time
	patient  bool
	priority Priority
	// conn is the connection of the first call.
	conn any
	// calls is how many callers share it, by one request id, and have not given up.
	calls int

	// at is where it stands, nil while nowhere; index is its place in there.
	at    *queue
	index int
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

// before reports whether w is to be served before v.
func (w *waiter) before(v *waiter) bool {
	if w.rank.Equal(v.rank) {
		return w.seq < v.seq
	}
	return w.rank.Before(v.rank)
}

// queue is those who stand at one bucket, the first at index 0. Those who stand
// at no bucket wait for the store to make this broker the shard's owner.
type queue struct {
	bucket  *quota.Bucket
	waiters []*waiter
	// storing is true while the first one waits for the store.
	storing bool
	// told is the latest firm RetryAt by which the deadlines of all were checked.
	told time.Time
	// due is true while the first one has to try.
	due bool
}

// first is the one to be served next; nil when nobody stands there.
func (q *queue) first() *waiter {
	if q == nil || len(q.waiters) == 0 {
		return nil
	}
	return q.waiters[0]
}

func (q *queue) add(w *waiter) {
	w.at = q
	heap.Push((*byRank)(q), w)
}

func (q *queue) remove(w *waiter) {
	heap.Remove((*byRank)(q), w.index)
	w.at = nil
}

// byRank is a queue as package heap wants it.
type byRank queue

func (q *byRank) Len() int           { return len(q.waiters) }
func (q *byRank) Less(i, j int) bool { return q.waiters[i].before(q.waiters[j]) }

func (q *byRank) Swap(i, j int) {
	q.waiters[i], q.waiters[j] = q.waiters[j], q.waiters[i]
	q.waiters[i].index, q.waiters[j].index = i, j
}

func (q *byRank) Push(x any) {
	w := x.(*waiter)
	w.index = len(q.waiters)
	q.waiters = append(q.waiters, w)
}

func (q *byRank) Pop() any {
	last := len(q.waiters) - 1
	w := q.waiters[last]
	q.waiters[last] = nil
	q.waiters = q.waiters[:last]
	return w
}
