package simulate

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Upstream is an API that enforces quotas. A call that finds room in every
// bucket is counted in each; any other is answered 429. Everything is kept in
// the books, so it is made for runs of some ten thousand calls. It is not safe
// for concurrent use. Instants are read by their wall clock alone, which must
// never go back.
type Upstream struct {
	api     API
	start   int64
	rules   []*rule
	buckets map[bucketKey]*bucket
	changes []Change // those to come
	random  *rand.Rand
	books   books
	// counting and refusing are the buckets of the present call.
	counting, refusing []*bucket
	// warnedAt is when the first answer of an outage was heard, by outage.
	warnedAt []int64
	fired    Fired
	dates    dates
}

type bucketKey struct {
	rule *rule
	key  Call
}

// NewUpstream makes an upstream for a run that begins at start: from there its
// changes and outages are timed. The error is an [*Error] that names what the
// API cannot enforce.
func NewUpstream(api API, start time.Time, seed uint64) (*Upstream, error) {
	if err := api.Validate(); err != nil {
		return nil, err
	}
	u := &Upstream{
		api: api, start: start.UnixNano(), buckets: make(map[bucketKey]*bucket),
		changes:  slices.Clone(api.Changes),
		warnedAt: make([]int64, len(api.Outages)),
		random:   rand.New(rand.NewPCG(seed, upstreamStream)), //nolint:gosec // the same numbers for the same seed are what is wanted
	}
	slices.SortStableFunc(u.changes, func(a, b Change) int { return cmp.Compare(a.At, b.At) })
	for _, l := range api.Limits {
		r := newRule(l, api.Clock.Skew)
		r.remember = int(api.Noise.Lagging.By)
		u.rules = append(u.rules, r)
	}
	return u, nil
}

// Serve answers a call that arrives now.
func (u *Upstream) Serve(now time.Time, q Request) Answer {
	at := now.UnixNano()
	u.counting = u.bucketsOf(at, q.Call, u.counting[:0])
	return u.serve(at, q, u.counting)
}

func (u *Upstream) serve(now int64, q Request, counting []*bucket) Answer {
	u.change(now)
	if i := u.outage(now); i >= 0 {
		return u.refuseAll(i, q, counting)
	}
	u.refusing = u.refusing[:0]
	for _, b := range counting {
		b.turn(now)
		if b.meter.left(now) < b.rule.cost(q) {
			u.refusing = append(u.refusing, b)
		}
	}
	a := Answer{Status: StatusOK}
	switch {
	case len(u.refusing) > 0:
		a.Status, a.Spent = StatusTooManyRequests, u.refusing[0].rule.Name
		u.refuse(now, q, counting)
	case q.Free:
		a.Status = StatusNotModified
		u.fired.Free++
	default:
		a.Cost = max(1, q.Cost)
	}
	if a.Served() {
		u.count(now, q, counting)
	}
	if !q.Foreign {
		u.write(&a, now, counting)
	}
	return a
}

func (u *Upstream) count(now int64, q Request, counting []*bucket) {
	for _, b := range counting {
		u.books.lockedOut(b.take(now, b.rule.cost(q), q))
	}
	if q.Foreign {
		u.fired.Foreign++
	} else {
		u.books.served++
	}
}

func (u *Upstream) refuse(now int64, q Request, counting []*bucket) {
	if u.api.Refusals == RefusalsCount {
		for _, b := range counting {
			b.waste(now, b.rule.cost(q))
		}
	}
	if q.Foreign {
		return
	}
	unaware := false
	for _, b := range u.refusing {
		unaware = b.refuse(now, q) || unaware
	}
	u.books.refuse(unaware, q.probe)
}

// bucketsOf are the buckets that count the call, in the order of their rules.
func (u *Upstream) bucketsOf(now int64, c Call, buckets []*bucket) []*bucket {
	for _, r := range u.rules {
		key, ok := r.key(c)
		if !ok {
			continue
		}
		id := bucketKey{r, key}
		b := u.buckets[id]
		if b == nil {
			b = newBucket(r, key, now)
			u.buckets[id] = b
		}
		buckets = append(buckets, b)
	}
	for _, b := range buckets {
		if b.wider == nil {
			b.wider = widerThan(b, buckets)
		}
	}
	return buckets
}

func widerThan(b *bucket, all []*bucket) []*bucket {
	wider := make([]*bucket, 0, len(all))
	for _, o := range all {
		if o.rule.wider(b.rule) {
			wider = append(wider, o)
		}
	}
	return wider
}

// change makes the changes of limits that are due. What was counted stays.
func (u *Upstream) change(now int64) {
	for len(u.changes) > 0 && u.start+int64(u.changes[0].At) <= now {
		c := u.changes[0]
		u.changes = u.changes[1:]
		u.fired.Changes++
		for _, r := range u.rules {
			if r.Name != c.Limit {
				continue
			}
			for _, b := range r.buckets {
				b.turn(u.start + int64(c.At))
				b.meter.left(u.start + int64(c.At)) // what came back until now did so at the old rate
			}
			r.quota = c.Quota
		}
	}
}

// outage is the index of the outage that there is now, -1 without one.
func (u *Upstream) outage(now int64) int {
	return slices.IndexFunc(u.api.Outages, func(o Outage) bool {
		began := u.start + int64(o.From)
		return began <= now && now < began+int64(o.For)
	})
}

func (u *Upstream) refuseAll(i int, q Request, counting []*bucket) Answer {
	o := u.api.Outages[i]
	if q.Foreign {
		return Answer{Status: o.status()}
	}
	u.fired.Outages++
	if unaware := unwarned(&u.warnedAt[i], q); o.status() == StatusTooManyRequests {
		u.books.refuse(unaware, q.probe)
		for _, b := range counting {
			b.refusals++
		}
	}
	return Answer{Status: o.status(), Headers: o.headers(), Body: "temporarily unavailable"}
}
