package quota

import "time"

// arrival is when an answer came, of which call, and from whom.
type arrival struct {
	now, granted instant
	// sent and received bound when the upstream counted it.
	sent, received instant
	// by is the caller that reports.
	by string
	// passed says that the upstream took the call.
	passed bool
	// tighten says that the call had no permit, or one of before the rules were what
	// they are: it may only tighten.
	tighten bool
}

// news is what one answer says of one bucket, in the ledger's terms.
type news struct {
	*arrival
	// a is the bucket's running sum when the call was granted: what had been
	// settled before it left is counted in the numbers that came back.
	a int64
	// cost is what the call took of the bucket; held is what was on its way,
	// this call with it, when the answer was heard.
	cost, held int64
	// late is what it took if its permit had lapsed in this window, so that it is
	// spent already.
	late int64
	// promised is what the bucket's numbers promised when the call was granted.
	promised int64
	// guessed says that the cost is what nobody said.
	guessed bool
	// blocked says that the upstream refused the call on this bucket's account;
	// vague that it may be so.
	blocked, vague bool
	// alone is true when nobody but the caller reports.
	alone bool
	// reset bounds the told reset; unknown when it was not told. ends is the latest
	// at which the window ends that the call was counted in; 0 when not known.
	reset span
	ends  instant
	epoch int64
	// quota and remaining are the numbers told; 0 and Unknown when not.
	quota, remaining int64
	// counted says that what remains is of this window, and counts the call; beyond
	// that more was taken than can be our own.
	counted, beyond bool
	// slid is what remains of a window that slides, as far as it is counted.
	slid int64
}

// settle learns from an answer to a call that is no longer outstanding, and says
// in a few words what it made of it. Of the news it drops what it does not use.
func (b *Bucket) settle(w *news) (effect string) {
	if b.rule.Window.Kind == Unstated && b.kind == nil {
		b.holdFleeting(w)
	}
	if b.kind != nil {
		b.overlook(w)
	}
	var past bool
	if w.silent() {
		if effect = saysNothing; b.unsure || b.kind != nil || b.rare != nil {
			b.hearNothing(w)
		}
	} else if effect, past = b.hear(w); past {
		return effect
	}
	b.count(w)
	if b.drift() != nil || b.unexplained() > 0 {
		b.follow(w)
	}
	if b.lesson != nil {
		b.lesson.mark(b, w)
	}
	return effect
}

// saysNothing is what is made of an answer without a number.
const saysNothing = "says nothing of what remains"

// silent reports whether the answer says nothing of the bucket, as those of many
// upstreams.
func (w *news) silent() bool { return w.remaining == Unknown && w.quota == 0 && !w.reset.known() }

// hearNothing is what is left of hear for an answer that is silent.
func (b *Bucket) hearNothing(w *news) {
	if b.unsure {
		b.find(w, thisWindow)
	}
	if b.kind != nil {
		b.usedFirst(w.now, w.granted)
	}
	b.unriseQuota()
}

// hear weighs what the answer says of the bucket's window; past says that it was of
// an earlier one, and is charged.
func (b *Bucket) hear(w *news) (effect string, past bool) {
	when := b.place(w.now, w.granted, w.reset, w.epoch)
	if b.unsure || b.undeclared() {
		b.find(w, when)
	}
	switch {
	case when == eitherWindow:
		w.reset = span{}
	case when == sameAsLast && b.found().rolls():
		when = thisWindow
	}
	switch {
	case when == pastWindow || w.tighten && when > eitherWindow:
		b.keep(w.now, w.cost)
		if w.granted >= b.turned && w.passed && b.windowed() {
			b.n += w.cost // whatever it says, it was granted in this one
			b.a += w.cost
		}
		return "of an earlier window: its numbers are ignored", true
	case when == nextWindow:
		effect = "proves that the window turned"
		b.prove(w)
	case when == sameAsLast:
		effect = "shows that the window had not turned yet"
		b.unturn(w)
	default:
		if w.tighten {
			b.tightenEnd(w)
		}
		b.learnEnd(w)
		if b.kind != nil {
			b.usedFirst(w.now, w.granted)
		}
		b.tallyError(w)
		effect = b.takeNumbers(w)
	}
	return effect, false
}

