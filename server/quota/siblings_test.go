package quota

import (
	"cmp"
	"testing"
	"time"
)

// A bucket that learned a number itself goes by another one of its siblings' where
// its own was theirs too: by a smaller one at once, by a greater one once a call has
// tried it. One that learned a number of its own keeps that.
func TestSiblingsOverruleALesson(t *testing.T) {
	for name, tc := range map[string]struct {
		own, theirs, to int64
		want            int64
		follow          bool
	}{
		"none of its own":          {0, 6, 9, 9, false},
		"a smaller one":            {6, 6, 4, 4, false},
		"a greater one":            {6, 6, 9, 6, true},
		"the same":                 {6, 6, 6, 6, false},
		"a number of its own":      {5, 6, 4, 5, false},
		"a greater one, of others": {5, 6, 9, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, learnDay(true))
			s.use(0, 1, member(9))
			if s.use(nextDay(1), 1, member(0)); tc.own > 0 {
				s.untilRefused(nextDay(1), int(tc.own)-1, member(0))
			}
			b := s.dayOf(member(0))
			for range 2 * maxVotes {
				b.siblings.vote(tc.theirs)
			}
			b.heed()
			s.quota(member(0), cmp.Or(tc.own, tc.theirs), Learned)
			for range 2 * maxVotes {
				b.siblings.vote(tc.to)
			}
			s.l.Advance(at0(nextDay(2)))
			b.advance(at(at0(nextDay(2))))
			s.quota(member(0), tc.want, Learned)
			if b.lesson.follow != tc.follow {
				t.Errorf("it may try the siblings' number: %v", b.lesson.follow)
			}
			b.teach(6) // what it learns from now on is its own
			b.lesson.base, b.lesson.confirmed = 6, 1
			b.heed()
			s.quota(member(0), 6, Learned)
			if tc.follow {
				s.use(nextDay(2), int(tc.to), member(0))
				s.quota(member(0), tc.to, Learned)
			}
		})
	}
}

// One of the siblings tries a call beyond its quota for all, a week after the last. One
// that shows nothing, because nobody heard of it, is no try: another may go.
func TestSiblingsTryForAll(t *testing.T) {
	for name, tc := range map[string]struct {
		answer  Answer
		another bool
	}{
		"refused":     {spent(true), false},
		"never heard": {Answer{Unanswered: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, learnDay(true))
			s.use(0, 1, member(9))
			tries := func(day, n int) (p *Permit) {
				s.dayOf(member(n)).lesson.full = 2
				s.use(nextDay(day), 6, member(n))
				return s.try(nextDay(day)+1, member(n)).Permit
			}
			for i := range 2 {
				s.untilRefused(nextDay(1)+float64(i)*10, 6, member(i))
			}
			s.dayOf(member(0)).siblings.triedAt = at(at0(nextDay(1) + 1))
			if tries(7, 0) != nil {
				t.Error("tried too soon")
			}
			s.settle(nextDay(8)+2, tries(8, 0), tc.answer)
			s.quota(member(0), 6, Learned)
			s.l.Advance(at0(nextDay(9)))
			s.dayOf(member(0)).advance(at(at0(nextDay(9))))
			if got := tries(9, 1) != nil; got != tc.another {
				t.Errorf("on the next day another tries: %v, want %v", got, tc.another)
			}
		})
	}
}

