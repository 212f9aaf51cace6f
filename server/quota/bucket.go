package quota

// unbounded stands in for a remaining that nothing bounds.
const unbounded = MaxQuota

// Bucket is the state of one [Limit] for one key. It belongs to its [Ledger]
// and is not safe for concurrent use. The letters are those of the model:
//
//	available = min(m − (a − aCov), quota − n − unheard) − o
//
// A ledger may hold a million of them, so a bucket itself has only what an
// ordinary call reads. What few buckets need at a time stands in parts of its
// own that are made when they are first needed: see rare.go. What many share,
// rule, tally and most of the key, is in their kin. Small fields stand together,
// so that they fill the words that they begin.
type Bucket struct {
	*kin
	user  string
	quota int64 // units a window; 0 when not known

	m    int64   // lowest remaining confirmed in this window, or unbounded
	tm   instant // when m was heard
	n    int64   // own cost answered and not refused in this window
	o    int64   // granted and not yet settled
	a    int64   // running sum of cost settled without numbers; only grows
	aCov int64   // how much of a an observation covers; only grows

	// lost is the cost in this window of calls that were not heard of, and that
	// the upstream may have counted; and what was used of it before we came.
	lost int64

	// remembered is where the ledger keeps reports about it, from 1; 0 when it never
	// did.
	remembered uint16
	provenance Provenance
	// doubtful says that m fell by more than our own calls explain: one answer
	// is enough to raise it again.
	doubtful bool
	// strayed says that m may be a number of the window before.
	strayed bool
	// asked is true once a call has been answered while the quota was not known.
	asked bool
	// lastTold is true when an answer told the end of the last window; lastUnseen
	// when we did not turn then: the first answer that told when this window ends
	// told when that one did.
	lastTold, lastUnseen bool

	phase
	cooldown
	ledgerState

	// kind is what only some kinds of window need; nil for one that only turns, at
	// an end that is told or declared, as most do.
	kind *kindState
	// lesson is nil for a bucket that learns nothing by its own count.
	lesson *lesson
	// rare is what few buckets need at a time; nil for one that needs none of it.
	rare *rare
}

// ledgerState is what the ledger keeps with each bucket.
type ledgerState struct {
	chunks
	// reserved is how much of this window the store has confirmed, settled how
	// much of that it was told the upstream has counted.
	reserved, settled int64
	// queued is how many callers wait.
	queued int32
	// unwritten is true when the quota was told and the store was not.
	unwritten bool
	// opened and changed are true while the ledger lists the bucket so, dropped
	// once it has forgotten it.
	opened, changed, dropped bool
}

// Name is the name of the bucket's limit.
func (b *Bucket) Name() string { return b.rule.Name }

// Key is what the bucket counts: the scope's parts by which its limit is
// counted, the others empty.
func (b *Bucket) Key() Scope { return b.key(b.user) }

func newBucket(k *kin, user string, now instant) *Bucket {
	rule := k.rule
	b := &Bucket{kin: k, user: user, quota: rule.holds(), provenance: rule.Provenance}
	if rule.learns() {
		b.provenance = Nobody // who told of the limit told no quota
	}
	b.m = b.full()
	b.turned, b.ident = now, now
	b.kind = rule.Window.special(now, false)
	b.carry(now)
	return b
}

// full is what remains in a window that has just begun.
func (b *Bucket) full() int64 {
	if b.quota == 0 {
		return unbounded
	}
	return b.quota
}

// endless reports whether nobody knows when the window ends, nor ever could.
func (b *Bucket) endless() bool {
	return !b.end.known() && b.rule.Window.Kind == Unstated && b.tempo.most == 0
}

// available is how many more units can be granted: never more than the upstream
// can still have, whatever answers are on their way.
func (b *Bucket) available() int64 {
	return min(b.confirmed(), b.own()-b.unheard()) - b.o
}

// confirmed is what the upstream's numbers leave us: the lowest remaining less
// all that may not be counted in it.
func (b *Bucket) confirmed() int64 {
	if b.kind == nil && b.a == b.aCov {
		return b.m
	}
	return b.lessUncovered()
}

// lessUncovered is what is confirmed where not all is counted in the lowest remaining.
func (b *Bucket) lessUncovered() int64 {
	if b.m == unbounded || b.kind != nil && b.countsAlone() {
		return unbounded
	}
	left := b.m - (b.a - b.aCov)
	if b.alone() {
		left = max(left, min(b.m, b.quota-b.n-b.lost))
	}
	return left
}

