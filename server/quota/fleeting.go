package quota

// Windows that nobody declared, and that are so fleeting that a reset told in whole
// seconds does not say which of them it is of: a turn by such a reset is a guess, and
// whatever may be of two windows would be charged to both. But each answer says by when
// its own window is over. So the bucket is held as a log in which a charge counts until
// then.

// soon reports whether a reset, told in whole seconds, may be of a fleeting window.
func soon(now instant, reset span) bool {
	return reset.known() && reset.lo <= now.add(defaultSlack) && reset.hi.sub(reset.lo) >= defaultSlack
}

// fleeting reports whether the bucket is held as a log because its windows are fleeting.
func (b *Bucket) fleeting() bool { return b.rule.Window.Kind == Unstated && b.logged() }

// holdFleeting begins to hold the bucket as a log, once some turns have passed and no reset
// was told that was further away.
func (b *Bucket) holdFleeting(w *news) {
	f := b.found()
	if f == nil || f.turns() < sureAfter || b.tempo.long || b.tempo.least > defaultSlack || w.tighten || !soon(w.now, w.reset) {
		return
	}
	b.kind, b.told = &kindState{asOf: w.now, log: &slidingLog{}}, false
	b.need().longest = w.reset.hi.sub(w.now)
	b.keep(w.now, b.n)
}

// feelFleeting notes how long such windows are at most. They are not fleeting after all, or
// no windows where resets are of the next unit only, once more is used than answers said
// was not over.
func (b *Bucket) feelFleeting(w *news) {
	if soon(w.now, w.reset) {
		r := b.need()
		r.longest = max(r.longest, w.reset.hi.sub(w.now))
	}
	if w.remaining == Unknown || b.quota == 0 || w.now < b.kind.asOf.add(b.holds()) {
		return // what was sent before the log began may still be used
	}
	if b.feelOthers(w); b.kind.log.foreign > 0 {
		b.tempo.long = true
		b.endFleeting()
	}
}

// endFleeting counts all that the log holds as of this window.
func (b *Bucket) endFleeting() {
	b.told, b.n, b.kind = true, b.kind.log.held, nil
}
