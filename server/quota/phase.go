package quota

import "time"

// calendarGuard is how far an upstream's clock may be from ours at a boundary
// that nobody tells: calls around it are charged to both windows.
const calendarGuard = 1500 * time.Millisecond

// defaultSlack is how far a reset told in whole seconds may lie from the truth,
// whichever way it was rounded.
const defaultSlack = time.Second

// phase is where a bucket's window begins and ends, as far as that is known.
type phase struct {
	// turned is when this window began for us: a call granted since can never
	// speak of an earlier one. ident identifies the window in the store; unlike
	// turned it is never taken back.
	turned, ident instant
	// end bounds when the window ends.
	end span

	// hearsay is what answers said of the end; nil when they said nothing.
	hearsay *hearsay
	// last is the window before this one; nil when there was none.
	last *lastWindow

	// told is true once any answer told a reset.
	told bool
	// jittery is true once two resets of one window disagreed: from then on the
	// end lies anywhere in the hull of all that was told of this window.
	jittery bool
	// seen is true once an answer spoke of the bucket in this window.
	seen bool
	// unseen counts the answers since the last such that spoke of other buckets,
	// up to forgetAfter; 0 where somebody configured the limit.
	unseen uint8

	asking
}

// turnsAt is when the window turns by the clock; its end must be known.
func (b *Bucket) turnsAt() instant { return b.end.hi.add(b.pad()) }

// passLo notes what may belong to the next window, from the first moment at
// which the window may have ended.
func (b *Bucket) passLo(now instant) {
	if b.end.known() && b.edge() == nil && now >= b.end.lo {
		b.setEdge(&edge{b.a, b.bare()})
	}
}

// turn begins a new window because the clock says so. What may belong to
// either window is charged to the new one.
func (b *Bucket) turn(now instant) {
	bare, covered := b.straddling()
	passed := b.edge()
	b.begin(now)
	// A log's turns are the end of its numbers, not of what the upstream counts.
	if passed != nil && !b.logged() {
		b.cover(passed.a)
	}
	b.a += bare + covered
	b.m, b.n = b.full(), bare
	if b.kind != nil && b.o == 0 && b.a == b.aCov {
		b.kind.firstUse = 0 // nothing is counted in it yet
	}
	if b.lesson != nil {
		b.lesson.watched = true // every call of it is counted
	}
	b.carry(now)
}

// straddling is what may belong to the next window and is not, or not any more,
// uncovered in the sum a: the cost that was answered since the window may have
// ended with numbers but without a reset; and what such numbers covered of the
// sum since then. For the next window all of it is uncovered.
func (b *Bucket) straddling() (bare, covered int64) {
	bare = b.bare()
	e := b.edge()
	if e == nil {
		return bare, 0
	}
	return bare - e.bare, max(0, b.aCov-e.a)
}

// begin starts a new window and keeps what is needed of the old.
func (b *Bucket) begin(now instant) {
	if b.last == nil {
		b.last = &lastWindow{}
	} else if b.quota > 0 {
		b.tally.Use.observe(b.quota-b.available()-b.o, b.quota)
	}
	if b.lesson != nil {
		b.lesson.end(b)
	}
	b.windowEnded(b.last.end)
	told := b.heardOf().hull.known()
	if told && b.lastTold {
		b.tempo.learn(b.last.end, b.end)
	}
	*b.last = lastWindow{turned: b.turned, end: b.end, m: b.m, n: b.n, aCov: b.aCov}
	b.lastTold, b.lost = told, b.uncovered()
	if b.kind != nil {
		b.kind.firstUse = b.end.lo
	}
	if b.logged() && b.kind.log.foreign > 0 {
		b.kind.log.foreign--
	}
	b.turned, b.ident, b.seen = now, max(now, b.ident+1), false
	if b.drift() != nil {
		b.drift().turn()
	}
	b.end = span{}
	if b.hearsay != nil {
		*b.hearsay = hearsay{}
	}
	b.doubtful, b.strayed, b.lastUnseen = false, false, false
	b.beginRare()
	b.reserved, b.settled = 0, 0
	if b.quota == 0 && b.m != unbounded {
		b.asked = false
	}
}

// uncovered is the cost settled without numbers that may belong to the window
// that begins.
func (b *Bucket) uncovered() int64 {
	if e := b.edge(); e != nil {
		return b.a - e.a
	}
	return b.a - b.aCov
}

