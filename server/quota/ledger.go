package quota

import (
	"math"
	"slices"
	"time"
)

// Request asks a ledger for the right to make one call.
type Request struct {
	// Scope is whose call it is; valid, and of the ledger's (api, app).
	Scope Scope
	// Costs is what it takes of each unit; nil means one request.
	Costs Costs
	// Force spends the cost of a call that is denied: it will be made all the
	// same. A call that is too large, or whose reservation is not written yet, is
	// denied still.
	Force bool
	// Turn is the bucket at whose queue's head the caller stands: the queues of
	// other buckets still come first. Nil for a caller that does not wait.
	Turn *Bucket
	// Into is room for the permit, such as one that has ended: whoever asks need
	// not make one for each call. Nil, or one that is outstanding, is none: a new
	// permit is made.
	Into *Permit
}

// Ledger is the pure state of one shard: all buckets of one (api, app) and the
// permits that are outstanding. It is not safe for concurrent use, and the now
// that its methods are given must never go back.
type Ledger struct {
	rules *Rules
	// lapsesAfter is how long after its grant a permit lapses: by then the
	// upstream has counted it or never will. awaits is how long its report is
	// awaited.
	lapsesAfter, awaits time.Duration

	// home is the API and the application of all scopes, of which the first tells it.
	home Scope
	// families is the buckets by limit, size how many there are.
	families map[string]*family
	size     int
	// told are the limits that responses told of and nobody configured.
	told []*Limit
	// claims are the limits of which answers do not say by what they are counted.
	claims []*claim
	// bare are the calls that were refused without a word since one passed that was
	// granted after bareSince, by user and endpoint, bareOfMany says that there were
	// calls to other endpoints; aloneAt is when one last proved that only some group
	// was refused.
	bare               []Scope
	bareSince, aloneAt instant
	bareOfMany         bool
	// plans caches which kins count the calls of a place; it is cleared, and planned
	// another, when that may change. place is the room of the place last asked for,
	// counting that of the buckets of a permit, and read that of what the last answer
	// told.
	plans    map[string]plan
	planned  uint64
	place    []byte
	routed   routed
	counting []*Bucket
	read     tellings
	asked    []asked
	// of and can are the room of the buckets that an observation is, and can be, of.
	of, can []*Bucket
	permits permitQueue
	// slots are the permits that lapsed and may have a slot, in the order in which
	// they did.
	slots []*Permit

	generation uint64
	random     splitmix

	queued, wanting map[*Bucket]struct{}
	// unkept are the records of costs that the store has not confirmed.
	unkept          map[costID]struct{}
	opened, changed []*Bucket
	cooling         coolings
	// toldOpened and toldChanged are what was returned last, whose room is next.
	toldOpened, toldChanged []*Bucket
	revoked                 []Revocation

	// since is when this ledger began to count, and ruledSince when its rules became
	// what they are.
	since, ruledSince instant

	// evidence is what is kept of reports, by bucket in the order in which they were
	// first heard of: a ring that begins at oldest once it is full.
	evidence []*memory
	oldest   int
	// standings are of the callers that others have contradicted.
	standings map[standingID]*standing

	ghosts []ghost
	// ghostsUntil is until when permits of an earlier owner may be on their way; 0 when
	// there was none.
	ghostsUntil instant
	// swept is how many buckets the last sweep left, agesAt when they grow older next.
	swept    int
	agesAt   instant
	sweeping sweeping
}

// NewLedger makes the ledger of one application of the rules' API. The seed makes
// the jitter of back-offs differ between applications and runs.
func NewLedger(rules *Rules, seed uint64) *Ledger {
	send, report := rules.Deadlines()
	return &Ledger{
		rules: rules, lapsesAfter: send + Flight, awaits: report, random: splitmix(seed),
		families: make(map[string]*family),
		plans:    make(map[string]plan),
		queued:   make(map[*Bucket]struct{}),
		unkept:   make(map[costID]struct{}),
		wanting:  make(map[*Bucket]struct{}),
	}
}

