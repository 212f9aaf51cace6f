package quota

import "time"

// firstUse is the rival of a [rhythm]: that the window starts at the first call
// after the last one's end. Then a turn is no sooner than a period after the first
// call that can have started its window. Evidence of a sooner one refutes it, for
// good.
//
// Where a window is declared to start so, this is what is known of it.
//
// A call starts a window for certain when all that came before it have ended and
// nothing else is on its way. That is so when the log holds nothing; and, under
// demand that never ends, when everything before it arrived within one window
// that must be over.
type firstUse struct {
	refuted bool
	// suspected is true once a call was refused that a rhythm may have allowed.
	suspected bool
	// first is when the first call was granted that the rival's window can have
	// begun with; answered is when the first of those was answered, 0 until then.
	first, answered instant
}

// granted notes that a call is granted while no other is on its way; quiet is when
// the last one ended, 0 when that is longer ago than a period.
func (f *firstUse) granted(now, quiet instant, period time.Duration) {
	over := f.answered != 0 && quiet <= f.first.add(period) && now >= f.answered.add(period)
	if quiet == 0 || quiet.add(period) <= now || over {
		f.first, f.answered = now, 0
	}
}

// heard notes that a call was answered that was granted then.
func (f *firstUse) heard(now, granted instant) {
	if f.answered == 0 && granted >= f.first {
		f.answered = now
	}
}

// ends is when the window surely has ended that counted a call of which is heard now; 0
// when the next may have counted it.
func (f *firstUse) ends(now instant, period time.Duration) instant {
	if f.refuted || f.answered == 0 || now >= f.first.add(period) {
		return 0
	}
	return f.answered.add(period)
}

// refute weighs an interval in which a turn lies that ended the window of a call
// granted then.
func (f *firstUse) refute(turn span, granted instant, period time.Duration) {
	if f.first != 0 && granted >= f.first && turn.hi < f.first.add(period) {
		f.refuted = true
	}
}
