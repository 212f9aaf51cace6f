package quota

// forgetAfter is after how many answers that speak of other buckets a told limit is
// forgotten once its window has ended.
const forgetAfter = 20

// forgetUnseen drops the limits that answers have long not told of, and those that
// cannot be.
func (l *Ledger) forgetUnseen(s *answerState, told tellings) {
	if len(told) > 0 {
		s.countUnseen(told)
	}
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

// countUnseen counts, for each bucket of a limit that nobody configured, the answers
// that tell of others.
func (s *answerState) countUnseen(told tellings) {
	for _, b := range s.route {
		if b.rule.Provenance != Configured && b.unseen < forgetAfter && told.of(b) == nil {
			b.unseen++
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
