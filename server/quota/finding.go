package quota

import "time"

// What tells the kinds of window apart that nobody declared. At the end of a fixed
// window all is back at once, wherever the next one begins; of one that slides or
// refills only some is. So a turn that nobody is sure of asks first: one call goes
// out, and its answer says how much is back.
const (
	// sureAfter is after how many turns that brought all back the next one is
	// believed; one that brought only some back outweighs doubtWeighs of them.
	sureAfter, doubtWeighs = 2, 8
	// earlyOften is the share of the turns, as its divisor, that are early where there
	// are no windows.
	earlyOften = 5
)

// finding is what answers show of the windows of a limit, all its buckets together.
type finding struct {
	// whole counts the turns that brought all back, part those that did not.
	whole, part int64
	// silent counts the calls that asked, and whose answers told nothing of it.
	silent int64
	// early counts the turns that were early by what was told after them.
	early int64

	// ended bounds when the last window ended, of whichever bucket. inStep counts the
	// windows that ended whole periods after the one before: together so many steps,
	// which took apart; astray counts the others.
	ended                 span
	steps, inStep, astray int64
	apart                 time.Duration
	// furthest is the furthest away that a reset was for certain.
	furthest time.Duration
	// each bounds the time for one unit, if resets are when all is back; least and
	// most are the fewest and the most units of which one was told.
	each        struct{ lo, hi time.Duration }
	least, most int64
	// since is when the first number was heard, passed what passed since then of so
	// many buckets.
	since           instant
	passed, buckets int64

	// before is what an earlier owner found by a window that began at beforeAt; this
	// one has counted so many turns for it unseen.
	before   Window
	beforeAt int64
	lent     int64
}

// asking is what a bucket wants to know of the window that it is in.
type asking struct {
	// unsure is true from a turn that nobody is sure of until a call is answered,
	// and unread until an answer says how much is back.
	unsure, unread bool
	// known is true once the finding has the bucket.
	known bool
	// hit is true once a call of this window was refused.
	hit bool
}

// undeclared reports whether the kind of the bucket's window is to be found out.
func (b *Bucket) undeclared() bool {
	w := &b.rule.Window
	return !b.gate && (w.Kind == Unstated || w.Kind == Fixed && !w.Aligned && !w.FirstUse && (!b.short() || b.unsaid()))
}

// found is what answers show so far; nil when they have shown nothing.
func (b *Bucket) found() *finding { return b.family.finding }

// foundSince is what answers show so far, which begins then where they have shown
// nothing.
func (b *Bucket) foundSince(t instant) *finding {
	if b.found() == nil {
		b.family.finding = &finding{since: t}
	}
	return b.found()
}

// unsaid reports whether nobody said that the bucket's windows are fixed: an upstream
// tells their length alone.
func (b *Bucket) unsaid() bool {
	return b.rule.Window.Kind == Unstated || b.rule.Provenance == Told
}

// asks reports whether a turn of the bucket is to be asked about: where nobody said
// that its windows are fixed, or answers show that they are not.
func (b *Bucket) asks() bool {
	f := b.found()
	if f == nil || !b.undeclared() || b.logged() && !b.unsaid() {
		return false
	}
	doubts := doubtWeighs * f.rolling()
	return f.whole < doubts || b.unsaid() && f.whole+f.silent < sureAfter+doubts
}

// rolls reports whether the bucket has no windows at whose end all is back.
func (f *finding) rolls() bool { return f != nil && f.rolling() >= 3 && f.rolling() > 2*f.whole }

// turns counts the turns that this owner saw.
func (f *finding) turns() int64 { return f.whole + f.part + f.early + f.silent - f.lent }

// rolling counts the turns that were none. One or two that were early are due to how
// resets are rounded, and teach how much later to turn; a few in a hundred are due to
// nodes that lag.
func (f *finding) rolling() int64 {
	if f.early <= 2 || f.early*earlyOften <= f.early+f.whole {
		return f.part
	}
	return f.part + f.early - 2
}

// turnUnsure begins a new window that nobody is sure of.
func (b *Bucket) turnUnsure(now instant) {
	unsure := b.asks()
	b.turn(now)
	if unsure {
		b.unsure = true
	}
}

// windowEnded notes that the bucket's window, whose end is still known, has ended;
// last is when the one before did.
func (b *Bucket) windowEnded(last span) {
	if b.hit && b.undeclared() && b.unsaid() && b.n < b.quota-b.quota/10 {
		b.fellShort()
	}
	b.asking = asking{unread: true, known: b.known}
	if f := b.found(); f != nil && b.end.known() {
		if f.ended = b.end; last.known() {
			f.step(last, b.rule.Window.period())
		}
	}
}

// fellShort notes that calls of the window were refused that our own count left room
// for: not all was back when it began, whatever was seen before. Nor does anybody know
// what its end brings.
func (b *Bucket) fellShort() {
	f := b.foundSince(b.turned)
	f.part, f.whole = f.part+1, 0
	b.turns = false
}

// step notes how far the end lies from the last: a number of periods, or not.
func (f *finding) step(last span, period time.Duration) {
	d, slack := f.ended.mid().sub(last.mid()), f.ended.hi.sub(f.ended.lo)
	if period == 0 && f.steps > 0 {
		period = f.apart / time.Duration(f.steps)
	}
	n := int64(1)
	if period > 0 {
		n = int64((d + period/2) / period)
	}
	switch off := d - time.Duration(n)*period; {
	case d <= 0:
	case n == 0: // what was taken for a period was several
		f.steps, f.apart, f.inStep = 1, d, 0
	case period > 0 && max(off, -off) > slack:
		f.astray++
	default:
		f.steps, f.apart, f.inStep = f.steps+n, f.apart+d, f.inStep+1
	}
}

// find learns from an answer what kind of window the bucket has. It comes before
// the answer is settled.
func (b *Bucket) find(w *news, when era) {
	says := w.reset.known() && w.remaining != Unknown
	if b.unsure && w.granted >= b.turned {
		b.unsure = false
		if f := b.found(); f != nil && !says {
			f.silent++
		}
	}
	if !says || !b.undeclared() || b.quota == 0 || when == pastWindow {
		return
	}
	f := b.foundSince(w.now)
	if f.passed += w.cost; !b.known {
		b.known = true
		f.buckets++
	}
	used := b.quota - w.remaining
	f.furthest = max(f.furthest, w.reset.lo.sub(w.now))
	f.narrow(used, w.reset.lo.sub(w.now), w.reset.hi.sub(w.now))
	if !b.unread || w.granted < b.turned {
		return
	}
	b.unread = false
	if when == sameAsLast {
		f.early++
	} else {
		f.back(used, b.quota, b.n+w.held)
	}
}

// back notes how much was back after a turn: of the quota so much is used, of it
// at most so much by our own calls since.
func (f *finding) back(used, quota, own int64) {
	if used > own+quota/10 {
		f.part++
	} else {
		f.whole++
	}
}

// narrow notes that a reset of so many used units lies within bounds from now.
func (f *finding) narrow(used int64, lo, hi time.Duration) {
	if used < 2 {
		return
	}
	if f.most == 0 {
		f.least, f.each.hi = used, hi
	}
	f.least, f.most = min(f.least, used), max(f.most, used)
	f.each.lo = max(f.each.lo, lo/time.Duration(used))
	f.each.hi = min(f.each.hi, hi/time.Duration(used-1))
}
