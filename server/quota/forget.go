package quota

// forgetAfter is after how many answers that speak of other buckets a told limit is
// forgotten once its window has ended.
const forgetAfter = 20

// forgetUnseen drops the limits that answers have long not told of, and those that
// cannot be.
func (l *Ledger) forgetUnseen(s *answerState) {
	for _, b := range s.route {
		switch {
		case b.unseen == 0:
		case s.passed && b.refuted() && !l.anyCooling(b.rule):
			l.refute(b.rule)
		case b.unseen >= forgetAfter:
			l.forget(s.now, b)
		}
	}
}

// anyCooling reports whether the upstream refuses calls on the rule's account.
func (l *Ledger) anyCooling(rule *Limit) bool {
	for b := range l.all {
		if b.rule == rule && b.state != Open {
			return true
		}
	}
	return false
}

// forget drops a limit that only responses told of, once they do not any more and
// its window, and two more, have ended: others may be closer to their ends for as
// long. One that is configured as not known is not known again.
func (l *Ledger) forget(now instant, b *Bucket) {
	if b.seen && b.end.known() || b.busy() || now < b.tempo.end.hi.add(2*b.tempo.most) {
		return
	}
	switch {
	case b.rule.Quota == 0 && b.rule.Provenance == Nobody && b.provenance == Told:
		b.quota, b.provenance, b.m = 0, Nobody, unbounded
	case b.rule.Provenance == Told && !l.anyBusy(b.rule):
		l.untold(b.rule)
	}
}

// busy reports whether anything still depends on the bucket.
func (b *Bucket) busy() bool {
	return b.flying > 0 || b.o > 0 || b.queued > 0 || b.state != Open || b.governor() != nil
}

// anyBusy reports whether any bucket of the rule is busy.
func (l *Ledger) anyBusy(rule *Limit) bool {
	for b := range l.all {
		if b.rule == rule && b.busy() {
			return true
		}
	}
	return false
}

// sweep drops buckets of which nothing need be known: nothing counted in a
// window that is open, no cool-down, nobody waiting. It runs when there are twice
// as many as it left the last time.
func (l *Ledger) sweep(now instant) {
	const few = 1024
	if l.size < 2*l.swept+few {
		return
	}
	for b := range l.all {
		if b.advance(now); b.idle() {
			l.drop(b)
		}
	}
	l.swept = l.size
	l.replan()
}

// fresh is the quota that a new bucket would have.
func (b *Bucket) fresh() int64 {
	if b.lesson != nil && b.lesson.siblings != nil {
		return b.lesson.siblings.number
	}
	return b.rule.holds()
}

// idle reports whether a new bucket would be no different.
func (b *Bucket) idle() bool {
	switch {
	case b.busy() || b.changed || b.quota != b.fresh():
		return false
	case b.quota == 0:
		return b.m == unbounded && (b.lesson == nil || b.n == 0) // what is not known is asked again
	case b.logged():
		return b.m == b.quota && b.held() == 0
	}
	return b.m == b.quota && b.n == 0 && b.a == b.aCov && b.pad() == 0
}
