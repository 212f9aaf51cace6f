package alert

import (
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// How long what is not heard of any more is believed.
const (
	// longestGuess is the window of a limit of which nobody knows any.
	longestGuess = 24 * time.Hour
	// untried is how long after a cool-down a bucket that nobody calls counts as
	// cooling down.
	untried = 10 * time.Minute
)

// bucketID identifies a bucket.
type bucketID struct {
	limit string
	key   quota.Scope
}

// bucket is what is kept of one bucket: what it last looked like, and its
// latches.
type bucket struct {
	last quota.Status
	seen time.Time
	// quota is the last that was known; 0 when none was.
	quota int64
	// was is the quota before the last change that the upstream told.
	was int64
	// farthest is the furthest that the reset was ever away: a lower bound of a
	// period that nobody told.
	farthest time.Duration
	pace     pace
	latches  []latch
}

// period is the window's length; 0 when there is nothing to tell it by.
func (b *bucket) period() time.Duration {
	if b.last.Period > 0 {
		return b.last.Period
	}
	return b.farthest
}

// over reports whether the window in which the bucket was last seen has ended
// since. Without a reset, it has once a whole window has passed.
func (b *bucket) over(now time.Time) bool {
	if !b.last.ResetAt.IsZero() {
		return !now.Before(b.last.ResetAt)
	}
	period := b.period()
	if period == 0 {
		period = longestGuess
	}
	return now.Sub(b.seen) >= period
}

// settled reports whether the quota is known for certain: one that was learned is
// once a refusal taught it.
func settled(s *quota.Status) bool {
	return s.Quota > 0 && (s.Provenance != quota.Learned || s.Confidence.Confirmed > 0)
}

// see takes a new status. It reports the quota before, if the upstream now
// tells another one, or refused at another one, else 0.
func (b *bucket) see(now time.Time, s quota.Status) (was int64) {
	turned := b.seen.IsZero() || b.over(now) || s.ResetAt.Sub(b.last.ResetAt) > b.period()/2
	upstreams := s.Provenance == quota.Told || s.Provenance == quota.Learned
	if b.quota > 0 && settled(&s) && s.Quota != b.quota && upstreams {
		was = b.quota
	}
	b.last, b.seen = s, now
	if settled(&s) {
		b.quota = s.Quota
	}
	if !s.ResetAt.IsZero() {
		b.farthest = max(b.farthest, s.ResetAt.Sub(now))
	}
	b.follow(now, turned)
	return was
}

// changes is how many changes of the limit have not settled yet.
func (b *bucket) changes() (n int) {
	for _, l := range b.latches {
		if l.rule == LimitChanged {
			n++
		}
	}
	return n
}

// follow keeps the pace of a window that has an end.
func (b *bucket) follow(now time.Time, turned bool) {
	s, period := &b.last, b.period()
	if s.Key.User != "" || s.Quota <= 0 || s.ResetAt.IsZero() || period < ShortWindow {
		return
	}
	if !turned && b.pace.memory > 0 {
		b.pace.look(now, s.Used)
		return
	}
	began := now
	if s.Period > 0 && s.ResetAt.Add(-s.Period).Before(now) {
		began = s.ResetAt.Add(-s.Period)
	}
	b.pace = newPace(now, began, s.Used, period)
}

// judge is what a rule finds, and how patient it is.
func (b *bucket) judge(now time.Time, m mark, p plan) (verdict, patience) {
	settle := patience{settle: settleFor}
	switch m.rule {
	case Remaining:
		return b.judgeRemaining(now, m.threshold), settle
	case Cooldown:
		return b.judgeCooldown(now), b.cooldownPatience(now)
	case LimitChanged:
		// A change is over at once, and is told again only after it has settled.
		return good, patience{settle: time.Hour}
	case Others:
		return b.judgeOthers(now, p.others), patience{fire: time.Minute, settle: settleFor}
	default:
		hold := min(max(b.period()/96, time.Minute), 15*time.Minute)
		return b.judgeForecast(now), patience{fire: hold, settle: hold}
	}
}

// judgeRemaining: bad below the threshold, good at half as much again.
func (b *bucket) judgeRemaining(now time.Time, t Share) verdict {
	enough := min(t+t/2, (t+1000)/2)
	switch s := &b.last; {
	case b.over(now):
		return good
	case s.Quota <= 0 || s.Remaining == quota.Unknown:
		return between
	case t.under(s.Remaining, s.Quota):
		return bad
	case enough.under(s.Remaining, s.Quota):
		return between
	}
	return good
}

// judgeCooldown: good once the bucket is open; a probe on its way is neither.
func (b *bucket) judgeCooldown(now time.Time) verdict {
	switch {
	case b.last.State == quota.Open:
		return good
	case b.last.State == quota.Cooling && now.Before(b.last.CoolUntil):
		return bad
	case now.Sub(b.last.CoolUntil) >= untried && now.Sub(b.seen) >= untried:
		return good
	}
	return between
}

// cooldownPatience lets a cool-down of less than ten seconds pass.
func (b *bucket) cooldownPatience(now time.Time) patience {
	const short = 10 * time.Second
	p := patience{settle: settleFor}
	if b.last.CoolUntil.Sub(now) < short {
		p.fire = short
	}
	return p
}

// judgeOthers: bad above the share, good at half of it.
func (b *bucket) judgeOthers(now time.Time, share Share) verdict {
	switch s := &b.last; {
	case b.over(now):
		return good
	case s.Quota <= 0:
		return between
	case share.exceededBy(s.Others, s.Quota):
		return bad
	case (share / 2).exceededBy(s.Others, s.Quota):
		return between
	}
	return good
}

// judgeForecast: bad when the quota ends more than a tenth of the window before
// the reset, good at less than half of that. Until enough of the window and of
// the quota has been seen it says nothing.
func (b *bucket) judgeForecast(now time.Time) verdict {
	s, period := &b.last, b.period()
	switch {
	case b.over(now) || b.pace.memory == 0 || s.Quota <= 0:
		return good
	case s.Remaining == 0:
		return between // it has come true
	case now.Sub(b.pace.from) < max(2*time.Minute, period/48) || Percent(10).under(s.Used, s.Quota):
		return good
	}
	early := s.ResetAt.Sub(b.runsOut(now))
	switch {
	case early >= period/10:
		return bad
	case early <= period/20:
		return good
	}
	return between
}

// runsOut is when the quota ends at this pace.
func (b *bucket) runsOut(now time.Time) time.Time {
	p := b.pace
	p.look(now, b.last.Used)
	return now.Add(p.lasts(b.last.Remaining))
}
