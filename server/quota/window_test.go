package quota

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones do not depend on the machine's

	"pgregory.net/rapid"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// Peer bug 4: calendars in zones of their own, not the machine's; days of 23 and
// 25 hours, months and years of their own length.
func TestPeerBugCalendar(t *testing.T) {
	for _, tc := range []struct {
		name     string
		unit     CalendarUnit
		zone     string
		now, end string // RFC 3339
	}{
		{"a day in UTC", Day, "UTC", "2026-03-01T12:00:00Z", "2026-03-02T00:00:00Z"},
		{"a boundary belongs to what it begins", Day, "UTC", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"},
		{"just before", Day, "UTC", "2026-03-01T23:59:59.999999999Z", "2026-03-02T00:00:00Z"},
		{"a day before UTC's", Day, "Asia/Tokyo", "2026-03-01T15:00:00Z", "2026-03-02T15:00:00Z"},
		{"23 hours", Day, "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"},
		{"25 hours", Day, "America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		{"23.5 hours", Day, "Australia/Lord_Howe", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"},
		{"24.5 hours", Day, "Australia/Lord_Howe", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"},
		{"Kyiv in spring", Day, "Europe/Kyiv", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"},
		{"Kyiv in autumn", Day, "Europe/Kyiv", "2026-10-24T21:00:00Z", "2026-10-25T22:00:00Z"},
		{"after the leap of a whole day", Day, "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		{"the leap day begins", Day, "UTC", "2028-02-28T10:00:00Z", "2028-02-29T00:00:00Z"},
		{"the leap day ends", Day, "UTC", "2028-02-29T10:00:00Z", "2028-03-01T00:00:00Z"},
		{"no leap day", Day, "UTC", "2026-02-28T10:00:00Z", "2026-03-01T00:00:00Z"},
		{"not a leap year", Day, "UTC", "2100-02-28T10:00:00Z", "2100-03-01T00:00:00Z"},
		{"the year ends", Day, "UTC", "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"},
		{"an hour", Hour, "UTC", "2026-03-01T12:34:56.789Z", "2026-03-01T13:00:00Z"},
		{"an hour of a zone that is off by 45 minutes", Hour, "Asia/Kathmandu", "2026-03-01T12:10:00Z", "2026-03-01T12:15:00Z"},
		{"the hour that occurs twice, first", Hour, "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z"},
		{"and again", Hour, "America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T07:00:00Z"},
		{"the hour that is left out", Hour, "America/New_York", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"},
		{"the year's last hour", Hour, "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
		{"a week, on Sunday", Week, "UTC", "2026-03-01T12:00:00Z", "2026-03-02T00:00:00Z"},
		{"a week, on Monday", Week, "UTC", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"},
		{"a week over the year's end", Week, "UTC", "2026-12-30T12:00:00Z", "2027-01-04T00:00:00Z"},
		{"a week with 167 hours", Week, "America/New_York", "2026-03-02T05:00:00Z", "2026-03-09T04:00:00Z"},
		{"a month of 31 days", Month, "UTC", "2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z"},
		{"of 28", Month, "UTC", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"of 29", Month, "UTC", "2028-02-29T23:00:00Z", "2028-03-01T00:00:00Z"},
		{"of 30", Month, "UTC", "2026-04-30T10:00:00Z", "2026-05-01T00:00:00Z"},
		{"the last", Month, "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"},
		{"a month of another zone", Month, "America/New_York", "2026-03-01T04:30:00Z", "2026-03-01T05:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			now, err := time.Parse(time.RFC3339, tc.now)
			if err != nil {
				t.Fatal(err)
			}
			w := Window{Kind: Calendar, Unit: tc.unit, Zone: zone(t, tc.zone)}
			for _, in := range []*time.Location{time.UTC, zone(t, "Asia/Tokyo"), time.FixedZone("", -7*3600-17)} {
				if got := w.next(now.In(in)).UTC().Format(time.RFC3339Nano); got != tc.end {
					t.Errorf("after %v: %v, want %v", now.In(in), got, tc.end)
				}
			}
		})
	}
}

// Peer bug 4: the zone of the process changes nothing, a window without a zone is
// UTC's.
func TestPeerBugProcessZone(t *testing.T) {
	was := time.Local
	defer func() { time.Local = was }()
	time.Local = zone(t, "Pacific/Apia")
	now := time.Date(2026, 6, 30, 23, 30, 0, 0, time.UTC)
	for unit, want := range map[CalendarUnit]time.Time{
		Hour:  time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
		Day:   time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
		Week:  time.Date(2026, 7, 6, 0, 0, 0, 0, time.UTC),
		Month: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got := (Window{Kind: Calendar, Unit: unit}).next(now.Local()); !got.Equal(want) {
			t.Errorf("the next %v: %v, want %v", unit, got.UTC(), want)
		}
	}
	s := newSteps(t, daily(1))
	s.take(0)
	s.retryAt(s.denied(0, Exhausted), 12*3600+calendarGuard.Seconds())
}

// zonesWithMidnight are zones whose clocks never change at midnight.
var zonesWithMidnight = []string{
	"UTC", "America/New_York", "America/St_Johns", "Europe/Kyiv", "Europe/London", "Australia/Lord_Howe", "Australia/Sydney",
	"Asia/Kathmandu", "Asia/Tokyo", "Pacific/Chatham",
}

// The next boundary comes after now, is the same for every instant up to it, and
// is where the next window begins.
func TestPropertyNextIsABoundary(t *testing.T) {
	var zones []*time.Location
	for _, name := range zonesWithMidnight {
		zones = append(zones, zone(t, name))
	}
	rapid.Check(t, func(t *rapid.T) {
		w := Window{Kind: Calendar, Zone: rapid.SampledFrom(zones).Draw(t, "zone")}
		longest := map[CalendarUnit]time.Duration{Hour: time.Hour, Day: 25 * time.Hour, Week: 169 * time.Hour, Month: 31*24*time.Hour + time.Hour}
		w.Unit = rapid.SampledFrom([]CalendarUnit{Hour, Day, Week, Month}).Draw(t, "unit")
		if rapid.IntRange(0, 4).Draw(t, "fixed") == 0 {
			w = Window{Kind: Fixed, Aligned: true, Period: time.Duration(rapid.Int64Range(1, int64(48*time.Hour)).Draw(t, "period"))}
			longest[0] = w.Period
		}
		// 2015 to 2035
		now := time.Unix(rapid.Int64Range(1420070400, 2051222400).Draw(t, "now"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		next := w.next(now)
		if !next.After(now) || next.Sub(now) > longest[w.Unit] {
			t.Fatalf("after %v: %v, %v later", now.UTC(), next.UTC(), next.Sub(now))
		}
		if last := next.Add(-1); last.After(now) && !w.next(last).Equal(next) {
			t.Fatalf("after %v: %v, but just before that: %v", now.UTC(), next.UTC(), w.next(last).UTC())
		}
		between := now.Add(time.Duration(rapid.Int64Range(0, int64(next.Sub(now))-1).Draw(t, "between")))
		if !w.next(between).Equal(next) {
			t.Fatalf("after %v: %v, but after %v: %v", now.UTC(), next.UTC(), between.UTC(), w.next(between).UTC())
		}
		if !w.next(next).After(next) {
			t.Fatalf("after the boundary %v: %v", next.UTC(), w.next(next).UTC())
		}
		if w.Kind == Calendar && w.Unit != Hour {
			in := next.In(w.Zone)
			if h, m, s := in.Clock(); h+m+s != 0 || in.Nanosecond() != 0 {
				t.Fatalf("not midnight: %v", in)
			}
			if w.Unit == Week && in.Weekday() != time.Monday || w.Unit == Month && in.Day() != 1 {
				t.Fatalf("not the first day of a %v: %v", w.Unit, in)
			}
		}
		if w.Kind == Fixed && next.UnixNano()%int64(w.Period) != 0 {
			t.Fatalf("not a multiple of %v: %v", w.Period, next.UnixNano())
		}
	})
}

func TestAlignedWindows(t *testing.T) {
	for _, tc := range []struct {
		period time.Duration
		now    time.Time
		want   time.Time
	}{
		{10 * time.Second, time.Unix(100, 0), time.Unix(110, 0)},
		{10 * time.Second, time.Unix(109, 999_999_999), time.Unix(110, 0)},
		{7 * time.Second, time.Unix(100, 0), time.Unix(105, 0)},
		{15 * time.Minute, time.Date(2026, 3, 1, 12, 14, 59, 0, time.UTC), time.Date(2026, 3, 1, 12, 15, 0, 0, time.UTC)},
		{24 * time.Hour, time.Date(2026, 3, 1, 23, 0, 0, 0, time.FixedZone("", -5*3600)), time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)},
	} {
		if got := (Window{Kind: Fixed, Period: tc.period, Aligned: true}).next(tc.now); !got.Equal(tc.want) {
			t.Errorf("%v after %v: %v, want %v", tc.period, tc.now, got, tc.want)
		}
	}
}

// Only calendars and aligned windows know their next end.
func TestWindowCarries(t *testing.T) {
	for w, want := range map[Window]bool{
		{}:                                 false,
		{Kind: Fixed, Period: time.Minute}: false,
		{Kind: Fixed, Period: time.Minute, Aligned: true}: true,
		{Kind: Calendar, Unit: Day}:                       true,
		{Kind: Sliding, Period: time.Minute}:              false,
	} {
		if w.carries() != want {
			t.Errorf("%v carries: %v", w, !want)
		}
	}
	for w, want := range map[Window]time.Duration{
		{}:                                   0,
		{Kind: Fixed, Period: time.Minute}:   time.Minute,
		{Kind: Sliding, Period: time.Second}: time.Second,
		{Kind: Calendar, Unit: Hour}:         time.Hour,
		{Kind: Calendar, Unit: Day}:          24 * time.Hour,
		{Kind: Calendar, Unit: Week}:         7 * 24 * time.Hour,
		{Kind: Calendar, Unit: Month}:        31 * 24 * time.Hour,
	} {
		if got := w.period(); got != want {
			t.Errorf("%v: period %v, want %v", w, got, want)
		}
	}
}

// A charge without numbers that may have been counted after midnight is charged to
// the new day too; one that cannot have been is not.
func TestSilentAnswersAroundTheTurn(t *testing.T) {
	s := newSteps(t, daily(100))
	midnight := 12 * 3600.0
	s.settle(midnight-10, s.take(midnight-10.1), Answer{})
	s.settle(midnight-1, s.take(midnight-1.1), Answer{})
	s.settle(midnight+1, s.take(midnight-1.1), Answer{})
	s.available(midnight+1.6, "day", 98)
}

// Numbers without a reset that came when the window may have ended: what they are
// of is counted in the new one.
func TestBareAnswersAroundTheTurn(t *testing.T) {
	s := newSteps(t, daily(100))
	midnight := 12 * 3600.0
	s.settle(midnight-10, s.take(midnight-10.1), numbers(100, 50))
	for range 3 {
		s.settle(midnight+1, s.take(midnight-1.1), numbers(100, 99))
	}
	s.available(midnight+1.6, "day", 97)
	if b := s.bucketOf("day"); b.n != 3 {
		t.Errorf("n %d, want the three that may be of this day", b.n)
	}
}

// What an answer of the window before says is ignored once both have turned: our
// turn was not early.
func TestLateAnswerOfTheLastWindow(t *testing.T) {
	s := newSteps(t, fixed(100, 10*time.Second))
	s.settle(0, s.take(0), numbersReset(100, 50, 5*time.Second))
	p := s.take(4.5)
	s.take(6.1)
	late := numbersReset(100, 3, time.Second)
	late.Sent, late.Received = at0(4.5), at0(4.6)
	s.settle(6.2, p, late)
	s.available(6.2, "app", 99)
	if pad := s.bucketOf("app").pad(); pad != 0 {
		t.Errorf("pad %v, but we were not early", pad)
	}
}

// An early turn that is taken back puts our own counts of both together, whatever
// the numbers say.
func TestEarlyTurnKeepsOurCount(t *testing.T) {
	s := newSteps(t, fixed(10, 20*time.Second))
	for range 6 {
		s.settle(0.1, s.take(0), numbersReset(10, 9, 3*time.Second)) // a node that lags
	}
	s.available(0.2, "app", 4)
	s.settle(4.4, s.take(4.3), numbersReset(10, 9, 2*time.Second)) // turned at 4.1
	s.available(4.4, "app", 3)
}

// A reset that is further away than a window is long, by more than a tenth, is
// none.
func TestResetBeyondThePeriod(t *testing.T) {
	s := newSteps(t, fixed(100, 20*time.Second))
	s.settle(0, s.take(0), numbersReset(100, 90, 10*time.Second))
	was := s.bucketOf("app").end
	s.settle(1, s.take(1), numbersReset(100, 89, 22*time.Second+1))
	if is := s.bucketOf("app").end; is != was {
		t.Errorf("ends %v, was %v", is, was)
	}
	if r := (Reset{Known: true, After: 22 * time.Second}); !resetSpan(&r, 20*time.Second, 1, 1, time.Hour).known() {
		t.Error("a tenth more than the period is no reset")
	}
	if r := (Reset{Known: true, After: -1}); resetSpan(&r, 20*time.Second, 1, 1, time.Hour).known() {
		t.Error("a reset in the past is one")
	}
}

// A caller's clock that is wrong moves no reset: an answer came after its call was
// granted and before it was reported.
func TestReportsOfAWrongClock(t *testing.T) {
	for name, tc := range map[string]struct {
		sent, received float64
		lo, hi         float64
	}{
		"right":               {0.2, 0.5, 4.2, 6.5},
		"hours ahead":         {7200, 7201, 5, 7},
		"hours behind":        {-7201, -7200, 4, 6},
		"received, then sent": {0.9, 0.1, 4.1, 6.1},
	} {
		s := newSteps(t, fixed(100, 20*time.Second))
		a := numbersReset(100, 90, 5*time.Second)
		a.Sent, a.Received = at0(tc.sent), at0(tc.received)
		s.settle(1, s.take(0), a)
		end := s.bucketOf("app").end
		lo, hi := end.lo.time().Sub(epoch).Round(time.Millisecond), end.hi.time().Sub(epoch).Round(time.Millisecond)
		if lo.Seconds() != tc.lo || hi.Seconds() != tc.hi {
			t.Errorf("%s: ends %v to %v, want %v to %v", name, lo, hi, tc.lo, tc.hi)
		}
	}
}

// A window that begins at its first use ends within a period of any answer to a call
// of it, however vague a reset is told.
func TestFirstUseEndsWithinAPeriod(t *testing.T) {
	for name, second := range map[string]Answer{"tells it again": numbersReset(10, 8, 10*time.Second), "says nothing": {}} {
		s := newSteps(t, declared(10, Window{Kind: Fixed, Period: 10 * time.Second, FirstUse: true}))
		s.settle(0.1, s.take(0), numbersReset(10, 9, 10*time.Second))
		s.settle(0.4, s.take(0.2), second)
		if hi := s.bucketOf("app").turnsAt().sub(at(epoch)); hi != 10400*time.Millisecond {
			t.Errorf("%s: ends by %v, want a period after the second answer", name, hi)
		}
	}
}

// An early turn that is taken back is one window with what was before: its lowest
// number stands, and calls of before the turn are of it.
func TestEarlyTurnKeepsTheLowest(t *testing.T) {
	s := newSteps(t, fixed(10, 20*time.Second))
	s.settle(0.1, s.take(0), numbersReset(10, 2, 3*time.Second))
	slow := s.take(4)
	s.settle(4.4, s.take(4.3), numbersReset(0, Unknown, 2*time.Second)) // turned at 4.1
	s.available(4.4, "app", 0)
	s.settle(4.5, slow, numbers(10, 1))
	s.available(4.5, "app", 0)
	if b := s.bucketOf("app"); b.turned > at(at0(0)) || b.strayed {
		t.Errorf("began at %v, strayed %v", b.turned.time(), b.strayed)
	}
}
