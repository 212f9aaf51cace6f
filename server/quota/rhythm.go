package quota

import (
	"slices"
	"time"
)

const (
	// rhythmDrift is how much of the time passed two clocks may differ by: real
	// ones keep within a quarter of it.
	rhythmDrift = 5000 // one part in so many
	// rhythmPause is how long nothing is learned after a rhythm proved false the
	// first time; four times as long after each further time.
	rhythmPause = 4 * time.Second
	maxPause    = time.Hour
	// maxLows is in how many steps of a period low answers are kept.
	maxLows = 64
)

// rhythm learns where in each period a fixed window turns of which nobody tells
// the phase, or tells it so vaguely that two turns look alike.
//
// Its evidence are intervals in which a turn lies. An answer that says that much
// more remains than another said, which was received before this one's call was
// sent, proves a turn between: not before the other was sent, not after this one
// was received. A told reset is such an interval too, however wide. All turns are
// whole periods apart, so the intervals are intersected modulo the period, each
// widened by what two clocks may have drifted apart since.
//
// It is safe to free at the end of an interval what was settled before its
// beginning: that was counted before the turn, and a call that is granted at the
// end is counted after it. It is used only while it is narrower than half a
// period, so that it cannot be taken for its neighbour. What contradicts it, an
// empty intersection or a refusal, makes it forgotten, and each time it takes
// longer until it is trusted again.
//
// All of that is false of a window that starts at the first call after the last:
// its turns are a period apart or more. See [firstUse].
//
// The zero value has heard nothing. It is pure: it only knows the instants that it
// is told of.
type rhythm struct {
	// turn bounds one turn as it was known at asOf; found is when its first
	// evidence came.
	turn        span
	asOf, found instant
	// resumes is when learning begins again, pause how long it rested last.
	resumes instant
	pause   time.Duration
	// lows are answers of the last period after which a rise would prove a turn,
	// by when they were received.
	lows []lowAnswer
	firstUse
}

type lowAnswer struct {
	sent, received instant
	remaining      int64
}

// drift is how far two clocks may have come apart since the rhythm was narrowed.
func (r *rhythm) drift(now instant) time.Duration {
	return max(0, now.sub(r.asOf)) / rhythmDrift
}

// at is where the turn is bounded to now.
func (r *rhythm) at(now instant) span {
	d := r.drift(now)
	return span{r.turn.lo.add(-d), r.turn.hi.add(d)}
}

// narrow reports whether a turn cannot be taken for its neighbour.
func (r *rhythm) narrow(now instant, period time.Duration) bool {
	s := r.at(now)
	return r.turn.known() && s.hi.sub(s.lo) < period/2
}

// frees is when what was settled at s is known to be of a window that has ended:
// a period later, or at the first turn that surely came after it.
func (r *rhythm) frees(s instant, period time.Duration) instant {
	latest := s.add(period)
	if r == nil || !r.narrow(latest, period) {
		return latest
	}
	turn := r.at(latest)
	return min(latest, turn.hi.add(periods(s.sub(turn.lo), period)+period))
}

// periods is d cut to whole periods, downwards for negative ones too.
func periods(d, period time.Duration) time.Duration {
	rest := d % period
	if rest < 0 {
		rest += period
	}
	return d - rest
}

// hear learns of what an answer says remains: its call was sent and the answer
// received then.
func (r *rhythm) hear(now, sent, received instant, remaining, quota int64, period time.Duration) {
	lows := 0
	for lows < len(r.lows) && r.lows[lows].received.add(period) <= now {
		lows++
	}
	r.lows = slices.Delete(r.lows, 0, lows)
	if rise := r.rise(sent, received, remaining, quota); rise.known() {
		r.learn(now, rise, rise.lo, period)
	}
	if remaining*2 < quota {
		r.keepLow(lowAnswer{sent, received, remaining}, period)
	}
}

// rise is the narrowest interval in which a turn lies because the answer says that
// more than half of the quota came back since two others. One of them may come from
// a node that has not heard of the turn yet.
func (r *rhythm) rise(sent, received instant, remaining, quota int64) span {
	var latest, second instant
	for _, low := range r.lows {
		if low.received <= sent && (remaining-low.remaining)*2 > quota {
			latest, second = max(latest, low.sent), max(second, min(latest, low.sent))
		}
	}
	if second == 0 {
		return span{}
	}
	return span{second, received}
}

// keepLow remembers a low answer, one a step: of those the lowest, and of equals
// the latest sent.
func (r *rhythm) keepLow(low lowAnswer, period time.Duration) {
	n := len(r.lows)
	if n < 2 || low.received >= r.lows[n-2].received.add(period/maxLows) {
		r.lows = append(r.lows, low)
		return
	}
	if last := &r.lows[n-1]; low.sent >= last.sent {
		*last = low
	}
}

// learn intersects what is known with an interval in which the turn lies that ended
// the window of a call granted then. One that is a period wide, or that may be
// either of two turns, says nothing.
func (r *rhythm) learn(now instant, turn span, granted instant, period time.Duration) {
	r.refute(turn, granted, period)
	if turn.hi.sub(turn.lo) >= period || now < r.resumes {
		return
	}
	if !r.turn.known() {
		r.turn, r.asOf, r.found = turn, now, now
		return
	}
	was := r.at(now)
	// The first of our turns that does not end before this one begins.
	shift := periods(turn.lo.sub(was.hi)-1, period) + period
	lo, hi := max(turn.lo, was.lo.add(shift)), min(turn.hi, was.hi.add(shift))
	switch {
	case lo > hi:
		r.forget(now, period)
	case was.lo.add(shift+period) <= turn.hi:
		// The next of ours fits too.
	default:
		r.turn, r.asOf = span{lo, hi}, now
	}
}

// forget drops a rhythm that was contradicted. One that had held for long is
// learned again soon.
func (r *rhythm) forget(now instant, period time.Duration) {
	if !r.turn.known() {
		return
	}
	r.turn = span{}
	first := max(rhythmPause, period)
	if r.pause == 0 || now.sub(r.found) > maxPause {
		r.pause = first
	} else {
		r.pause = min(4*r.pause, max(first, maxPause))
	}
	r.resumes = now.add(r.pause)
}
