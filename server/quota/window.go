package quota

import (
	"fmt"
	"time"
)

// WindowKind is the kind of a window.
type WindowKind uint8

// The kinds of window.
const (
	// Unstated: nothing is known of the window but what responses tell.
	Unstated WindowKind = iota
	// Fixed: the count begins anew at a reset that is learned, or, when
	// aligned, at the multiples of the period since the epoch.
	Fixed
	// Calendar: the count begins anew with the hour, day, week or month of a
	// time zone.
	Calendar
	// Sliding: each unit counts for one period from its use.
	Sliding
	// Refill: the quota comes back bit by bit over a period, and what is not used
	// is kept up to a burst: a token bucket, a leaky bucket, GCRA.
	Refill
	// Concurrent: the quota is how many calls may be under way at a time.
	Concurrent
)

// CalendarUnit is the length of a calendar window.
type CalendarUnit uint8

// The calendar units. A week begins on Monday.
const (
	Hour CalendarUnit = iota + 1
	Day
	Week
	Month
)

// String is the unit as the configuration writes it.
func (u CalendarUnit) String() string {
	return [...]string{"", "hour", "day", "week", "month"}[u]
}

// Window says when the count of a limit begins anew. It is comparable; the zero
// value is not known and learned from responses.
type Window struct {
	// Kind is the kind of window; the other fields depend on it.
	Kind WindowKind
	// Period is the length of a fixed or sliding window, or the time in which a
	// quota is refilled.
	Period time.Duration
	// Aligned says that a fixed window's boundaries are the multiples of its
	// period since 1970 in UTC.
	Aligned bool
	// FirstUse says that a fixed window begins at the first call after the last one
	// ended.
	FirstUse bool
	// Counter says that the upstream only keeps the sums of aligned periods, and
	// weighs the last one by how much of it still lies within a sliding window.
	Counter bool
	// Burst is the most units that a refilled quota holds; 0 means one quota.
	Burst int64
	// Unit is the length of a calendar window.
	Unit CalendarUnit
	// Zone is a calendar window's time zone; nil means UTC.
	Zone *time.Location
}

// String is the window as the configuration writes it.
func (w Window) String() string {
	switch w.Kind {
	case Fixed:
		return fmt.Sprintf("{fixed: %v%s}", w.Period, w.options())
	case Calendar:
		return fmt.Sprintf("{calendar: %v, zone: %v}", w.Unit, w.zone())
	case Sliding:
		return fmt.Sprintf("{sliding: %v%s}", w.Period, w.options())
	case Refill:
		return fmt.Sprintf("{refill: %v%s}", w.Period, w.options())
	case Concurrent:
		return "{concurrent: true}"
	default:
		return "learned"
	}
}

func (w Window) options() string {
	switch {
	case w.Aligned:
		return ", align: utc"
	case w.FirstUse:
		return ", from: first_use"
	case w.Counter:
		return ", as: counter"
	case w.Burst > 0:
		return fmt.Sprint(", burst: ", w.Burst)
	}
	return ""
}

func (w Window) zone() *time.Location {
	if w.Zone == nil {
		return time.UTC
	}
	return w.Zone
}

// period is the window's nominal length; 0 when it is not known, or when there is
// no window that begins anew.
func (w *Window) period() time.Duration {
	switch w.Kind {
	case Calendar:
		return w.Unit.length()
	case Refill, Concurrent:
		return 0
	default:
		return w.Period
	}
}

// length is the unit's greatest.
func (u CalendarUnit) length() time.Duration {
	const day = 24 * time.Hour
	return [...]time.Duration{0, time.Hour, day, 7 * day, 31 * day}[u]
}

// carries reports whether the window's next boundary is known without being
// told.
func (w *Window) carries() bool { return w.Kind == Calendar || w.Kind == Fixed && w.Aligned }

// next is the first boundary after t of a window that carries. A day is the
// calendar's, so it has 23 or 25 hours when the clocks change.
func (w Window) next(t time.Time) time.Time {
	if w.Kind == Fixed {
		return t.Truncate(0).Add(w.Period - time.Duration(t.UnixNano()%int64(w.Period)))
	}
	t = t.In(w.zone())
	y, m, d := t.Date()
	switch w.Unit {
	case Hour:
		// By elapsed time from the hour's own start: an hour that occurs twice
		// has two boundaries.
		into := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
		return t.Add(time.Hour - into)
	case Week:
		return w.dayBegins(y, m, d+7-(int(t.Weekday())+6)%7)
	case Month:
		return w.dayBegins(y, m+1, 1)
	default:
		return w.dayBegins(y, m, d+1)
	}
}

// dayBegins is the first instant of a date in the window's zone. Where the clocks
// skip midnight, or a whole date, that is when they change: time.Date may then be
// as much too early.
func (w Window) dayBegins(y int, m time.Month, d int) time.Time {
	begins := time.Date(y, m, d, 0, 0, 0, 0, w.zone())
	wanted := time.Date(y, m, d, 0, 0, 0, 0, time.UTC) // the same date, normalized
	gotY, gotM, gotD := begins.Date()
	if time.Date(gotY, gotM, gotD, 0, 0, 0, 0, time.UTC).Before(wanted) {
		_, begins = begins.ZoneBounds()
	}
	return begins
}
