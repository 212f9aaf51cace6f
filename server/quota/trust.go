package quota

// How callers' reports are trusted.
const (
	// mostStrikes is how often others may contradict what a caller told of a limit
	// before its numbers are ignored.
	mostStrikes = 2
	// amends is after how many reports in a row that agree with what is known a
	// caller is trusted again.
	amends = 32
	// maxStandings bounds how many callers' standings are kept.
	maxStandings = 1024
)

// standingID is one caller, as far as it reports on one limit.
type standingID struct{ limit, caller string }

// standing is how a caller's numbers compare with those of others. Only one that
// others have contradicted has any.
type standing struct {
	strikes, agreed int
}

// distrusts reports whether the numbers of a report are to be ignored, because
// others have contradicted its caller. It is trusted again once it agrees with them.
func (l *Ledger) distrusts(b *Bucket, w *news) bool {
	if w.blocked || w.remaining == Unknown && w.quota == 0 {
		return false
	}
	id := standingID{b.rule.Name, w.by}
	s := l.standings[id]
	if s == nil {
		return false
	}
	if s.agreed++; !b.agrees(w) {
		s.agreed = 0
	}
	if s.agreed >= amends {
		delete(l.standings, id)
	}
	return s.strikes >= mostStrikes
}

// ignore lets a bucket settle an answer without the numbers of a caller that is
// distrusted.
func (l *Ledger) ignore(s *answerState, b *Bucket, w *news) {
	l.remember(b).hear(w, s.verdict).effect = "others contradicted this caller: its numbers are ignored"
	w.quota, w.remaining, w.reset, w.epoch = 0, Unknown, span{}, 0
	b.settle(w)
	l.settled(b)
}

// agrees reports whether numbers can be true, by what is known: from all of what
// is on its way counted, to nothing of it.
func (b *Bucket) agrees(w *news) bool {
	if w.quota != 0 && b.quota != 0 && w.quota != b.quota {
		return false
	}
	if w.remaining == Unknown || b.m == unbounded {
		return true
	}
	slack := b.quota / 10
	return w.remaining <= b.m+slack && w.remaining >= b.confirmed()-w.held-slack
}

// strike notes that another caller contradicted what one told of a bucket.
func (l *Ledger) strike(b *Bucket) {
	d := b.doubts()
	if d == nil || d.exposed == 0 {
		return
	}
	id := standingID{b.rule.Name, d.fellBy}
	if l.standings == nil || len(l.standings) >= maxStandings {
		l.standings = make(map[standingID]*standing)
	}
	s := l.standings[id]
	if s == nil {
		s = &standing{}
		l.standings[id] = s
	}
	s.strikes, s.agreed = s.strikes+d.exposed, 0
	d.exposed, d.fellBy = 0, ""
}

// expose notes that an answer contradicts the doubtful number that stands.
func (b *Bucket) expose(by string, strikes int) {
	if d := b.doubts(); d != nil && d.fellBy != "" && d.fellBy != by {
		d.exposed = max(d.exposed, strikes)
	}
}

// alone reports whether all that is kept of the bucket's reports came from one
// caller: what it tells falsely is nobody else's loss.
func (l *Ledger) alone(b *Bucket, caller string) bool {
	kept := l.memoryOf(b)
	if kept == nil {
		return true
	}
	for i := range min(kept.heard, maxEvidence) {
		if kept.last(i).by != caller {
			return false
		}
	}
	return true
}