// countsAlone reports whether the bucket's window is of a kind that its numbers do
// not bound: our own count does.
func (b *Bucket) countsAlone() bool {
	return b.concurrent() || b.slides() || b.logged() && (b.m == b.quota || b.kind.log.foreign == 0 && !b.fleeting())
}

// alone reports whether we are the only consumer, as far as numbers ever showed, and
// watched this window from its start: all that can be counted in it is then our own,
// and what a number may not cover need not be taken off it twice.
func (b *Bucket) alone() bool {
	return b.drift() == nil && b.sawBegin() && b.quota > 0 && b.windowed() && !b.logged() && !b.guesses()
}

// own is what our own count leaves us, whatever the numbers say.
func (b *Bucket) own() int64 {
	switch {
	case b.quota == 0:
		return unbounded
	case b.kind == nil:
	case b.concurrent():
		return b.quota
	case b.logged():
		return b.quota - b.held()
	}
	return b.quota - b.n
}

// advance does what time alone does to the bucket.
func (b *Bucket) advance(now instant) {
	if !b.still(now) {
		b.elapse(now)
	}
}

// still reports whether time does nothing to the bucket yet, as it does mostly.
func (b *Bucket) still(now instant) bool {
	return b.kind == nil && b.lesson == nil && b.governor() == nil && b.state != Cooling &&
		(now < b.end.lo || b.end.hi == 0)
}

func (b *Bucket) elapse(now instant) {
	b.heed()
	b.expire(now)
	b.advanceKind(now)
	b.passLo(now)
	if b.end.known() && now >= b.turnsAt() {
		b.turnUnsure(now)
	}
	b.cooldown.advance(now)
	if b.governor() != nil && b.governor().over(now) {
		b.doubt().governor = nil
	}
}

// decide is whether the bucket alone allows a call of this cost, and if not,
// when it could; firm says that nothing but time can help before that.
func (b *Bucket) decide(now instant, cost int64) (why Reason, retry instant, firm bool) {
	return b.decideLeft(now, cost, b.available())
}

func (b *Bucket) decideLeft(now instant, cost, left int64) (why Reason, retry instant, firm bool) {
	if why, retry := b.cooldown.blocks(now); why != NoReason {
		return why, retry, why == CoolingDown
	}
	switch {
	case b.state == ProbingState:
		return NoReason, 0, false
	case b.gate:
		return b.governed(now)
	case b.quota > 0 && cost > b.quota:
		return TooLarge, 0, true
	case b.quota == 0 && !b.asked && b.m == unbounded:
		if next := b.doubted().nextAsk; now < next {
			return Probing, next, false
		}
		return NoReason, 0, false
	case b.unsure && now < b.doubted().nextAsk:
		return Probing, b.doubted().nextAsk, false
	case left >= cost && b.leaves(now, cost):
		return NoReason, 0, false
	case b.probeDue(now, cost), b.tryDue(now, cost):
		return NoReason, 0, false
	}
	b.boundEnd(now)
	retry = b.retryAt(now, cost)
	return Exhausted, retry, retry != 0 && b.available()+b.o < cost
}

// ordinary reports whether nothing but what is left decides, which is never more than
// a quota, and nobody waits for it.
func (b *Bucket) ordinary() bool {
	return b.state == Open && b.queued == 0 && b.quota > 0 && !b.unsure && b.rare == nil
}

// retryAt is when an exhausted bucket could allow a call of this cost.
func (b *Bucket) retryAt(now instant, cost int64) instant {
	retry := b.doubted().probeAt
	missing := cost - (b.own() - b.o)
	switch {
	case b.quota == 0:
	case b.refills():
		return earlier(retry, b.flowsBackBy(cost))
	case missing > 0 && b.weighs():
		return earlier(retry, b.kind.counter.freed(missing))
	case missing > 0 && b.logged():
		return earlier(retry, b.freed(missing))
	}
	if b.end.known() {
		retry = earlier(retry, b.turnsAt())
	}
	if retry <= now {
		return 0
	}
	return retry
}

// probeDue reports whether a closed bucket may send a probe now. It is closed
// without a reason to stay so when nobody knows when its window ends; or when
// our own count does not close it, but a quarter of its quota lapsed unheard and
// nothing is in flight, or a single answer that nothing explains.
func (b *Bucket) probeDue(now instant, cost int64) bool {
	closed := b.available()+b.o < cost
	silent := b.o == 0 && b.quota > 0 && b.lapsed()*4 >= b.quota
	if !closed || !b.endless() && (!silent && !b.doubtful || b.own()-b.o < cost) {
		b.stopProbes()
		return false
	}
	if b.doubted().probeAt == 0 {
		b.probeSoon(now)
	}
	return now >= b.doubted().probeAt
}

