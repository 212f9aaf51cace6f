package queue

import (
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Host is who the decisions are for. Its methods may call those of the queues.
type Host[W any] interface {
	// Decide hears of the decision on a call that stands nowhere: it is allowed,
	// or denied. It reports whether the call is to stand at the bucket that
	// blocks it.
	Decide(now time.Time, p *Place[W], d quota.Decision) (stand bool)
	// Ends reports whether a denial by the bucket at which the call stands ends
	// its wait. Decide then hears of it.
	Ends(d quota.Decision) bool
	// Blocked hears that the first of a queue stays where it is and knows more:
	// that it waits for the store, or does so no more, or a later instant before
	// which nothing can help.
	Blocked(now time.Time, q *Queue[W], d quota.Decision)
}

// Queues are all who wait for permits of one ledger. They are not safe for
// concurrent use.
type Queues[W any] struct {
	// Room is room for the next permit that is granted, see [quota.Request]. Whoever
	// gives it gives another once a permit is in it; nil is none.
	Room *quota.Permit

	host   Host[W]
	ledger *quota.Ledger
	at     map[*quota.Bucket]*Queue[W]
	// due lists the queues whose first one has to try.
	due []*Queue[W]
	seq uint64
}

// New makes queues without a ledger: all stand at no bucket until there is one.
func New[W any](host Host[W]) *Queues[W] {
	return &Queues[W]{host: host, at: map[*quota.Bucket]*Queue[W]{}}
}

// Begin starts with a ledger, nil for none: nobody stands anywhere any more. It
// returns all who stood, in their order; they should try.
func (s *Queues[W]) Begin(l *quota.Ledger) []*Place[W] {
	var all []*Place[W]
	for _, q := range s.at {
		all = append(all, q.places...)
		q.places = nil
		s.count(q)
	}
	for _, p := range all {
		p.at = nil
	}
	clear(s.at)
	s.due, s.ledger = nil, l
	slices.SortFunc(all, (*Place[W]).Compare)
	return all
}

// Of is the queue at a bucket, nil when nobody stands there.
func (s *Queues[W]) Of(b *quota.Bucket) *Queue[W] { return s.at[b] }

// Len is the number of queues.
func (s *Queues[W]) Len() int { return len(s.at) }

// All yields every queue, in no order. Its places may leave meanwhile.
func (s *Queues[W]) All(yield func(*Queue[W]) bool) {
	for _, q := range s.at {
		if !yield(q) {
			return
		}
	}
}

// Enter makes the place of a call that stands nowhere yet. Of two with the same
// rank, the one that enters first is served first.
func (s *Queues[W]) Enter(who W, scope quota.Scope, costs quota.Costs, rank time.Time) Place[W] {
	s.seq++
	return Place[W]{Who: who, Scope: scope, Costs: costs, Rank: rank, seq: s.seq}
}

// Try lets a call that stands nowhere ask for its permit.
func (s *Queues[W]) Try(now time.Time, p *Place[W]) {
	d := quota.Decision{Reason: quota.Reserving}
	if s.ledger != nil {
		d = s.take(now, p, nil)
	}
	s.decide(now, p, d)
}

func (s *Queues[W]) decide(now time.Time, p *Place[W], d quota.Decision) {
	if s.host.Decide(now, p, d) {
		s.stand(p, d)
	}
}

// Leave takes a call from where it stands.
func (s *Queues[W]) Leave(p *Place[W]) {
	q := p.at
	first := q.First() == p
	q.remove(p)
	if len(q.places) == 0 {
		delete(s.at, q.bucket)
	} else if first {
		s.markDue(q)
	}
	s.count(q)
}

// Storing reports whether it is the store that has to be waited for, be it
// behind others who do.
func (s *Queues[W]) Storing(d quota.Decision) bool {
	q := s.at[d.Bucket]
	return d.Reason == quota.Reserving || d.Reason == quota.Queued && q != nil && q.storing
}

// Serve lets the first of every queue that opened, or has a new first one, try,
// until no one moves. It ends: a grant makes a queue shorter, and a call moves to
// another queue only behind one that comes before it.
func (s *Queues[W]) Serve(now time.Time) {
	if s.ledger == nil {
		return
	}
	for {
		s.collect()
		if len(s.due) == 0 {
			return
		}
		last := len(s.due) - 1
		q := s.due[last]
		s.due = s.due[:last]
		s.serve(now, q)
		q.due = false
	}
}

// collect marks the queues of the buckets that opened: of several, whose first
// one comes first tries first.
func (s *Queues[W]) collect() {
	before := len(s.due)
	for _, b := range s.ledger.Opened() {
		if q := s.at[b]; q != nil {
			s.markDue(q)
		}
	}
	if opened := s.due[before:]; len(opened) > 1 {
		slices.SortFunc(opened, func(q, r *Queue[W]) int { return r.First().Compare(q.First()) })
	}
}

// take asks the ledger for p, at whose turn it is. Those who wait at another
// bucket and come after p do not hold it back: their queue is hidden meanwhile.
func (s *Queues[W]) take(now time.Time, p *Place[W], turn *quota.Bucket) quota.Decision {
	var hidden []*Queue[W]
	defer func() {
		for _, q := range hidden {
			s.count(q)
		}
	}()
	for {
		d := s.ledger.Take(now, quota.Request{Scope: p.Scope, Costs: p.Costs, Turn: turn, Into: s.Room})
		if d.Reason != quota.Queued {
			return d
		}
		q := s.at[d.Bucket]
		if p.Compare(q.First()) > 0 {
			return d
		}
		s.ledger.Queue(q.bucket, 0)
		hidden = append(hidden, q)
	}
}

// stand lets a call stand at the bucket of a decision.
func (s *Queues[W]) stand(p *Place[W], d quota.Decision) {
	q := s.at[d.Bucket]
	if q == nil {
		q = &Queue[W]{bucket: d.Bucket}
		s.at[d.Bucket] = q
	}
	storing := s.Storing(d)
	q.add(p)
	if q.First() == p {
		q.storing = storing
		if len(q.places) > 1 {
			// Whoever was the first is not any more: the bucket must know whose
			// turn it is.
			s.markDue(q)
		}
	}
	s.count(q)
}

// count tells the ledger how many wait at a bucket.
func (s *Queues[W]) count(q *Queue[W]) {
	if q.bucket != nil && s.ledger != nil {
		s.ledger.Queue(q.bucket, len(q.places))
	}
}

// markDue notes that the first of a queue has to try.
func (s *Queues[W]) markDue(q *Queue[W]) {
	if !q.due && q.bucket != nil {
		q.due = true
		s.due = append(s.due, q)
	}
}

// serve lets one after the other go, until the bucket itself says no.
func (s *Queues[W]) serve(now time.Time, q *Queue[W]) {
	for p := q.First(); p != nil; p = q.First() {
		d := s.take(now, p, q.bucket)
		if d.Bucket == q.bucket && !s.host.Ends(d) {
			s.blocked(now, q, d)
			if q.First() == p {
				return
			}
			continue
		}
		s.Leave(p)
		s.decide(now, p, d)
	}
}

// blocked tells the host whenever the first of a queue learns more.
func (s *Queues[W]) blocked(now time.Time, q *Queue[W], d quota.Decision) {
	stored := q.storing && d.Reason != quota.Reserving
	q.storing = d.Reason == quota.Reserving
	switch {
	case q.storing:
	case stored || d.Firm && d.RetryAt.After(q.told):
		q.told = d.RetryAt
	default:
		return
	}
	s.host.Blocked(now, q, d)
}
