package quota

// refusalsNeeded is how many calls must have been refused without a word that were
// granted after the first was, so that a limit is concluded to be spent.
const refusalsNeeded = 3

// suspicion is that calls are refused without a word because a bucket is spent, the
// only one that counts them: nothing passes any more until its window turns, and then
// the first call does. An upstream that merely protects itself serves again sooner, or
// later.
type suspicion struct {
	// since is when the first was heard, latest when the last was, and refused how
	// many calls were that were granted since.
	since, latest instant
	refused       int
	// took is what the upstream took of the window that has ended with it; 0 until
	// then.
	took int64
}

// suspect notes that a call was refused without a word. Where several limits count
// it, nobody knows which.
func (l *Ledger) suspect(s *answerState) {
	var only *Bucket
	for _, b := range s.route {
		switch {
		case b.gate:
		case only != nil:
			return
		default:
			only = b
		}
	}
	if only == nil || !only.rule.teaches() || only.provenance == Told || only.logged() || only.heardNow() || !only.end.known() || s.granted < only.turned {
		return
	}
	if only.lesson == nil {
		l.enrol(only)
		only.lesson.watched = only.sawBegin() || l.watchedFrom(only)
	}
	only.lesson.suspect(s.now, s.granted)
}

func (s *lesson) suspect(now, granted instant) {
	if s.suspicion == nil {
		s.suspicion = &suspicion{since: now}
	}
	x := s.suspicion
	if x.latest = now; granted >= x.since {
		x.refused++
	}
}

// resolve ends the suspicion with the first call that passes, or, where the window
// that was spent has ended, with the first that is answered.
func (s *lesson) resolve(b *Bucket, w *news) {
	x := s.suspicion
	switch {
	case x.took == 0 && (!w.passed || w.granted < x.since), w.granted < b.turned:
		return
	case x.took != 0 && w.passed && b.learning() && (b.quota == 0 || x.took < b.quota):
		b.teach(x.took)
		s.base, s.confirmed, s.confirmedAt, s.full = b.quota, 1, w.now, 0
	}
	s.suspicion = nil
}

// last is the suspicion as it is once the bucket's window ends; nil when too little was
// refused, or nothing in the second half of that time.
func (x *suspicion) last(b *Bucket) *suspicion {
	ends := b.turnsAt()
	took := b.n - b.lesson.early
	if x.took != 0 || !b.lesson.watched || took <= 0 || b.provenance == Configured && b.n+b.lost >= b.quota || x.refused < refusalsNeeded || ends.sub(x.latest) > ends.sub(x.since)/2 {
		return nil
	}
	x.took = took
	return x
}