// carry knows the next end at once where the window's kind tells it.
func (b *Bucket) carry(now instant) {
	w := &b.rule.Window
	if !w.carries() {
		return
	}
	guard := min(calendarGuard, w.period()/20)
	next := at(w.next(now.time()))
	if last := b.lastEnd(); last.known() && last.hi >= next.add(-guard) {
		next = at(w.next(next.time())) // it has turned by the upstream's clock, which is ahead
	}
	b.end = span{next.add(-guard), next.add(guard)}
	if b.hearsay != nil {
		b.hearsay.hull = b.end
	}
	b.passLo(now)
}

// usedFirst bounds the end of a window that began at its first use, whatever was
// told of it: a call granted in it has been answered.
func (b *Bucket) usedFirst(now, granted instant) {
	if b.rule.Window.FirstUse && b.end.known() && granted >= b.turned {
		b.end.hi = max(b.end.lo, min(b.end.hi, now.add(b.rule.Window.Period)))
	}
}

// resetSpan is the interval in which a told reset lies of a window of this period, 0
// when that is not known: unknown when it was not told or cannot be.
func resetSpan(r *Reset, period time.Duration, sent, received instant, maxReset time.Duration) span {
	if !r.Known || r.After < 0 {
		return span{}
	}
	slack := r.Slack
	if slack == 0 {
		slack = defaultSlack
	}
	furthest := maxReset
	if p := period; p > 0 {
		furthest = p + max(p/10, slack)
	}
	if r.After > furthest {
		return span{}
	}
	return span{sent.add(r.After - slack), received.add(r.After + slack)}
}

// era is which window an answer speaks of.
type era uint8

const (
	// thisWindow is the one we are in.
	thisWindow era = iota
	// eitherWindow is this one or one beside it: the reset is too vague to tell.
	eitherWindow
	// pastWindow has ended for us and for the upstream.
	pastWindow
	// nextWindow has begun for the upstream and not for us.
	nextWindow
	// sameAsLast has ended for us and not for the upstream: we turned early.
	sameAsLast
)

// place tells which window an answer speaks of, by the interval in which its
// reset lies. Causality comes first: a call that was granted in this window
// cannot speak of an earlier one, so if its reset is the old one, it is we who
// were early.
func (b *Bucket) place(now, granted instant, reset span, epoch int64) era {
	switch {
	case !reset.known() || epoch != 0 && b.hearsay != nil && epoch == b.hearsay.epoch:
		return thisWindow
	case b.logged() && reset.lo <= now || b.fleeting() && soon(now, reset):
		return eitherWindow // it may have ended, and nothing says what came then
	case b.logged():
		return thisWindow
	}
	known, ends, lastEnd, reach := b.end.known(), b.end, b.lastEnd(), b.reach()
	if !known {
		ends = b.untoldEnds()
	}
	this := reset.hi >= ends.lo && reset.lo <= ends.hi
	// A call granted within reach of the end can only be of this window, or we turned
	// long before it began.
	last := lastEnd.known() && reset.lo <= lastEnd.hi.add(b.pad()) ||
		known && granted < b.end.hi.add(-reach) && reset.lo <= b.end.hi.add(-reach)
	next := known && reset.hi >= b.end.lo.add(reach)
	half := halfOf(reach)
	switch {
	case this && (last || next):
		return eitherWindow
	case this:
		return thisWindow
	case next || known && reset.mid() >= b.end.mid().add(half) && half > 0:
		return nextWindow
	case !last && known && reset.mid() > b.end.mid().add(-half):
		return thisWindow // beside it: two resets of one window disagree
	case granted < b.turned:
		return pastWindow
	case lastEnd.known() && (!known || reset.mid() < lastEnd.mid().add(half)):
		return sameAsLast
	case lastEnd.known():
		return pastWindow // one that came and went between the last and this
	case last:
		return pastWindow // of which nothing was known when it ended
	}
	return thisWindow
}

// untoldEnds bounds when this window ends where nobody told: not before one period
// after the last could have ended.
func (b *Bucket) untoldEnds() span {
	const never = instant(1<<63 - 1)
	if last := b.lastEnd(); last.known() {
		return span{max(last.lo.add(b.reach()), b.turned), never}
	}
	return span{b.turned, never}
}

// reach is the shortest that a window can be: a period, less what months and
// days differ by; or, where nobody told it, as far away as a reset ever was.
func (b *Bucket) reach() time.Duration {
	if p := b.rule.Window.period(); p > 0 {
		return p / 10 * 9
	}
	return b.longest()
}

// halfOf is half a period, by what a bucket's reach is: what tells one window's reset
// from the next one's.
func halfOf(reach time.Duration) time.Duration { return reach * 5 / 9 }

