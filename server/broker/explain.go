package broker

import (
	"context"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/queue"
	"github.com/quotabroker/quotabroker/server/quota"
)

// maxAhead is how many of those who wait at a bucket are named.
const maxAhead = 16

// ExplainRequest is a call that somebody might make.
type ExplainRequest struct {
	// Scope is whose call it is. Required.
	Scope quota.Scope
	// Costs is what it takes of each unit; nil means one request.
	Costs quota.Costs
	// Priority is its class, for who stands before it.
	Priority Priority
}

// Explained is what would become of the call, and why.
type Explained struct {
	// Denied is why it would not be allowed at once, nil if it would. Its reason
	// may also be "COST_TOO_LARGE", and then it has no RetryAfter.
	Denied *Denial
	// Shadow says that its API is in shadow mode: it would be allowed all the same,
	// unless it is too large.
	Shadow bool
	// At is now, by the broker's clock.
	At time.Time
	// Buckets are those that count it.
	Buckets []Explanation
}

// Explanation is one bucket with its model and what that rests on.
type Explanation struct {
	QuotaDetail
	// Model is the numbers behind it.
	Model quota.Explanation
	// Evidence is the last reports about it, the newest first.
	Evidence []quota.Evidence
	// Ahead are those who stand before the call, the next one first, and
	// AheadCount how many there are, named or not.
	Ahead      []Waiting
	AheadCount int
}

// Waiting is a caller that waits.
type Waiting struct {
	// Caller is its name.
	Caller string
	// Priority is the class of its call.
	Priority Priority
	// Waited is for how long.
	Waited time.Duration
}

// Explain says what would become of a call now, as a dry run does, and from which
// numbers and reports that follows. It spends nothing. Bad input is a
// *quota.FieldError; [ErrUnavailable] says that the store has not made this
// broker the application's owner in time.
func (b *Broker) Explain(ctx context.Context, r ExplainRequest) (Explained, error) {
	dry := AcquireRequest{Scope: r.Scope, Costs: r.Costs, Priority: r.Priority}
	if err := dry.validate(); err != nil {
		return Explained{}, err
	}
	s, err := b.lockShard(r.Scope)
	if err != nil {
		return Explained{}, err
	}
	defer s.mu.Unlock()
	if err := s.awaitOwnedLocked(ctx); err != nil {
		return Explained{}, err
	}
	now := s.nowLocked()
	x := Explained{Shadow: s.api.Shadow, At: now, Denied: s.foreseenLocked(now, r)}
	for _, bucket := range s.ledger.Counted(now, r.Scope) {
		x.Buckets = append(x.Buckets, s.explainLocked(now, bucket, r.Priority))
	}
	s.stepLocked(now)
	return x, nil
}

// foreseenLocked is the denial that the call would get. That the store has not
// confirmed a reservation yet is none.
func (s *shard) foreseenLocked(now time.Time, r ExplainRequest) *Denial {
	d := s.ledger.Check(now, quota.Request{Scope: r.Scope, Costs: r.Costs})
	if d.Allowed() || s.queues.Storing(d) {
		return nil
	}
	denied := s.denialLocked(now, d)
	if d.Reason == quota.TooLarge {
		denied.RetryAfter = 0
	}
	return denied
}

func (s *shard) explainLocked(now time.Time, b *quota.Bucket, p Priority) Explanation {
	x := Explanation{
		QuotaDetail: s.detailLocked(now, b),
		Model:       s.ledger.Explain(now, b), Evidence: s.ledger.Evidence(b),
	}
	rank := now.Add(-p.headStart())
	ahead := slices.DeleteFunc(s.queues.Of(b).Places(), func(w *queue.Place[*waiter]) bool { return w.Rank.After(rank) })
	slices.SortFunc(ahead, (*queue.Place[*waiter]).Compare)
	x.AheadCount = len(ahead)
	for _, place := range ahead[:min(len(ahead), maxAhead)] {
		w := place.Who
		asked := w.Rank.Add(w.priority.headStart())
		x.Ahead = append(x.Ahead, Waiting{Caller: w.request.caller, Priority: w.priority, Waited: until(asked, now)})
	}
	return x
}
