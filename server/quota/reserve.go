package quota

import "time"

// Reservation is what must be durable before a bucket may grant: two absolute
// numbers of one bucket's window that only grow, until the owner's last word.
// Two records of the same bucket and window are merged by the greater of each
// number. With them goes what was learned of the bucket, of which the newest
// record counts.
type Reservation struct {
	// Limit and Key identify the bucket.
	Limit string
	Key   Scope
	// Began identifies the window: when it began for the broker, in Unix
	// nanoseconds.
	Began int64
	// Lo and Hi bound when the window turns for the broker, in Unix nanoseconds; 0
	// when that is not known.
	Lo, Hi int64
	// Quota is the units a window at the time, 0 when not known; Provenance is who
	// told it.
	Quota      int64
	Provenance Provenance
	// Per, Unit and Window are those of a limit that responses told of; zero for
	// one that is configured.
	Per    Parts
	Unit   string
	Window Window
	// Found is which kind of window answers showed, where nobody declared it; zero
	// when it is declared, or they have not shown any.
	Found Window
	// CoolUntil is when a cool-down ends, in Unix nanoseconds, and CoolReason why
	// it began; 0 and empty when there is none. CoolTurns says that the window has
	// turned by then, so that it needs no probe; without that one is over only once
	// it is written as none.
	CoolUntil  int64
	CoolReason string
	CoolTurns  bool
	// Governor is the rate to which calls are held that were refused without a word;
	// zero when they are not.
	Governor Governor
	// Lesson is what a bucket knows that learns its quota by its own count; zero for
	// any other.
	Lesson Lesson
	// Cost is what calls of the key's endpoint were learned to take of a limit; zero but
	// in a record of that alone, which is no bucket's.
	Cost CostLesson
	// Reserved is the units that may have been granted, Settled those of them
	// that the upstream has counted for certain.
	Reserved, Settled int64
	// Final says that the owner has stopped: no more was granted than Reserved,
	// which may be less than was reserved before.
	Final bool
}

// recordID identifies a bucket in the records.
type recordID struct {
	limit string
	key   Scope
}

// stored reports whether the bucket's grants are reserved in the store. A window
// that is declared and held as a log, or short, is not: it is waited out after a
// restart. Nor is one of which an earlier owner may have granted what nobody recorded:
// the next would take the record for all there is. A gate has no quota.
func (b *Bucket) stored() bool {
	return b.quota > 0 && (!b.logged() || b.fleeting()) && !b.short() && !b.unrecorded()
}

// unreserved reports whether a call of this cost could go but for the store, which
// has not confirmed as much.
func (b *Bucket) unreserved(cost, left int64) bool {
	return cost > 0 && left >= cost && !b.reservedFor(cost, left) && b.stored() && b.state != ProbingState
}

// reservedFor reports whether the store has confirmed as much as a call of this cost takes.
func (b *Bucket) reservedFor(cost, left int64) bool { return b.spentOf(left)+cost <= b.reserved }

// spent is what the window has lost, as the upstream may see it: all that is not
// available, whoever took it.
func (b *Bucket) spent() int64 { return b.spentOf(b.available()) }

// spentOf is what is spent where so much is left.
func (b *Bucket) spentOf(left int64) int64 { return min(max(0, b.quota-left), b.quota) }

// settledOf is how much of what is spent the upstream has counted in this window for
// certain: what it answered before that can have ended. Numbers that show more may turn
// out false, and permits that were granted meanwhile would be forgotten with a crash; of
// a window that nobody declared, nothing is as certain.
func (b *Bucket) settledOf(spent int64) int64 {
	switch {
	case b.edge() != nil || b.doubtful:
		return min(b.settled, spent)
	case !b.windowed() || b.rule.Window.Kind == Unstated:
		return max(0, spent-b.o)
	}
	return min(b.n, spent)
}

