package quota

import "fmt"

// How a learned quota is tried again. A try is one call beyond it, once it is
// spent; each refusal at the same number doubles how many windows must have been
// used to the full before the next.
const (
	// maxTryGap is the most windows from one try to the next.
	maxTryGap = 32
	// maxWidth is how many calls beyond a learned quota are in flight at most, and
	// widthStep how many must have passed for each that is added.
	maxWidth, widthStep = 32, 16
)

// lesson is what a bucket learns by its own count of a quota that nobody tells:
// where a refusal names the bucket, the quota is what the upstream took in that
// window, once all that was in flight is settled. It is nil for a bucket whose
// quota is configured, or whose window nobody knows.
type lesson struct {
	// siblings are the buckets of the limit's other users; nil when the limit does
	// not count by user.
	siblings *siblings
	// heeded is the version of the siblings' number that the bucket knows.
	heeded int64

	// watched is true when no call can have been made in this window before we
	// counted: otherwise a refusal says only that the quota is no less than our
	// count.
	watched bool
	// refusedAt is when a refusal was heard that still is to teach; 0 when none.
	// refused is true once one was in this window.
	refusedAt instant
	refused   bool
	// early is the part of n that was granted before this window began, and may be
	// of the last.
	early int64

	// base is the quota as it was last taught; it has been exceeded since when the
	// bucket's quota is greater.
	base int64
	// beyond is true from a try until it is refused, or its window ends in vain.
	// follow is true when the siblings' number rose: the bucket may try it.
	beyond, follow bool
	// confirmed counts the windows that taught this quota, confirmedAt is when the
	// last did; full counts those since that were used up without a refusal.
	confirmed, full int64
	confirmedAt     instant
	// hasty is true once a window has taught nothing because it was refused at its
	// very begin.
	hasty bool
	// suspicion is nil while no call was refused without a word.
	suspicion *suspicion
}

// teaches reports whether the limit's window says when the count begins anew, so that
// our own count can teach its quota.
func (l *Limit) teaches() bool { return l.Window.Kind == Calendar || l.Window.Kind == Fixed }

// learns reports whether a bucket of the limit learns its quota by its own count from
// the start: nobody configured it.
func (l *Limit) learns() bool { return l.Quota == 0 && l.teaches() }

// learning reports whether the quota is our own count's to teach: what a response
// told is trusted over it.
func (b *Bucket) learning() bool { return b.lesson != nil && b.provenance != Told }

// study gives a bucket of a limit that learns what it needs to, and what its
// siblings learned.
func (l *Ledger) study(b *Bucket) {
	if s := b.taught(); b.lesson != nil || !b.rule.learns() && (s == nil || s.number == 0) {
		return
	}
	l.enrol(b)
	b.lesson.watched = l.watchedFrom(b)
	b.heed()
}

// enrol gives a bucket what it needs to learn.
func (l *Ledger) enrol(b *Bucket) {
	if b.rule.Per.User && b.siblings == nil {
		b.siblings = &siblings{triedAt: l.since}
	}
	b.lesson = &lesson{siblings: b.taught()}
}

// disbelieve gives a bucket whose quota is configured what it needs to learn a smaller
// one, because a call was refused on its account and no number says why.
func (l *Ledger) disbelieve(b *Bucket) {
	if b.lesson == nil && b.provenance == Configured && b.rule.teaches() && !b.logged() && !b.heardNow() {
		l.enrol(b)
		b.lesson.watched = b.sawBegin() || l.watchedFrom(b)
	}
}

// watchedFrom reports whether this ledger was there when the window began in which
// a bucket is that is new: until now nobody has called. One that begins with the
// window, by whosever clock, was.
func (l *Ledger) watchedFrom(b *Bucket) bool {
	w := b.rule.Window
	return w.carries() && at(w.next(l.since.add(-calendarGuard).time())) < b.end.lo
}