// overlook drops from an answer what says nothing of such a bucket: of a window
// that is held as a log, a vague reset; of one that does not turn, when it would; of
// calls under way, how many there were.
func (b *Bucket) overlook(w *news) {
	switch {
	case b.refills():
		w.reset = span{}
	case b.concurrent():
		w.remaining, w.reset = Unknown, span{}
	case b.slides():
		w.counted, w.beyond = w.remaining != Unknown, b.heedOthers(w)
		w.slid, w.remaining, w.reset = w.remaining, Unknown, span{}
	case b.short() && b.rule.Window.FirstUse && !w.blocked:
		w.remaining, w.reset = Unknown, span{}
	case b.fleeting():
		b.feelFleeting(w)
	case b.logged():
		b.feel(w)
	}
}

// count charges the cost of a call that was answered.
func (b *Bucket) count(w *news) {
	if b.kind != nil && b.concurrent() {
		return // it is over, and nothing of it counts on
	}
	if w.late > 0 {
		b.heardLate(w)
	}
	if !w.reset.known() && !w.tighten && !b.endSure() {
		b.settledFirst(w.now, w.granted)
	}
	if b.kind != nil {
		b.keepUntil(w.now, b.endsBy(w), w.cost)
	}
	if w.remaining == Unknown {
		b.a += w.cost
	}
	if !w.passed {
		return
	}
	if !w.guessed { // a guess is too much to count by
		b.n += w.cost
	}
	if w.remaining != Unknown && !w.reset.known() && !b.refills() {
		b.hearOf() // with its numbers the end of a window counts as told that is declared
		r := b.need()
		r.bare, r.bareAt = r.bare+w.cost, w.now
	}
}

// stale reports whether a refusal is the last window's: its call was granted
// before this one began, and its reset does not say otherwise. A bucket that its
// answer is the first to tell of has no last one.
func (b *Bucket) stale(now, granted instant, reset span, epoch int64) bool {
	if !reset.known() {
		first := b.last == nil && b.turned == now
		return granted < b.turned && !first && !b.logged()
	}
	return b.place(now, granted, reset, epoch) == pastWindow
}

// takeNumbers weighs the numbers against what is known of this window: a fall
// is believed at once, a rise when a second answer confirms it.
func (b *Bucket) takeNumbers(w *news) (effect string) {
	if b.rare != nil || w.quota != 0 && w.quota != b.quota {
		b.takeQuota(w)
	}
	r := w.remaining
	switch {
	case r == Unknown:
		return saysNothing
	case r <= b.m:
		w.counted = true
		effect = b.fall(w)
	case w.granted < b.tm || w.tighten:
		w.counted = true
		return "overtaken by a later answer: ignored"
	case b.doubtful || b.confirmsRise(w.granted):
		if b.endless() {
			b.begin(w.now) // only a turn can have raised it
			b.n = 0
		}
		if b.doubtful {
			b.expose(w.by, 1)
		}
		b.hearM(w.now, r)
		b.cover(w.a)
		b.doubtful, b.strayed = false, false
		b.undrift()
		b.unrise()
		b.rose()
		b.stopProbes()
		effect = "a rise, confirmed: believed"
	default:
		b.doubt().risen = w.now
		b.probeSoon(w.now)
		effect = "a rise: a second answer must confirm it"
	}
	if b.kind != nil {
		b.logEnd(w)
	}
	return effect
}

// fall takes a lower remaining. More than our own calls explain, and a tenth of
// the quota, is doubtful: obeyed, but one answer raises it again. Nothing left
// stays doubtful as long as calls pass all the same.
func (b *Bucket) fall(w *news) (effect string) {
	explained := w.held + b.a - b.aCov + b.quota/10
	doubt := w.vague || !w.blocked && b.tm != 0 && b.m != unbounded && b.m-w.remaining > explained
	if w.granted >= b.tm {
		if b.doubtful && b.m == 0 && w.passed && w.cost > 0 {
			doubt = true
			b.probeSoon(w.now)
		}
		b.doubtful = doubt
		b.unrise()
	} else {
		b.doubtful = b.doubtful || doubt
	}
	b.hearM(w.now, w.remaining)
	b.strayed = w.granted < b.turned
	b.cover(w.a)
	if doubt {
		if !w.vague {
			b.doubt().fellBy = w.by
		}
		return "a fall that our own calls do not explain: obeyed"
	}
	return "believed"
}

// hearM takes what an answer says that remains, as of now: where it flows back,
// that begins anew.
func (b *Bucket) hearM(now instant, remaining int64) {
	b.m, b.tm = remaining, now
	if b.refills() {
		b.m, b.kind.told = min(remaining, b.quota), 0
	}
}

