package quota

import "time"

const (
	// agreeing is how many users' buckets must have learned the same number before
	// the others go by it.
	agreeing = 3
	// maxVotes bounds what a number that was long true weighs against a new one.
	maxVotes = 16
	// creditForTry is how many windows of any user must have been used up for each
	// try of one of them, and tryAfter how many periods must have passed where
	// there are fewer.
	creditForTry, tryAfter = 256, 7
)

// siblings are the buckets of one limit that differ by their user alone: an
// upstream that counts each user apart mostly allows each the same. What some of
// them learned the others go by until they know better, and few of them try it
// again, for all.
type siblings struct {
	// candidate is the number that most votes were for of late, and votes by how
	// many more than for others: one vote for each bucket that learned it.
	candidate, votes int64
	// number is what the others go by, 0 when nobody knows; was is what it was
	// before, and version changes with it.
	number, was, version int64
	// spread is the version that all buckets of a configured limit were told of.
	spread int64
	// credit is how many windows were used up and not spent on tries, triedAt when
	// the last try was.
	credit  int64
	triedAt instant
}

// vote takes the vote of a bucket that learned a number.
func (s *siblings) vote(number int64) {
	switch {
	case number == s.candidate:
		s.votes = min(s.votes+1, maxVotes)
	case s.votes > 0:
		s.votes--
	default:
		s.candidate, s.votes = number, 1
	}
	if s.votes >= agreeing && s.candidate != s.number {
		s.was, s.number = s.number, s.candidate
		s.version++
	}
}

// mayTry reports whether one of the siblings may try a call beyond its quota.
func (s *siblings) mayTry(now instant, period time.Duration) bool {
	return s.credit >= creditForTry || now.sub(s.triedAt) >= tryAfter*period
}

// try spends what a try costs; a try that passes gives it back.
func (s *siblings) try(now instant) {
	s.credit = max(0, s.credit-creditForTry)
	s.triedAt = now
}

func (s *siblings) passed() { s.credit += creditForTry }

// heed goes by what the siblings learned: as the first number of a bucket that has
// none of its own; or, where they learned a new one in place of the bucket's own,
// by a smaller one at once, and by a greater one once a call has tried it.
func (b *Bucket) heed() {
	s := b.lesson
	if s == nil || s.siblings == nil || s.heeded == s.siblings.version {
		return
	}
	s.heeded = s.siblings.version
	number := s.siblings.number
	switch {
	case !b.learning() || number == b.quota:
	case b.quota == 0, b.provenance == Configured && number < b.quota, s.confirmed == 0 && b.quota == s.base, b.quota == s.siblings.was && number < b.quota:
		b.teach(number)
		s.base, s.confirmed, s.full = number, 0, 0
	case b.quota == s.siblings.was:
		s.follow = true
	}
}

// spread lets all buckets of a configured limit go by what some of its users' learned,
// once they agree that it is less. Those of one that nobody configured do anyway.
func (l *Ledger) spread(b *Bucket) {
	s := b.taught()
	if s == nil || b.rule.learns() || s.spread == s.version {
		return
	}
	s.spread = s.version
	for other := range b.kin.all {
		l.study(other)
	}
}
