package quota

import (
	"cmp"
	"time"
)

const (
	// shortWindow is the longest window that is not kept in the store: it is
	// waited out after a restart.
	shortWindow = 2 * time.Second
	// briefFirstUse is the longest window from first use that is held as a log where
	// nobody tells its end: of a longer one the calls that are on their way at its turn
	// are few, and a log is not stored.
	briefFirstUse = 10 * time.Second
	// foreignFor is for how many windows after others were seen to take of the
	// quota its numbers bound what is granted.
	foreignFor = 16
)

// logged reports whether the bucket is held as a sliding log.
func (b *Bucket) logged() bool { return b.kind != nil && b.kind.log != nil }

// logged reports whether a bucket of such a window is held as a sliding log: it
// slides, or has a phase that nobody has told, or only too vaguely. A short window's
// clock is nothing to go by even where it is declared aligned.
func (w *Window) logged(told bool) bool {
	switch w.Kind {
	case Sliding:
		return true
	case Fixed:
		if w.FirstUse {
			return !told && w.Period <= briefFirstUse
		}
		return !told && (!w.Aligned || w.short())
	default:
		return false
	}
}

// short reports whether the window is too short to be stored.
func (b *Bucket) short() bool { return b.rule.Window.short() }

func (w *Window) short() bool { return w.Kind == Fixed && w.Period <= shortWindow }

// vague reports whether a told reset does not say which turn it is of: it is too
// wide, or may have passed.
func (b *Bucket) vague(now instant, reset span) bool {
	return reset.known() && (reset.lo <= now || reset.hi.sub(reset.lo) > b.rule.Window.Period/3*2)
}

// keep holds a charge in the log, where there is one.
func (b *Bucket) keep(now instant, cost int64) {
	switch {
	case !b.logged():
	case b.weighs():
		b.kind.counter.add(now, cost)
	default:
		b.kind.log.add(logCharge{now, now, cost}, b.holds())
	}
}

// keepUntil holds a charge that surely is of a window that ends by then; 0 when
// that is not known. It is as old as that window is.
func (b *Bucket) keepUntil(now, ends instant, cost int64) {
	if !b.logged() || b.slides() || ends == 0 {
		b.keep(now, cost)
		return
	}
	period := b.holds()
	b.kind.log.add(logCharge{min(now, ends.add(-period)), now, cost}, period)
}

// endsBy is when the window surely has ended that counted an answer's call; 0 when that
// is not known.
func (b *Bucket) endsBy(w *news) instant {
	if !b.logged() || !b.rule.Window.FirstUse {
		return w.ends
	}
	f := &b.kind.log.rhythm.firstUse
	if w.passed {
		f.heard(w.now, w.granted)
	}
	return earlier(w.ends, f.ends(w.now, b.rule.Window.Period))
}

// expire frees what the log need not hold any more.
func (b *Bucket) expire(now instant) {
	if !b.logged() || len(b.kind.log.charges) == 0 {
		return
	}
	b.kind.log.expire(now, b.rhythm(), b.holds())
}

// rhythm is what is known of the window's turns; nil when that is nothing, or
// cannot be relied on because the window starts at first use, or may. A short window
// is taken not to unless that is declared.
func (b *Bucket) rhythm() *rhythm {
	if !b.logged() || b.kind.log.rhythm == nil || b.rule.Window.FirstUse {
		return nil
	}
	if r := b.kind.log.rhythm; r.refuted || b.short() && !r.suspected || b.rule.Window.Aligned {
		return r
	}
	return nil
}

// freed is when the log will have freed that much.
func (b *Bucket) freed(cost int64) instant {
	settled := b.kind.log.last(cost)
	if settled == 0 {
		return 0
	}
	return b.rhythm().frees(settled, b.holds())
}