// takeQuota learns the limit itself: a fall at once, a rise when a second answer
// confirms it, and never above what was configured. A rise to more than twice as
// much needs two callers, where there are any others; one to what it was before only
// one caller told of a fall needs no more than another that does not.
func (b *Bucket) takeQuota(w *news) {
	q := w.quota
	if q == 0 || q == b.quota {
		b.agreeQuota(w)
		return
	}
	d := b.doubted()
	switch {
	case b.quota == 0:
		b.m = min(b.m, q)
	case q < b.quota:
		b.m = min(b.m, q)
		b.fallQuota(w)
	case w.tighten || b.rule.Provenance == Configured && q > b.rule.holds():
		return
	case q == d.quotaWas && w.by != d.quotaBy && w.granted >= d.quotaFell:
		b.restoreQuota(w)
	case d.quotaRisen == 0 || w.granted < d.quotaRisen:
		known := b.doubt()
		known.quotaRisen, known.risenBy = w.now, w.by
		return
	case q > 2*b.quota && w.by == d.risenBy && !w.alone:
		return
	}
	b.quota, b.provenance = q, Told
	b.unriseQuota()
	b.unwritten = true
}

// agreeQuota notes that an answer tells the quota that is held. Only another caller
// than the one that said so confirms a fall.
func (b *Bucket) agreeQuota(w *news) {
	b.unriseQuota()
	if d := b.doubts(); w.quota > 0 && d != nil && d.quotaWas > 0 && w.by != d.quotaBy && w.granted >= d.quotaFell {
		d.quotaWas, d.quotaBy = 0, ""
	}
}

// fallQuota remembers what the quota was, until the fall is confirmed.
func (b *Bucket) fallQuota(w *news) {
	d := b.doubt()
	d.quotaWas, d.quotaFell, d.quotaBy = max(d.quotaWas, b.quota), w.now, w.by
}

// restoreQuota takes a fall back that another answer contradicts: what remains is
// then as doubtful.
func (b *Bucket) restoreQuota(w *news) {
	d := b.doubts()
	d.fellBy = d.quotaBy
	b.expose(w.by, mostStrikes)
	d.quotaWas, d.quotaBy = 0, ""
	b.doubtful = true
}

// answered notes what an answer ends at a bucket that was ever closed, is in doubt, or
// spent: a cool-down may be over, and so may the window.
func (b *Bucket) answered(w *news) {
	if b.governor() != nil {
		b.governor().heard(w.granted, w.passed)
	}
	over := false
	if w.passed {
		b.served(w.granted)
	}
	if b.state != Open {
		over = b.cooldown.heard(w.now, w.granted, w.passed)
		b.unwritten = b.unwritten || b.state == Open
	}
	switch {
	case b.refills() || b.concurrent():
		// What closed it was not a window that is over: time alone pays it off.
	case over && b.turned > b.began:
		// The window turned meanwhile: it holds what it did when it began.
	case over:
		// The first call to pass after a cool-down whose end nobody knew: what
		// closed the bucket is over. Its own numbers follow and are believed.
		b.m, b.tm, b.doubtful = b.full(), 0, true
		b.cover(w.a)
	case w.passed && !w.tighten && b.quota > 0 && b.n >= b.quota && !b.end.known() && !b.logged():
		// More calls passed than the quota has: the window turned unseen.
		b.begin(w.now)
		b.m, b.n, b.tm = b.full(), 0, 0
		b.cover(w.a)
	}
}

// shut closes the bucket because the upstream refused a call on its account,
// and reports whether a cool-down began. It ends with the window where that is
// known; a window of a minute is waited for, a longer one is probed. Where it is
// only a guess that this bucket was meant, its turn may change nothing: one probe
// asks then.
func (b *Bucket) shut(now instant, r refusal) bool {
	period, certain := b.rule.Window.period(), r.by != Predicted
	b.hit = b.hit || certain && r.granted >= b.turned
	switch {
	case !b.logged() && b.end.known():
		r.turns = certain && r.until <= b.turnsAt() && !b.found().rolls()
		r.until = max(r.until, b.turnsAt())
	case r.until == 0 && period > 0 && period <= time.Minute:
		r.until, r.turns = now.add(period), certain
		b.end = span{now, r.until}
		b.setEdge(nil)
		b.passLo(now)
	}
	began := b.refuse(now, r)
	b.doubtful = b.doubtful || !b.turns
	return began
}