// refill asks for the next chunk early, when half of the last is used; and for
// what was settled to be written once that is a chunk, so that a crash wastes no
// more.
func (l *Ledger) refill(b *Bucket) {
	spent, chunk := b.spent(), b.chunk()
	if b.unwritten || b.low(spent, chunk) || b.settledOf(spent) >= b.settled+chunk {
		l.ask(b)
	}
}

// low reports whether half of the last chunk is used where so much is spent, and there
// is more to reserve.
func (b *Bucket) low(spent, chunk int64) bool {
	return b.reserved < b.quota && spent+chunk/2 >= b.reserved
}

// ask wants the bucket's record written, if there is any.
func (l *Ledger) ask(b *Bucket) {
	if !b.dropped && (b.unwritten || b.stored()) {
		l.wanting[b], b.unwritten = struct{}{}, false
	}
}

// Wanted returns the reservations to write now: of every bucket that has used
// half of its last chunk, or settled one. It does not forget them: what [Ledger.Reserved] does
// not confirm is wanted again.
func (l *Ledger) Wanted(now time.Time) []Reservation {
	t := at(now)
	var wanted []Reservation
	for b := range l.wanting {
		b.advance(t)
		wanted = append(wanted, b.reservation(t))
	}
	return l.wantedCosts(wanted)
}

// Final returns the last word of an owner that stops: what every bucket has
// spent, with nothing ahead, and what was learned of it. Nothing may be taken of
// the ledger any more.
func (l *Ledger) Final(now time.Time) []Reservation {
	t := at(now)
	records := l.wantedCosts(nil)
	for b := range l.all {
		b.advance(t)
		r := b.record(t)
		switch {
		case b.stored():
			if r.Reserved = b.spent(); b.edge() == nil {
				r.Settled = max(0, r.Reserved-b.o)
			} else {
				r.Settled = b.settledOf(r.Reserved)
			}
		case b.lesson != nil && !b.logged():
			r.Reserved, r.Settled = b.n+b.lost+b.o, b.n+b.lost
		}
		if r.Reserved > 0 || b.reserved > 0 || b.state != Open || b.rule.Provenance == Told || b.provenance == Learned {
			r.Final = true
			records = append(records, r)
		}
	}
	return records
}

// reservation is the bucket's record with the next chunk.
func (b *Bucket) reservation(now instant) Reservation {
	r := b.record(now)
	if b.stored() {
		spent := b.spent()
		r.Reserved = min(max(spent+b.wanted(), b.reserved), b.quota)
		r.Settled = b.settledOf(spent)
	}
	return r
}

// record is the bucket's record but for what it has spent.
func (b *Bucket) record(now instant) Reservation {
	r := Reservation{
		Limit: b.rule.Name, Key: b.Key(), Began: int64(b.ident),
		Lo: int64(b.end.lo), Hi: int64(b.turnsBy()),
		Quota: b.quota, Provenance: b.provenance, Found: b.finds(now).Window,
	}
	if b.rule.Provenance == Told {
		r.Per, r.Unit, r.Window = b.rule.Per, b.rule.Unit, b.rule.Window
	}
	if b.lesson != nil {
		r.Lesson = b.lesson.record(b)
	}
	b.cooldown.record(&r)
	if g := b.governor(); g != nil {
		r.Governor = g.record()
	}
	if b.gate && b.closure != nil {
		r.Hi = max(r.CoolUntil, int64(b.began)) // it has no window
	}
	return r
}

// turnsBy is when the window has turned for certain; 0 when that is not known.
func (b *Bucket) turnsBy() instant {
	if !b.end.known() {
		return 0
	}
	return b.turnsAt()
}

