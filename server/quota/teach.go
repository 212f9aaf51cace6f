package quota

import (
	"slices"
	"time"
)

// Settle ends a permit by what became of its call, and learns from the answer.
// A permit that lapsed can still be settled, once. It reports false, and changes
// nothing, for one that has ended.
func (l *Ledger) Settle(now time.Time, p *Permit, a Answer) bool {
	if p.state == ended {
		return false
	}
	t := at(now)
	l.overdue(t)
	route := l.bucketsOf(t, p)
	if a.Unanswered {
		l.settleUnanswered(t, p)
		return true
	}
	if p.state != outstanding || p.planned != l.planned {
		route = l.routeNow(t, &p.Scope)
	}
	s := &answerState{scope: &p.Scope, route: route, maxReset: l.rules.maxReset(), permit: p, late: p.state == lapsed}
	s.read(t, p.granted, &a)
	s.tighten = p.granted <= l.ruledSince
	// A limit that this answer is the first to tell of counts the permit too, so
	// the permit ends only after it was found.
	told := l.attribute(s, a.Observations)
	l.permits.remove(p, ended)
	if len(s.blamed) > 0 {
		p.blamed = s.firstBlamed()
	}
	l.settleCharges(s, told)
	if s.passed {
		l.passed(s)
	} else {
		l.hold(s, &a)
	}
	l.forgetUnseen(s, told)
	return true
}

// settleCharges ends the charges of the permit, and lets those buckets learn too that
// the answer tells of and that do not count it.
func (l *Ledger) settleCharges(s *answerState, told tellings) {
	p, charged := s.permit, 0
	for i := range p.charges {
		c := &p.charges[i]
		o := told.of(c.bucket)
		if o != nil {
			charged++
		}
		l.settleCharge(s, c, o)
	}
	p.slotted = false
	if charged == len(told) {
		return
	}
	for _, t := range told {
		if !p.charged(t.bucket) {
			l.overhear(s, t)
		}
	}
}

// settleUnanswered spends the permit: the upstream may have counted it.
func (l *Ledger) settleUnanswered(now instant, p *Permit) {
	for _, c := range p.charges {
		if p.state == outstanding || p.holds(c.bucket) {
			c.bucket.tally.Settled++
			c.bucket.lose(now, c.cost)
			c.bucket.heard(now, p.granted, false)
			l.settled(c.bucket)
		}
	}
	l.permits.remove(p, ended)
	p.slotted = false
}

// Observe learns from a call made without a permit: it can only tighten. The
// scope must be valid and of the ledger's (api, app).
func (l *Ledger) Observe(now time.Time, scope Scope, a Answer) {
	if a.Unanswered {
		return
	}
	t := at(now)
	l.overdue(t)
	granted := at(a.Sent)
	if granted == 0 || granted > t {
		granted = t
	}
	s := &answerState{scope: &scope, route: l.routeNow(t, &scope), maxReset: l.rules.maxReset()}
	s.read(t, granted, &a)
	s.tighten = true
	for _, b := range s.route {
		b.age = 0
	}
	told := l.attribute(s, a.Observations)
	for _, t := range told {
		l.overhear(s, t)
	}
	l.hold(s, &a)
	l.forgetUnseen(s, told)
}

// answerState is an answer on its way through the buckets.
type answerState struct {
	arrival
	scope    *Scope
	route    []*Bucket
	verdict  Verdict
	maxReset time.Duration
	// permit is the call's, nil for one without; late says that it lapsed before, so
	// that its cost is spent already. took is what it really took, free that this is
	// nothing.
	permit *Permit
	late   bool
	took   Costs
	free   bool
	// blamed are the buckets on whose account the call was refused; nil when none
	// is known. predicted says that no response named them.
	blamed    map[*Bucket]bool
	predicted bool
	// vague bounds the reset of a limit of which a refusal told without saying
	// whether it is of the user or of all.
	vague span
	// stale is true when the refusal is about a window that has ended, spare when
	// the response told of a bucket with something left.
	stale, spare bool
}

// bucketsOf is the buckets that the permit is charged to, brought up to date: those that
// count its call, unless it lapsed or they may be others by now.
func (l *Ledger) bucketsOf(now instant, p *Permit) []*Bucket {
	buckets, still := slices.Grow(l.counting[:0], len(p.charges))[:len(p.charges)], true
	for i := range buckets {
		b := p.charges[i].bucket
		buckets[i], still = b, still && b.still(now)
	}
	if l.counting = buckets; !still {
		advance(now, buckets)
	}
	return buckets
}

// routeNow is the buckets that count a call of the scope, brought up to date.
func (l *Ledger) routeNow(now instant, s *Scope) []*Bucket {
	route := l.route(now, s)
	advance(now, route)
	return route
}

// advance does what time alone does to the buckets.
func advance(now instant, buckets []*Bucket) {
	for _, b := range buckets {
		b.advance(now)
	}
}