// logEnd bounds how long a number holds that was just told of a bucket that is held
// as a log: its window ends when it was told to, and at most one period after it.
func (b *Bucket) logEnd(w *news) {
	if !b.logged() || b.tm != w.now {
		return
	}
	end := b.rhythm().frees(w.now, b.holds())
	if w.ends != 0 {
		end = max(w.now, min(end, w.ends))
	}
	b.setEnd(w.now, span{end, end})
}

// feel lets the rhythm of a bucket that is held as a log hear an answer.
func (b *Bucket) feel(w *news) {
	if w.tighten {
		return
	}
	g := b.kind.log
	if w.blocked {
		g.foreign = foreignFor
		if r := b.rhythm(); r != nil {
			r.suspected = true
			r.forget(w.now, b.rule.Window.Period)
		}
		return
	}
	if r := g.rhythm; r != nil && w.passed {
		r.heard(w.now, w.granted)
	}
	vague := b.vague(w.now, w.reset)
	if w.remaining == Unknown && !vague || b.quota == 0 {
		return
	}
	b.feelOthers(w)
	if w.quota == 0 || w.quota == b.quota {
		b.feelTurns(w, vague)
	}
}

// holds is how long a bucket that is held as a log holds a charge.
func (b *Bucket) holds() time.Duration {
	if p := b.rule.Window.Period; p > 0 {
		return p
	}
	return b.longest()
}

// feelOthers notes whether the upstream counted more than we can have sent.
func (b *Bucket) feelOthers(w *news) {
	if w.remaining == Unknown {
		return
	}
	used, ours := cmp.Or(w.quota, b.quota)-w.remaining, b.o+w.cost
	if used > ours+b.kind.log.held && used > ours+b.kind.log.since(w.sent.add(-b.holds())) {
		b.kind.log.foreign = foreignFor
	}
}

// feelTurns learns of the turns that the answer proves.
func (b *Bucket) feelTurns(w *news, vague bool) {
	period := b.rule.Window.Period
	r := b.kind.log.rhythm
	if r == nil {
		r = &rhythm{}
		if b.last == nil && b.kind.log.foreign == 0 {
			r.first = b.turned // nothing was granted before
		}
		b.kind.log.rhythm = r
	}
	if vague {
		r.learn(w.now, span{max(w.reset.lo, w.sent), w.reset.hi}, w.granted, period)
		w.reset, w.epoch = span{}, 0
	}
	if w.remaining != Unknown {
		r.hear(w.now, w.sent, w.received, w.remaining, b.quota, period)
	}
}

// tellEnds takes over whether a reset was ever told: where it was, the bucket need
// not be held as a log any more.
func (b *Bucket) tellEnds(told bool) {
	b.told = told
	if b.rule.Window.logged(told) != b.logged() {
		b.kind = b.rule.Window.special(b.turned, told)
	}
}

// tellPhase ends the time in which the bucket had to be held as a log. What the log
// holds is our count of this window, as far as it was settled when that can have
// begun. What remained in the last period bounds it only if others may have taken
// of it: the answers that are on their way may be of the window before.
func (b *Bucket) tellPhase(w *news, numbers span) {
	b.told = true
	if !b.logged() || b.rule.Window.logged(true) {
		return
	}
	if b.fleeting() {
		b.endFleeting()
		return
	}
	period := b.rule.Window.Period
	began := span{w.reset.lo.add(-period), w.reset.hi.add(-period)}
	counted := b.kind.log.heldSince(began.lo)
	b.last = &lastWindow{turned: b.turned, end: began, m: b.m, n: b.kind.log.held - counted, aCov: b.aCov}
	b.lastTold, b.lastUnseen = false, true
	b.turned = min(w.now, began.hi)
	b.n, b.lost = counted, 0
	// What was answered with numbers since its call left, this answer's may not have.
	b.a += max(0, b.kind.log.heardSince(w.granted)-(b.a-w.a))
	if b.tm < began.lo || numbers.known() && numbers.hi < w.reset.lo {
		b.m, b.tm = b.full(), 0
	}
	b.kind = b.rule.Window.special(w.now, true)
}