// Reserved confirms that reservations are durable.
func (l *Ledger) Reserved(now time.Time, written []Reservation) {
	t := at(now)
	for _, r := range written {
		if limit, ok := r.costsOf(); ok {
			l.costKept(limit, &r)
			continue
		}
		b := l.find(r.Limit, r.Key)
		if b == nil {
			continue
		}
		if b.advance(t); int64(b.ident) == r.Began {
			b.pace(t, b.reserved)
			b.reserved, b.settled = max(b.reserved, r.Reserved), max(b.settled, r.Settled)
			delete(l.wanting, b)
			l.refill(b)
		}
		l.open(b)
	}
}

// ruleOf is the rule of a recorded bucket; nil when the limit was configured and
// is no more.
func (l *Ledger) ruleOf(r Reservation) *Limit {
	for _, rule := range l.limits(r.Key) {
		if rule.Name == r.Limit && r.Key.Only(rule.Per) == r.Key {
			return rule
		}
	}
	for _, rule := range l.told {
		if rule.Name == r.Limit && rule.Per == r.Per {
			return rule
		}
	}
	if r.Limit == nameBackoff {
		return gateRule(partsOf(r.Key))
	}
	if r.Provenance != Told && r.Window == (Window{}) || len(l.told) >= maxTold {
		return nil
	}
	rule := &Limit{Name: r.Limit, Per: r.Per, Unit: r.Unit, Quota: r.Quota, Window: r.Window, Provenance: Told}
	if r.Provenance != Told {
		rule.Quota = 0
	}
	l.told = append(l.told, rule)
	return rule
}

// partsOf is the parts that a gate's key has.
func partsOf(key Scope) Parts { return Parts{User: key.User != "", Endpoint: key.Endpoint != ""} }

// restore takes over a record: what was learned, the cool-down, and the window
// unless it has ended long ago. What it reserved and did not settle may have been
// sent after the window ended, and be counted in the next; not in any later one.
func (b *Bucket) restore(now instant, r Reservation) {
	if b.lesson != nil {
		b.restoreLesson(r)
	}
	if b.quota == 0 && r.Quota > 0 {
		b.quota, b.provenance, b.asked = min(r.Quota, MaxQuota), r.Provenance, true
		b.m = b.quota
	}
	if r.Provenance == Told && r.Quota > 0 && r.Quota < b.quota {
		b.quota, b.provenance, b.m = r.Quota, Told, min(b.m, r.Quota)
	}
	b.cooldown.restore(now, r)
	b.restoreGovernor(now, r.Governor)
	b.restoreFound(now, r)
	b.tellEnds(b.told || r.Hi != 0 && r.Reserved > 0)
	period := b.rule.Window.period()
	over := r.Hi != 0 && period > 0 && now >= instant(r.Hi).add(period)
	if over || !b.stored() && (b.lesson == nil || b.logged()) {
		b.unsure = over && r.Reserved > 0 // by a clock that may have been set since
		return
	}
	b.resume(now, r)
	b.unsure = b.unsure || b.ident != instant(r.Began)
}

// resume goes on with a window that an earlier owner recorded.
func (b *Bucket) resume(now instant, r Reservation) {
	period := b.rule.Window.period()
	b.turned, b.ident, b.seen = min(instant(r.Began), now), instant(r.Began), false
	if b.kind != nil {
		b.kind.firstUse = b.turned
	}
	// One that ends later than this kind of window can was recorded before the
	// limit's window was configured as it is now.
	if r.Hi != 0 && (period == 0 || instant(r.Hi) <= now.add(2*period)) {
		b.end = span{instant(r.Lo), instant(r.Hi)}
	}
	settled := min(max(0, r.Settled), b.full())
	b.suppose(settled == 0 && !b.rule.Window.carries())
	b.o = max(0, min(r.Reserved, b.full())-settled)
	b.n = settled
	if b.quota > 0 {
		b.reserved, b.settled, b.m = max(0, r.Reserved), settled, b.full()-settled
	}
	if b.lesson != nil {
		b.lesson.resume(b, r)
	}
	b.advance(now)
	if b.lesson != nil && b.ident != instant(r.Began) {
		b.lesson.watched = false // nobody saw this window begin
	}
}
