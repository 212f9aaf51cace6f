package quota

import "time"

// instant is a point on the ledger's timeline in Unix nanoseconds. Zero means
// not known. A bucket holds many of them, and they are a third of a time.Time.
type instant int64

func at(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.UnixNano())
}

func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(i)).UTC()
}

func (i instant) add(d time.Duration) instant { return i + instant(d) }

func (i instant) sub(j instant) time.Duration { return time.Duration(i - j) }

// earlier is the earlier of two instants of which either may be unknown.
func earlier(i, j instant) instant {
	if i == 0 || j != 0 && j < i {
		return j
	}
	return i
}

// span is an interval in which an instant lies; its zero value knows nothing.
type span struct {
	lo, hi instant
}

func (s span) known() bool { return s.hi != 0 }

// with is the least interval that holds both.
func (s span) with(t span) span {
	switch {
	case !s.known():
		return t
	case !t.known():
		return s
	}
	return span{min(s.lo, t.lo), max(s.hi, t.hi)}
}

func (s span) mid() instant { return s.lo + (s.hi-s.lo)/2 }
