package quota

import "time"

// Pace is how a window has been used so far. The zero value says nothing.
type Pace struct {
	// Began is since when Used is counted, and Ends when the window turns; zero
	// when that is not known.
	Began, Ends time.Time
	// Used is the units used since Began, Left those that can still be used.
	Used, Left int64
}

// paceAfter is the share of a window, as its divisor, that must be over before
// its pace means anything.
const paceAfter = 100

// RunsOut is when nothing is left if the window is used on at the same pace: now
// when nothing is. It is zero when the window turns first, or when nothing can be
// said: its end is not known, or it has only just begun.
func (p Pace) RunsOut(now time.Time) time.Time {
	elapsed, rest := now.Sub(p.Began), p.Ends.Sub(now)
	switch {
	case p.Began.IsZero() || p.Ends.IsZero() || rest <= 0:
		return time.Time{}
	case p.Left <= 0:
		return now
	case p.Used <= 0 || elapsed < p.Ends.Sub(p.Began)/paceAfter:
		return time.Time{}
	}
	// A float holds what the product of two int64 would not.
	after := float64(p.Left) / float64(p.Used) * float64(elapsed)
	if after >= float64(rest) {
		return time.Time{}
	}
	return now.Add(time.Duration(after))
}

// Pace is how the bucket's window has been used so far; zero for a bucket whose
// quota or whose window's end is not known, or whose window slides.
func (l *Ledger) Pace(now time.Time, b *Bucket) Pace {
	b.advance(at(now))
	if b.quota == 0 || b.gate || b.logged() || !b.end.known() {
		return Pace{}
	}
	began, used := b.turned, b.spent()
	turnSeen := b.sawBegin()
	if period := b.rule.Window.period(); period > 0 {
		if began = b.end.mid().add(-period); turnSeen {
			began = max(began, b.turned)
		}
	} else if !turnSeen {
		// Nobody knows how long the window was open before we came: only our own
		// use has a pace.
		used = min(used, b.n+b.o)
	}
	return Pace{Began: began.time(), Ends: b.turnsAt().time(), Used: used, Left: max(0, b.available())}
}