// Take decides on a call and, when it is allowed, spends its cost in every
// bucket that counts it, or in none. With room for the permit it allocates nothing
// where the buckets are known.
func (l *Ledger) Take(now time.Time, r Request) (d Decision) {
	t := at(now)
	l.overdue(t)
	route := l.route(t, &r.Scope)
	l.decide(t, route, &r, &d)
	if d.Reason != NoReason && (!r.Force || !d.forcible()) {
		l.note(route, &d, &r)
		return d
	}
	p := r.Into
	if p == nil || p.Outstanding() || p.slotted {
		p = &Permit{}
	}
	p.begin(now, t, &r)
	p.Generation, p.lapses, p.awaited, p.planned = l.generation, t.add(l.lapsesAfter), t.add(l.awaits), l.planned
	p.charges = slices.Grow(p.charges[:0], len(route))[:len(route)]
	for i, b := range route {
		l.charge(t, b, &l.asked[i], &p.charges[i])
	}
	l.permits.push(p)
	d.Permit = p
	return d
}

// forcible reports whether a denied call can be made all the same.
func (d Decision) forcible() bool { return d.Reason != TooLarge && d.Reason != Reserving }

// asked is what a call asks of a bucket, and how much was left of it then. Such a
// cost is guessed that nobody said.
type asked struct {
	cost, left int64
	guessed    bool
}

// charge takes of the bucket what a call asked of it.
func (l *Ledger) charge(now instant, b *Bucket, q *asked, c *charge) {
	*c = charge{bucket: b, cost: q.cost, a: b.a, guessed: q.guessed}
	if b.sawBegin() || b.heardNow() { // else nobody knows what was used before we came
		c.promised = b.promise(now)
	}
	b.grant(now, q.cost, q.left)
	if b.unwritten || b.low(b.spentOf(q.left-q.cost), b.chunk()) {
		l.ask(b)
	}
	l.change(b)
}

// Check decides as Take would and spends nothing.
func (l *Ledger) Check(now time.Time, r Request) (d Decision) {
	t := at(now)
	l.overdue(t)
	l.decide(t, l.route(t, &r.Scope), &r, &d)
	return d
}

// decide is the decision of all buckets together: the denial that lasts longest
// decides, because the call cannot be made before it ends.
func (l *Ledger) decide(now instant, route []*Bucket, r *Request, d *Decision) {
	l.asked = slices.Grow(l.asked[:0], len(route))[:len(route)]
	for i, b := range route {
		if !b.still(now) {
			b.elapse(now)
		}
		q := asked{cost: 1, left: b.available()}
		if !l.single(b, r.Costs) {
			q.cost, q.guessed = l.costOf(b, r.Scope.Endpoint, r.Costs)
		}
		l.asked[i] = q
		if b.ordinary() && q.left >= q.cost && b.reservedFor(q.cost, q.left) {
			continue // there is nothing that decideOne could say
		}
		why, retry, firm := l.decideOne(now, b, r, &l.asked[i])
		if why == NoReason || d.Reason == TooLarge {
			continue
		}
		if d.Bucket == nil || why == TooLarge || firm && !d.Firm || firm == d.Firm && retry > at(d.RetryAt) {
			*d = Decision{Reason: why, Bucket: b, RetryAt: retry.time(), Firm: firm}
		}
	}
}

func (l *Ledger) decideOne(now instant, b *Bucket, r *Request, q *asked) (Reason, instant, bool) {
	if why, retry, firm := b.decideLeft(now, q.cost, q.left); why != NoReason {
		return why, retry, firm
	}
	until := l.heldUntil(now, b)
	switch {
	case q.cost > 0 && until != 0 && b.flying > 0:
		return Probing, until, false
	case q.cost > 0 && until != 0:
		return Exhausted, until, true
	case b.queued > 0 && r.Turn != b:
		return Queued, 0, false
	case b.unreserved(q.cost, q.left):
		return Reserving, 0, false
	}
	return NoReason, 0, false
}

// note remembers of a denial what the bucket needs to know to open again: what
// the first of its queue wants, not whoever comes behind.
func (l *Ledger) note(route []*Bucket, d *Decision, r *Request) {
	b := d.Bucket
	if b.queued == 0 || r.Turn == b {
		cost, _ := l.costOf(b, r.Scope.Endpoint, r.Costs)
		b.wants(cost)
	}
	switch {
	case d.Reason == Reserving:
		// All at once, so that a call of many buckets waits for one write.
		for i, b := range route {
			if q := l.asked[i]; b.unreserved(q.cost, q.left) {
				l.wanting[b] = struct{}{}
			}
		}
	case d.Reason == Probing && b.state == Ramping:
		b.heldBack()
	}
}