// probeSoon paces probes from the start: the first after a second.
func (b *Bucket) probeSoon(now instant) {
	d := b.doubt()
	d.probeAt, d.probeWait = now.add(probeGap), probeGap
}

func (b *Bucket) stopProbes() {
	if d := b.doubts(); d != nil {
		d.probeAt, d.probeWait = 0, 0
	}
}

// grant charges a call. The bucket must have allowed it, with so much left.
func (b *Bucket) grant(now instant, cost, left int64) {
	b.tally.Granted++
	if left < cost || b.state != Open || b.quota == 0 || b.kind != nil || b.rare != nil || b.unsure {
		b.grantOnTrial(now, cost, left)
	}
	b.o += cost
	b.flying++
	b.age = 0
}

// grantOnTrial notes what a call is beside its cost, at a bucket that is not simply
// open: a probe, or one that is paced, or the first of a window.
func (b *Bucket) grantOnTrial(now instant, cost, left int64) {
	switch {
	case b.state == ProbingState:
		b.tally.Probes++
	case b.gate:
		if b.governor() != nil {
			b.governor().granted(now)
		}
	case left >= cost:
		b.stopProbes()
	case b.tryDue(now, cost):
		b.tally.Probes++
		b.lesson.try(now)
	default:
		b.tally.Probes++
		d := b.doubt()
		d.probeWait = min(2*d.probeWait, maxProbeGap)
		d.probeAt = now.add(d.probeWait)
	}
	if b.quota == 0 && !b.gate || b.unsure || b.unrecorded() {
		b.doubt().nextAsk = now.add(probeGap)
	}
	if b.kind != nil && b.kind.firstUse == 0 {
		b.kind.firstUse = now
	}
	if b.flying == 0 && b.logged() && b.kind.log.rhythm != nil {
		b.kind.log.rhythm.granted(now, b.kind.log.settledLast(), b.rule.Window.Period)
	}
	b.cooldown.granted(now)
}

// ungrant takes back a charge that is settled or given back.
func (b *Bucket) ungrant(cost int64) {
	b.o -= cost
	b.flying--
}

// release gives back a call that was not sent.
func (b *Bucket) release(now, granted instant, cost int64) {
	b.tally.Released++
	b.ungrant(cost)
	if d := b.doubts(); d != nil {
		d.nextAsk = now
	}
	b.cooldown.heard(now, granted, false)
}

// lapse spends a call that was never heard of.
func (b *Bucket) lapse(now instant, cost int64) {
	b.tally.Lapsed++
	b.ungrant(cost)
	b.spendLapsed(now, cost)
}

// spendLapsed spends what a call takes that was never heard of.
func (b *Bucket) spendLapsed(now instant, cost int64) {
	if b.spend(now, cost); !b.concurrent() {
		b.doubt().lapsed += cost
	}
}

// lose spends a call that may have reached the upstream.
func (b *Bucket) lose(now instant, cost int64) {
	b.ungrant(cost)
	b.spend(now, cost)
}

// spend spends what such a call takes.
func (b *Bucket) spend(now instant, cost int64) {
	if b.concurrent() {
		return // it is over, and nothing of it counts on
	}
	b.keep(now, cost)
	b.a += cost
	b.lost += cost
	if !b.logged() && !b.refills() {
		b.doubt().unheard += cost
	}
}

// heardLate notes the answer to a call that had lapsed in this window: it is lost no
// more.
func (b *Bucket) heardLate(w *news) {
	if d := b.doubts(); d != nil {
		d.lapsed -= min(d.lapsed, w.late)
		d.unheard -= min(d.unheard, w.late)
	}
	if w.passed && !b.refills() {
		b.n += w.late
		b.lost -= min(b.lost, w.late)
	}
}

// cover notes that an observation covers the sum of what was settled before its
// call was granted.
func (b *Bucket) cover(a int64) {
	b.aCov = max(b.aCov, a)
	if d := b.doubts(); d != nil {
		d.lapsed, d.unheard = min(d.lapsed, b.a-b.aCov), min(d.unheard, b.a-b.aCov)
	}
}