// learnEnd narrows the window's end by a told reset.
func (b *Bucket) learnEnd(w *news) {
	now, reset := w.now, w.reset
	if !reset.known() {
		return
	}
	h, was := b.hearOfEnd(), b.end
	b.suppose(false)
	switch narrowed := (span{max(b.end.lo, reset.lo), min(b.end.hi, reset.hi)}); {
	case !b.end.known() || b.logged():
		h.hull = reset
		b.setEnd(now, reset)
	case b.jittery || narrowed.lo > narrowed.hi:
		b.jittery = true
		h.hull = h.hull.with(b.end).with(reset)
		b.setEnd(now, h.hull)
	default:
		h.hull = h.hull.with(reset)
		b.setEnd(now, narrowed)
	}
	h.epoch = w.epoch
	if b.rule.Window.period() == 0 {
		r := b.need()
		r.longest = max(r.longest, reset.hi.sub(now))
	}
	if b.rule.Window.Kind == Unstated || b.rule.Provenance != Configured {
		b.tempo.hear(b, now, reset)
	}
	if !b.told && !w.tighten {
		b.tellPhase(w, was)
	}
}

// hearOfEnd is the hearsay, made when there is none: an end that is known without
// being told counts as told first.
func (b *Bucket) hearOfEnd() *hearsay {
	if b.hearsay == nil && b.rule.Window.carries() {
		b.hearOf().hull = b.end
	}
	return b.hearOf()
}

// tightenEnd drops a reset that came without a permit, unless it lets the window last
// longer, or is the first of a window of which nothing else is known. Nor does it say
// that the window cannot end before: its answer may be older than anybody said.
func (b *Bucket) tightenEnd(w *news) {
	switch {
	case !w.reset.known():
	case b.end.known() && w.reset.hi > b.end.hi:
		w.reset.lo = min(w.reset.lo, b.end.lo)
	case !b.end.known() && !b.told && b.rule.Window.period() == 0:
		w.reset.lo = min(w.reset.lo, w.now)
	default:
		w.reset = span{}
	}
}

// setEnd replaces the bounds of the window's end. What was noted at the old
// lower bound is kept when the new one is later and has passed too; when it is
// earlier nobody knows any more what the sums were then, so it is the least that
// they can have been.
func (b *Bucket) setEnd(now instant, end span) {
	switch e := b.edge(); {
	case end.lo > now:
		b.setEdge(nil)
	case e == nil:
		b.setEdge(&edge{a: b.leastBy(end.lo)})
	case end.lo < b.end.lo:
		*e = edge{a: min(e.a, b.leastBy(end.lo))}
	}
	b.end = end
}

// leastBy is the least that the sum a can have been at an instant that has passed:
// what a number covered that had been heard by then.
func (b *Bucket) leastBy(when instant) int64 {
	switch {
	case b.tm != 0 && b.tm <= when:
		return b.aCov
	case b.last != nil && when >= b.turned:
		return min(b.last.aCov, b.aCov)
	}
	return 0
}

// prove begins a new window because an answer says that the upstream has. What
// may belong to either window stays charged until an answer covers it.
func (b *Bucket) prove(w *news) {
	bare, covered := b.straddling()
	old := int64(0)
	if b.rare == nil || w.granted >= b.rare.bareAt {
		old, bare, covered = bare, 0, 0
	}
	if e := b.edge(); e != nil {
		b.cover(e.a)
	}
	b.begin(w.now)
	b.lost += old
	b.learnEnd(w)
	b.takeQuota(w)
	b.m, b.n = b.full(), bare
	if w.remaining != Unknown {
		b.m, b.tm = min(b.m, w.remaining), w.now
		b.cover(w.a)
	}
	b.a += bare + covered
}

// overdue reports whether the answer tells an instant that may have passed by the
// upstream's own clock, while the window goes on: that clock is not the limiter's, so
// nobody knows when it ends.
func (w *news) overdue() bool { return w.epoch != 0 && w.reset.lo < w.sent }

// unturn takes an early turn back: the old window goes on with the lowest number
// heard in all of it, and from now on we turn later by as much as we were early, or
// twice as much where nobody tells how early that was.
func (b *Bucket) unturn(w *news) {
	d := b.doubt()
	d.pad += max(w.reset.hi.sub(b.turned), time.Millisecond)
	if w.overdue() {
		d.pad *= 2
	}
	if p := b.rule.Window.period(); p > 0 {
		d.pad = min(d.pad, p)
	}
	b.m = min(b.m, b.last.m)
	b.n += b.last.n
	b.lost = b.quota // nobody knows any more
	b.turned, b.aCov = b.last.turned, b.last.aCov
	b.last, b.lastTold = nil, false
	b.setEdge(nil)
	b.end = span{}
	b.learnEnd(w)
	b.takeNumbers(w)
}