// Release ends a permit with which nothing was sent and credits its cost. It
// reports false, and changes nothing, for one that has ended or lapsed.
func (l *Ledger) Release(now time.Time, p *Permit) bool {
	t := at(now)
	if l.overdue(t); p.state != outstanding {
		return false
	}
	l.permits.remove(p, ended)
	for _, c := range p.charges {
		c.bucket.advance(t)
		c.bucket.release(t, p.granted, c.cost)
		l.conclude(c.bucket)
		l.open(c.bucket)
		l.change(c.bucket)
	}
	return true
}

// Advance does what time alone does: it lapses permits, turns windows and ends
// cool-downs. Calling it late, or not at all, grants nothing of a quota that is not
// there, for every method does the same for what it touches. But what is noticed late
// may be held back for longer, and counts as our own in the window in which it is: then
// less of what was used is thought to be others', and a probe may go sooner.
func (l *Ledger) Advance(now time.Time) {
	t := at(now)
	l.overdue(t)
	l.warm(t)
	if len(l.queued) > 0 {
		l.attend(t)
	}
	l.sweep(t)
}

// attend opens the buckets whose queues can go on.
func (l *Ledger) attend(now instant) {
	for b := range l.queued {
		b.advance(now)
		if why, _, _ := b.decide(now, b.want()); why == NoReason && l.heldUntil(now, b) == 0 {
			l.open(b)
		}
	}
}

// Wake is the next instant at which Advance would change something that somebody
// waits for, or forget what nobody needs; zero when there is none. It is now where
// somebody could go at once and has not been told.
func (l *Ledger) Wake(now time.Time) time.Time {
	t := at(now)
	var next instant
	if p := l.permits.first; p != nil {
		next = p.lapses
	}
	if p := l.firstSlotted(); p != nil {
		next = earlier(next, p.awaited)
	}
	next = earlier(next, l.warms())
	for b := range l.queued {
		b.advance(t)
		next = earlier(next, l.servesAt(t, b))
	}
	if len(l.ghosts) > 0 {
		next = earlier(next, l.ghosts[0].until)
	}
	switch {
	case len(l.sweeping.left) > 0:
		next = t
	case l.size > few:
		next = earlier(next, l.agesAt)
	}
	return next.time()
}

// servesAt is when time alone lets the first of those who wait at the bucket try
// again; zero when it never does.
func (l *Ledger) servesAt(now instant, b *Bucket) instant {
	why, retry, _ := b.decide(now, b.want())
	held := l.heldUntil(now, b)
	_, writes := l.wanting[b]
	switch {
	case why != NoReason:
		return retry
	case held != 0:
		return held
	case writes && b.unreserved(b.want(), b.available()):
		return 0 // it waits for the store
	}
	return now
}

// Queue tells how many callers wait at a bucket. A bucket with a queue is kept,
// and a caller that does not wait yet is denied there as [Queued].
func (l *Ledger) Queue(b *Bucket, waiting int) {
	if b.dropped {
		return
	}
	b.queued = int32(min(waiting, math.MaxInt32)) //nolint:gosec // it fits
	if waiting > 0 {
		l.queued[b] = struct{}{}
	} else {
		delete(l.queued, b)
	}
}

// Buckets yields every bucket whose key matches the pattern, in no order.
func (l *Ledger) Buckets(pattern Scope) func(yield func(*Bucket) bool) {
	return func(yield func(*Bucket) bool) {
		for b := range l.all {
			if b.Key().Matches(pattern) && !yield(b) {
				return
			}
		}
	}
}

// Len is how many buckets there are.
func (l *Ledger) Len() int { return l.size }

// Counted is the buckets that count a call of this scope. The slice is good until
// the next call.
func (l *Ledger) Counted(now time.Time, s Scope) []*Bucket { return l.route(at(now), &s) }

// splitmix is a small random number generator: the ledger may not read one, and
// must give the same numbers for the same seed.
type splitmix uint64

// next is not negative.
func (s *splitmix) next() int64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int64((z ^ z>>31) >> 1)
}