// read begins with an answer to a call that was granted then.
func (s *answerState) read(now, granted instant, a *Answer) {
	s.now, s.granted = now, granted
	s.by, s.verdict, s.passed = a.By, a.Verdict, a.Verdict == Passed
	s.took, s.free = a.Costs, a.Free
	// A report cannot speak of the future, nor of an answer that came before the
	// call was granted: both would narrow a reset wrongly.
	s.received = now
	if !a.Received.IsZero() {
		s.received = min(max(at(a.Received), granted), now)
	}
	s.sent = min(max(at(a.Sent), granted), s.received)
}

// counts reports whether the upstream counted the call in a unit, for certain.
func (s *answerState) counts(unit string) bool {
	if s.permit == nil {
		return false
	}
	n, ok := s.took[unit]
	if !ok && s.free {
		return false
	}
	if !ok {
		n, ok = s.permit.costs[unit]
	}
	return n > 0 || !ok && unit == Requests
}

func (s *answerState) bounds(b *Bucket, r *Reset) span {
	return resetSpan(r, b.rule.Window.period(), s.sent, s.received, s.maxReset)
}

// tell adds to the news what the answer says of the bucket, or that its call was not
// taken; o is nil when it says nothing.
func (s *answerState) tell(w *news, b *Bucket, o *Observation) {
	w.blocked = len(s.blamed) > 0 && s.blamed[b]
	w.vague = s.vague.known() && !w.blocked || s.predicted && w.blocked
	if o != nil {
		w.reset, w.epoch = s.bounds(b, &o.Reset), o.Reset.Epoch
		if !w.tighten {
			w.ends = w.reset.hi
		}
		w.quota, w.remaining = min(o.Quota, MaxQuota), min(o.Remaining, MaxQuota)
	}
	if w.blocked {
		w.remaining = 0
	}
	if w.quota > 0 {
		w.remaining = min(w.remaining, w.quota)
	}
}

// settleCharge ends one charge of a permit; o is nil when nothing is told of its
// bucket.
func (l *Ledger) settleCharge(s *answerState, c *charge, o *Observation) {
	b := c.bucket
	w := &news{arrival: &s.arrival, a: c.a, held: b.o, promised: c.promised, remaining: Unknown}
	if o != nil || !s.passed {
		s.tell(w, b, o)
	}
	if w.tighten {
		w.a = 0 // it may be of another limit, and covers nothing
	}
	switch {
	case !s.late || s.permit.holds(b):
		w.cost, w.guessed = c.actual(s.took, s.free)
		b.ungrant(c.cost)
	case s.permit.lapses >= b.turned && !c.guessed:
		w.late = c.cost
	}
	if s.took != nil {
		if n, ok := s.took[b.rule.Counts()]; ok {
			b.learnTold(s.scope.Endpoint, n, s.permit.costs[b.rule.Counts()])
			l.keepCost(s.now, b, s.scope.Endpoint)
		}
	}
	b.tally.Settled++
	b.asked = true
	if b.n >= b.quota || b.closure != nil || b.rare != nil { // else it ends nothing
		b.answered(w)
		if b.unrecorded() {
			l.answers(b, w)
		}
	}
	if b.gate {
		if w.passed && b.closure != nil {
			b.clear(s)
		}
		l.settled(b)
		return
	}
	l.learn(s, b, w)
}

// overhear lets a bucket learn that does not count the call.
func (l *Ledger) overhear(s *answerState, t telling) {
	w := &news{arrival: &s.arrival, remaining: Unknown}
	s.tell(w, t.bucket, t.o)
	l.learn(s, t.bucket, w)
}

// learn lets a bucket settle an answer, and keeps it to explain if it said
// anything of the bucket.
func (l *Ledger) learn(s *answerState, b *Bucket, w *news) {
	if len(l.standings) > 0 && l.distrusts(b, w) {
		l.ignore(s, b, w)
		return
	}
	if w.quota > 2*b.quota {
		w.alone = l.alone(b, w.by)
	}
	before, heardAt := b.m, b.tm
	var kept *report
	if w.remaining != Unknown || w.reset.known() || w.blocked {
		kept = l.remember(b).hear(w, s.verdict)
	}
	if w.blocked && w.quota == 0 {
		l.disbelieve(b)
	}
	if b.weights != nil {
		l.weighMore(s, b, w)
	}
	if effect := b.settle(w); kept != nil {
		kept.effect = effect
	}
	if w.guessed && w.passed {
		b.learnFall(w, before, heardAt)
		l.keepCost(s.now, b, "")
	}
	if b.puzzles(w) {
		l.learnWeight(s, b, w)
	}
	if b.rare != nil {
		l.strike(b)
	}
	l.settled(b)
}

// conclude lets a bucket learn from a refusal once nothing is in flight any more,
// and keeps that to explain.
func (l *Ledger) conclude(b *Bucket) {
	if !b.ready() {
		return
	}
	heard := b.lesson.refusedAt
	effect := b.conclude()
	l.spread(b)
	*l.remember(b) = report{now: heard, granted: heard, verdict: Refused, quota: b.quota, remaining: Unknown, effect: effect}
}

// settled tells the ledger that a bucket's state is another.
func (l *Ledger) settled(b *Bucket) {
	if b.ready() {
		l.conclude(b)
	}
	l.refill(b)
	l.open(b)
	l.change(b)
}
