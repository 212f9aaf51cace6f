package quota

import "time"

// How what others take is followed.
const (
	// burstFades is the share, as its divisor, of the greatest burst that is
	// forgotten with each window; rateFades is the same of what they take in a
	// window.
	burstFades, rateFades = 64, 8
	// calmAfter is how many answers without a refusal make up for one.
	calmAfter = 2000
	// tapers is the share, as its divisor, of what is left that may be on its way
	// at once where others may take all of it before it arrives.
	tapers = 8
	// mostSudden and mostFloor are the most that is thought to be taken at once,
	// and the most that is left to others at the end, as divisors of the quota.
	mostSudden, mostFloor = 4, 32
)

// drift is by how much an upstream's numbers fall more than our own calls explain:
// what others take with the same credentials. Only a bucket of which that has been
// seen has one.
type drift struct {
	// seen is what others took in this window, before what they took in each of
	// the last: the greatest, fading.
	seen, before int64
	// burst is the most that others took between a grant and its call's arrival,
	// beyond their rate, fading, in burstFades of a unit. doubted is one that a
	// doubtful number shows.
	burst, doubted int64
	// floor is what is left to others at the end, because calls for it were
	// refused; calm counts the answers since the last such.
	floor, calm int64
	// today is what others took since the day began.
	today int64
	day   instant
}

// counted is all of our own cost that the upstream can have counted in this
// window.
func (b *Bucket) counted() int64 { return b.n + b.lost + b.o }

// unexplained is by how much what remains is less than our own cost explains, if that
// is known at all.
func (b *Bucket) unexplained() int64 { return b.quota - b.m - b.counted() }

// foreign is what the upstream counted in this window beyond all that we can have
// sent: never more than others took, and less while calls are in flight.
func (b *Bucket) foreign() int64 {
	foreign := b.unexplained()
	if foreign <= 0 || !b.heardNow() || b.quota == 0 || b.logged() || !b.windowed() || b.doubtful || b.strayed || b.guesses() {
		return 0
	}
	return foreign
}

// promise is what the upstream's numbers promise of a window in which others take
// no more than their rate: what remains, and what we can have used. A grant does
// not change it.
func (b *Bucket) promise(now instant) int64 {
	left := b.confirmed()
	if left == unbounded {
		return 0
	}
	if b.drift() != nil {
		left -= b.takenSince(now)
	}
	return left + b.n + b.lost
}

// follow learns what others take from an answer that has been settled.
func (b *Bucket) follow(w *news) {
	if b.lesson != nil && b.provenance == Configured && w.blocked && w.quota == 0 {
		return // it is to teach that the quota is less
	}
	foreign := b.foreign()
	w.beyond = foreign > 0
	if b.drift() == nil {
		if foreign == 0 {
			return
		}
		if w.promised == 0 {
			b.lost += foreign // used before we came: nobody knows by whom
			return
		}
		b.doubt().drift = &drift{}
	}
	d := b.drift()
	if w.passed {
		d.rest()
	}
	if w.remaining != b.m || b.strayed || !b.heardNow() || b.logged() {
		return // says nothing of what remains, or is not believed
	}
	sudden := min(b.quota-b.m, w.promised-b.m) - b.counted()
	if b.doubtful {
		d.doubted = max(d.doubted, sudden)
		return
	}
	d.burst = max(d.burst, max(sudden, d.doubted)*burstFades)
	d.doubted = 0
	if w.blocked && foreign > 0 {
		d.refused(b.quota)
	}
	d.see(b.dayOf(w.now), foreign)
}

// undrift forgets what a number showed that turned out false.
func (b *Bucket) undrift() {
	if b.drift() != nil {
		b.drift().doubted = 0
	}
}

// see adds to what others took.
func (d *drift) see(day instant, others int64) {
	if day != d.day {
		d.day, d.today = day, 0
	}
	d.today += max(0, others-d.seen)
	d.seen = max(d.seen, others)
}

// since is what others took since the day began.
func (d *drift) since(day instant) int64 {
	if d == nil || day != d.day {
		return 0
	}
	return d.today
}

// dayOf is when the day began, in the zone in which the window turns.
func (b *Bucket) dayOf(now instant) instant {
	zone := b.rule.Window.zone()
	y, m, d := now.time().In(zone).Date()
	return at(time.Date(y, m, d, 0, 0, 0, 0, zone))
}

// refused leaves more to others, because they were faster.
func (d *drift) refused(quota int64) {
	d.floor, d.calm = min(max(1, 2*d.floor), quota/mostFloor), 0
}

// rest takes back half of what is left to others, once that has long cost nothing.
func (d *drift) rest() {
	if d.calm++; d.calm%calmAfter == 0 {
		d.floor /= 2
	}
}

// turn is a new window.
func (d *drift) turn() {
	d.before = max(d.seen, d.before-d.before/rateFades-1)
	d.burst -= d.burst / burstFades
	d.seen, d.doubted = 0, 0
}

// others is what others took in this window.
func (d *drift) others() int64 {
	if d == nil {
		return 0
	}
	return d.seen
}

// rate is what others take in a window.
func (d *drift) rate() int64 { return max(d.seen, d.before) }

// within is what others take in so long.
func (b *Bucket) within(d time.Duration) int64 {
	period := b.rule.Window.period()
	if period == 0 || b.drift() == nil {
		return 0
	}
	return int64(float64(b.drift().rate()) * float64(max(0, min(d, period))) / float64(period))
}

// takenSince is what others took since the number that we count by.
func (b *Bucket) takenSince(now instant) int64 {
	return b.within(now.sub(b.numberOf()))
}

// numberOf is from when the number is that we count by: when it was heard, or when
// the window may have begun.
func (b *Bucket) numberOf() instant {
	if b.heardNow() {
		return b.tm
	}
	if last := b.lastEnd(); last.known() {
		return last.lo
	}
	return b.turned
}

// sudden is what others may take before the next call arrives.
func (b *Bucket) sudden() int64 {
	d := b.drift()
	return min(max(d.burst*3/2/burstFades, d.rate()/mostSudden), b.quota/mostSudden)
}

// theirs is what is left to others of what remains: what they will take of it
// before the window ends, or what it cost refusals to take.
func (b *Bucket) theirs(now instant) int64 {
	switch {
	case b.drift() == nil || b.endless() || b.logged():
		return 0
	case !b.end.known():
		return b.drift().floor
	}
	return max(b.drift().floor, min(b.sudden(), b.within(b.end.mid().sub(now))))
}

// leaves reports whether a call of this cost leaves enough to others. What they
// cannot take before it arrives goes freely. Of the rest a small part is on its way
// at once, so that each answer tells what others took; it is not begun by an old
// number, and stops at what is theirs, unless that has long cost nothing.
func (b *Bucket) leaves(now instant, cost int64) bool {
	if cost == 0 || b.drift() == nil || b.confirmed() == unbounded || b.logged() || b.endless() {
		return true
	}
	left, sudden := b.confirmed()-b.takenSince(now), b.sudden()
	old := now.sub(b.numberOf()) > probeGap
	switch {
	case (!old || sudden == 0) && b.o+cost <= left-sudden:
		return true
	case b.o == 0 && !b.heardNow():
		return true
	case old && left < sudden || left-b.o-b.theirs(now) < cost:
		return b.o == 0 && b.drift().calm >= min(calmAfter, 8*b.quota)
	}
	return b.o == 0 || b.o+cost <= left/tapers
}
