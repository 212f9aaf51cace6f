package queue

import (
	"container/heap"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Place is one call's place in the order of those who wait. It is not safe for
// concurrent use.
type Place[W any] struct {
	// Who waits.
	Who W
	// Scope and Costs are the call's.
	Scope quota.Scope
	Costs quota.Costs
	// Rank orders the calls, the least first: when the call came, less the head
	// start of its class.
	Rank time.Time

	// seq breaks ties.
	seq uint64
	// at is where it stands, nil while nowhere; index is its place in there.
	at    *Queue[W]
	index int
}

// At is the queue in which the call stands; nil while it stands nowhere.
func (p *Place[W]) At() *Queue[W] { return p.at }

// Compare orders two places: negative when p is to be served first.
func (p *Place[W]) Compare(o *Place[W]) int {
	if c := p.Rank.Compare(o.Rank); c != 0 {
		return c
	}
	if p.seq < o.seq {
		return -1
	}
	return int(min(p.seq-o.seq, 1))
}

// Queue is those who stand at one bucket. Those who stand at no bucket wait for
// the ledger itself.
type Queue[W any] struct {
	bucket *quota.Bucket
	// places is a heap, the first one at index 0.
	places []*Place[W]
	// storing is true while the first one waits for the store.
	storing bool
	// told is the latest firm RetryAt that the host was told of.
	told time.Time
	// due is true while the first one has to try.
	due bool
}

// First is the one to be served next; nil when nobody stands there.
func (q *Queue[W]) First() *Place[W] {
	if q == nil || len(q.places) == 0 {
		return nil
	}
	return q.places[0]
}

// Bucket is where they stand; nil while they wait for the ledger itself.
func (q *Queue[W]) Bucket() *quota.Bucket { return q.bucket }

// Len is how many stand there; 0 for a nil queue.
func (q *Queue[W]) Len() int {
	if q == nil {
		return 0
	}
	return len(q.places)
}

// Storing reports whether it is the store that the first one waits for.
func (q *Queue[W]) Storing() bool { return q.storing }

// Places are those who stand there, in no order but that the first is the first.
// The slice is the caller's.
func (q *Queue[W]) Places() []*Place[W] {
	if q == nil {
		return nil
	}
	return append([]*Place[W](nil), q.places...)
}

func (q *Queue[W]) add(p *Place[W]) {
	p.at = q
	heap.Push((*byRank[W])(q), p)
}

func (q *Queue[W]) remove(p *Place[W]) {
	heap.Remove((*byRank[W])(q), p.index)
	p.at = nil
}

// byRank is a queue as package heap wants it.
type byRank[W any] Queue[W]

func (q *byRank[W]) Len() int           { return len(q.places) }
func (q *byRank[W]) Less(i, j int) bool { return q.places[i].Compare(q.places[j]) < 0 }

func (q *byRank[W]) Swap(i, j int) {
	q.places[i], q.places[j] = q.places[j], q.places[i]
	q.places[i].index, q.places[j].index = i, j
}

func (q *byRank[W]) Push(x any) {
	p := x.(*Place[W])
	p.index = len(q.places)
	q.places = append(q.places, p)
}

func (q *byRank[W]) Pop() any {
	last := len(q.places) - 1
	p := q.places[last]
	q.places[last] = nil
	q.places = q.places[:last]
	return p
}