// mark notes what one answer means for the lesson.
func (s *lesson) mark(b *Bucket, w *news) {
	switch {
	case w.passed && w.granted < b.turned:
		s.early += w.cost + w.late
	case w.blocked && w.quota == 0 && s.refusedAt == 0:
		s.refusedAt, s.refused = w.now, true
		s.watched = s.watched && !w.tighten && !b.logged()
	}
	if s.suspicion != nil {
		s.resolve(b, w)
	}
	if sure := b.n - s.early; w.passed && b.provenance == Learned && sure > b.quota && !b.logged() {
		if w.late > 0 && s.refused {
			s.base = sure // it was on its way when the refusal taught, and is heard only now
		} else {
			s.exceed(b)
		}
		b.teach(sure)
	}
}

// exceed notes that more was taken than the quota, which therefore is greater.
func (s *lesson) exceed(b *Bucket) {
	if b.quota == s.base && s.siblings != nil {
		s.siblings.passed()
	}
	s.beyond, s.confirmed, s.full = true, 0, 0
}

// ready reports whether a refusal can teach: all that was in flight is settled.
func (b *Bucket) ready() bool {
	return b.lesson != nil && b.lesson.refusedAt != 0 && b.flying == 0
}

// conclude learns from a refusal, and says in a few words what. What the upstream
// took lies between least and most; a number in there stands, else it is the
// least: from the safe side.
func (b *Bucket) conclude() (effect string) {
	s := b.lesson
	at := s.refusedAt
	least, most := b.n-s.early, b.n+b.lost
	s.refusedAt, s.beyond, s.follow = 0, false, false
	switch {
	case !b.learning() || least <= 0:
		return "refused, and nothing of our own count explains it"
	case !s.watched:
		s.base = b.quota
		return fmt.Sprintf("refused after %d of ours, of a window whose begin we did not watch: it teaches nothing", least)
	case b.provenance == Configured && most >= b.quota:
		return fmt.Sprintf("refused after %d of ours, or more that was not heard of: no less than the quota", least)
	case b.hasty(at):
		return fmt.Sprintf("refused after %d of ours, before the window may have begun for the upstream: it teaches nothing yet", least)
	case b.quota == s.base && least <= b.quota && b.quota <= most:
		s.confirmed++
		effect = fmt.Sprintf("refused after %d of ours: the learned quota is confirmed", least)
	default:
		b.teach(least)
		s.base, s.confirmed = b.quota, 1
		effect = fmt.Sprintf("refused after %d of ours: learned as the quota", least)
	}
	s.confirmedAt, s.full = at, 0
	b.unwritten = true
	if s.siblings != nil {
		s.siblings.credit++
		if least == most && s.confirmed == 1 {
			s.siblings.vote(b.quota)
		}
	}
	return effect
}

// hasty reports whether a configured quota stands although less was taken, because
// the call was refused so soon after the window began for us that it may not have for
// the upstream: unless that is so in two windows in a row.
func (b *Bucket) hasty(refused instant) bool {
	s := b.lesson
	if last := b.lastEnd(); b.provenance != Configured || !last.known() || refused.sub(last.hi) > 2*calendarGuard {
		return false
	}
	first := !s.hasty
	s.hasty = true
	return first
}

// teach replaces the quota by a learned one, which is never more than is configured.
// What remains follows, but for what a refusal of this window says.
func (b *Bucket) teach(quota int64) {
	provenance := Learned
	if most := b.rule.holds(); most > 0 && quota >= most {
		quota, provenance = most, b.rule.Provenance
	}
	switch {
	case b.quota == 0:
		b.m = min(b.m, quota)
	case !b.heardNow():
		b.m += quota - b.quota
	case quota < b.quota:
		b.m = max(0, b.m-b.quota+quota)
	}
	b.quota, b.provenance, b.unwritten = quota, provenance, true
}