// What a learned number rests on is shown: how often it was learned and when, and how
// many of the siblings say the same.
func TestConfidenceIsShown(t *testing.T) {
	s := newSteps(t, learnDay(true))
	s.use(0, 1, member(9))
	for i := range 3 {
		s.untilRefused(nextDay(1)+float64(i)*10, 6, member(i))
	}
	s.use(nextDay(1)+50, 6, member(8))
	shown := func(n int) Confidence {
		return s.l.Status(at0(nextDay(1)+60), s.dayOf(member(n))).Confidence
	}
	if got, want := shown(1), (Confidence{Confirmed: 1, ConfirmedAt: at0(nextDay(1) + 11), Siblings: 3}); got.Confirmed != want.Confirmed || !got.ConfirmedAt.Equal(want.ConfirmedAt) || got.Siblings != want.Siblings {
		t.Errorf("of one that learned it: %+v, want %+v", got, want)
	}
	if got := shown(8); got != (Confidence{Siblings: 3}) {
		t.Errorf("of one that goes by the others': %+v", got)
	}
	refuse := func(n int) {
		s.settle(nextDay(2)+3, s.ask(nextDay(2)+2, Request{Scope: member(n), Force: true}).Permit, spent(true))
	}
	s.use(nextDay(2), 6, member(0))
	refuse(0) // it has voted already
	s.use(nextDay(2), 5, member(4))
	s.settle(nextDay(2)+1, s.takeFor(nextDay(2), member(4)), Answer{Unanswered: true})
	refuse(4) // at five or six
	if got := shown(0); got.Confirmed != 2 || got.Siblings != 3 {
		t.Errorf("after it was confirmed, and nobody else learned it: %+v", got)
	}
	s.dayOf(member(0)).siblings.candidate = 5
	if got := shown(8); got != (Confidence{Full: 1}) {
		t.Errorf("of a number that is not the siblings' any more: %+v", got)
	}
	s = newSteps(t, learnDay(false))
	s.use(0, 1, appCall)
	s.untilRefused(nextDay(1), 10, appCall)
	if got := s.l.Status(at0(nextDay(1)+60), s.bucketOf("day")).Confidence; got.Confirmed != 1 || got.Siblings != 0 {
		t.Errorf("of one without siblings: %+v", got)
	}
}

// Each try of one of the siblings spends what many windows that were used up earn, and
// one that passes earns it back.
func TestSiblingsCredit(t *testing.T) {
	s := siblings{credit: creditForTry + 44, triedAt: sec(0)}
	for _, tt := range []struct {
		do   func()
		want int64
		may  bool
	}{
		{func() {}, creditForTry + 44, true},
		{func() { s.try(sec(1)) }, 44, false},
		{func() { s.try(sec(2)) }, 0, false},
		{s.passed, creditForTry, true},
	} {
		if tt.do(); s.credit != tt.want || s.mayTry(sec(2), time.Hour) != tt.may {
			t.Errorf("a credit of %d, want %d; may try: %v", s.credit, tt.want, !tt.may)
		}
	}
}

// A window that was used up earns credit for tries, whether it was refused or not; a try
// that passes gives back what it cost, once, however far it goes.
func TestSiblingsEarnCredit(t *testing.T) {
	s := newSteps(t, learnDay(true))
	s.use(0, 1, member(9))
	for i := range 2 {
		s.untilRefused(nextDay(1)+float64(i)*10, 6, member(i))
	}
	b := s.dayOf(member(0))
	credit := func(want int64) {
		t.Helper()
		if b.siblings.credit != want {
			t.Fatalf("a credit of %d, want %d", b.siblings.credit, want)
		}
	}
	credit(2)
	s.use(nextDay(2), 6, member(0))
	s.use(nextDay(2), 5, member(1))
	s.use(nextDay(3), 1, member(0))
	s.use(nextDay(3), 1, member(1))
	credit(3)
	b.lesson.full = 2
	s.use(nextDay(8), 6, member(0))
	try := s.takeFor(nextDay(8), member(0))
	credit(0)
	s.settle(nextDay(8)+1, try, Answer{})
	s.use(nextDay(8)+2, 5, member(0))
	credit(creditForTry)
}

// The gap between tries doubles with each window that taught the same, up to a bound.
func TestLessonsGap(t *testing.T) {
	for confirmed, want := range map[int64]int64{0: 1, 1: 2, 4: 16, 5: maxTryGap, 6: maxTryGap, 63: maxTryGap, 64: maxTryGap, 1000: maxTryGap} {
		if got := (&lesson{confirmed: confirmed}).gap(); got != want {
			t.Errorf("confirmed %d times: tried after %d windows, want %d", confirmed, got, want)
		}
	}
}
