package quota

// kindState is what a bucket needs whose window is of one of the rarer kinds.
type kindState struct {
	// log holds the charges of a bucket that is held as a sliding log, counter what
	// a sliding counter counts; nil for any other.
	log     *slidingLog
	counter *slidingCounter
	// asOf is when the debts of a bucket that refills were last lessened, and own
	// and told what flowed back until then beyond whole units, of n and of what the
	// upstream told: each the numerator of a fraction of a unit over the period.
	asOf      instant
	own, told int64
	// firstUse is the earliest at which a window can have begun that begins at its
	// first use; 0 before that.
	firstUse instant
}

// special is what a bucket of such a window needs; nil where that is nothing. A
// window of which a reset was told needs no log.
func (w *Window) special(now instant, told bool) *kindState {
	logged := w.logged(told)
	if !logged && !w.Counter && !w.FirstUse && w.Kind != Refill && w.Kind != Concurrent {
		return nil
	}
	k := &kindState{asOf: now}
	if logged {
		k.log = &slidingLog{}
		if w.FirstUse {
			k.log.rhythm = &rhythm{}
		}
	}
	if w.Counter {
		k.counter = &slidingCounter{period: w.Period}
	}
	return k
}

// slides reports whether the bucket's window is declared to slide.
func (b *Bucket) slides() bool { return b.rule.Window.Kind == Sliding }

// heedOthers keeps in the log of a window that slides what a told number has beyond
// our own calls: that many were others'. More than a tenth of the quota, because
// what has just left our log may still be in the number; and only once a second
// call that left after the first was heard shows it too. It reports whether this one
// does.
func (b *Bucket) heedOthers(w *news) (beyond bool) {
	if w.remaining == Unknown || w.blocked || b.quota == 0 {
		return false
	}
	others := b.quota - w.remaining - b.held() - w.held
	first := b.doubted()
	switch beyond = others > b.quota/10; {
	case !beyond:
		others = 0
	case first.others == 0 || w.granted < first.othersAt:
		b.doubt().othersAt = w.now
	default:
		b.keep(w.now, min(others, first.others))
		others = 0
	}
	if others != first.others {
		d := b.doubt()
		d.others = others
		if others == 0 {
			d.othersAt = 0
		}
		b.undoubt()
	}
	return beyond
}

// advanceKind does what time does to a bucket of such a kind.
func (b *Bucket) advanceKind(now instant) {
	switch {
	case b.refills():
		b.flowBack(now)
	case b.weighs():
		b.kind.counter.weigh(now)
	}
}

// windowed reports whether the bucket counts in windows that end.
func (b *Bucket) windowed() bool { return !b.refills() && !b.concurrent() }