// end ends the lesson of a window that turns, with what is settled of it.
func (s *lesson) end(b *Bucket) {
	switch spent := b.quota > 0 && b.available()+b.o <= 0; {
	case s.refusedAt != 0:
		b.conclude()
	case spent && !s.refused && b.provenance == Learned:
		s.full++
		b.unwritten = true
		if s.siblings != nil {
			s.siblings.credit++
		}
	}
	if s.beyond && b.quota == s.base {
		s.stopTry()
	}
	if s.suspicion != nil {
		s.suspicion = s.suspicion.last(b)
	}
	s.hasty = s.hasty && s.refused
	s.watched, s.refused, s.early = false, false, 0
}

// tryDue reports whether a call may go beyond a learned quota that is spent: the
// first when it is time to try again, more with each that passes.
func (b *Bucket) tryDue(now instant, cost int64) bool {
	s := b.lesson
	switch {
	case s == nil || b.provenance != Learned || s.refused || !b.end.known() || b.logged():
		return false
	case s.beyond:
		return b.o+cost <= max(cost, min(maxWidth, 1+(b.quota-s.base)/widthStep))
	case b.o > 0:
		return false
	case s.follow:
		return true
	case s.confirmed == 0:
		return s.siblings != nil && s.siblings.mayTry(now, b.rule.Window.period())
	}
	return s.full >= s.gap() && (s.siblings == nil || s.siblings.mayTry(now, b.rule.Window.period()))
}

// gap is how many windows must have been used to the full before the next try.
func (s *lesson) gap() int64 { return min(maxTryGap, int64(1)<<min(s.confirmed, maxTryGap)) }

// try notes that a call goes beyond the quota.
func (s *lesson) try(now instant) {
	if s.beyond {
		return
	}
	s.beyond = true
	if s.siblings != nil && !s.follow {
		s.siblings.try(now)
	}
}

// stopTry ends a try that was not refused and did not exceed the quota either:
// what had been spent was not all taken.
func (s *lesson) stopTry() {
	s.beyond = false
	if s.siblings != nil && !s.follow {
		s.siblings.passed()
	}
}

// confidence is what the learned quota rests on.
func (s *lesson) confidence(quota int64) Confidence {
	c := Confidence{Confirmed: s.confirmed, Full: s.full}
	if s.confirmed > 0 {
		c.ConfirmedAt = s.confirmedAt.time()
	}
	if s.siblings != nil && s.siblings.candidate == quota {
		c.Siblings = s.siblings.votes
	}
	return c
}

// Lesson is what is recorded of what a bucket learned by its own count.
type Lesson struct {
	// Confirmed is how many windows' refusals taught the quota, ConfirmedAt when
	// the last did, in Unix nanoseconds; 0 where the quota is that of other users.
	Confirmed, ConfirmedAt int64
	// Full is how many windows have been used up since without a refusal.
	Full int64
	// Watched says that all of this window's calls are counted, and Counted how
	// many of the settled units are certainly of this window and were taken.
	Watched bool
	Counted int64
}

// record is what is recorded of the lesson.
func (s *lesson) record(b *Bucket) Lesson {
	return Lesson{
		Confirmed: s.confirmed, ConfirmedAt: int64(s.confirmedAt), Full: s.full,
		Watched: s.watched, Counted: b.n - s.early,
	}
}

// restoreLesson takes over what an earlier owner learned.
func (b *Bucket) restoreLesson(r Reservation) {
	s := b.lesson
	if r.Quota == 0 {
		return
	}
	b.quota, b.provenance, b.asked = min(r.Quota, MaxQuota), r.Provenance, true
	b.m, s.base = b.quota, b.quota
	s.confirmed, s.confirmedAt, s.full = max(0, r.Lesson.Confirmed), instant(r.Lesson.ConfirmedAt), max(0, r.Lesson.Full)
	if s.confirmed > 0 && s.siblings != nil && b.provenance == Learned {
		s.siblings.vote(b.quota)
	}
}

// resume goes on with the lesson of a window that an earlier owner counted to its
// last word. Of what was settled then, Counted is certain.
func (s *lesson) resume(b *Bucket, r Reservation) {
	s.watched = r.Final && r.Lesson.Watched
	s.early = b.n - min(max(0, r.Lesson.Counted), b.n)
}
