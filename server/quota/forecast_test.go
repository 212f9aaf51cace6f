package quota

import (
	"testing"
	"time"
)

func TestPaceRunsOut(t *testing.T) {
	noon := at0(0)
	never := time.Duration(-1)
	for _, tt := range []struct {
		name       string
		began, end float64 // seconds from now
		used, left int64
		want       time.Duration
	}{
		{"half used in a quarter", -900, 2700, 50, 50, 900 * time.Second},
		{"just before the turn", -1800, 1800, 501, 499, 1792814371257 * time.Nanosecond},
		{"with the turn", -1800, 1800, 50, 50, never},
		{"lasts", -1800, 1800, 10, 90, never},
		{"unused", -1800, 1800, 0, 100, never},
		{"spent", -1800, 1800, 100, 0, 0},
		{"spent by others at once", 0, 3600, 0, 0, 0},
		{"overdrawn", -1800, 1800, 100, -3, 0},
		{"only just begun", -35, 3565, 90, 10, never},
		{"a hundredth is over", -36, 3564, 90, 10, 4 * time.Second},
		{"the end has passed", -3600, 0, 99, 0, never},
		{"a great quota", -1800, 1800, MaxQuota / 2, MaxQuota / 4, 900 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Pace{Began: at0(tt.began), Ends: at0(tt.end), Used: tt.used, Left: tt.left}
			got := p.RunsOut(noon)
			if tt.want == never {
				if !got.IsZero() {
					t.Errorf("runs out at %v, want never", got)
				}
				return
			}
			if got.Sub(noon) != tt.want {
				t.Errorf("runs out after %v, want %v", got.Sub(noon), tt.want)
			}
		})
	}
	if got := (Pace{Began: at0(-1), Used: 1}).RunsOut(noon); !got.IsZero() {
		t.Errorf("without an end it runs out at %v", got)
	}
}

// runsOut checks when the named limit's quota runs out, in seconds; 0 means never.
func (s *steps) runsOut(sec float64, name string, want float64) {
	s.Helper()
	got := s.l.Pace(at0(sec), s.bucketOf(name)).RunsOut(at0(sec))
	switch {
	case got.IsZero() && want == 0:
	case got.IsZero() || got.Sub(at0(want)).Abs() > time.Second:
		s.Errorf("at %v: runs out at %v, want %v", sec, got, at0(want))
	}
}

// A window that was open before we came has the pace of all of it: what others
// used in the morning is not the pace of our first second.
func TestPaceOfAWindowThatWasOpen(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.settle(1, s.take(0), numbers(1000, 400)) // 600 of 1000 by noon
	s.runsOut(1, "day", 8*3600+1.7)            // 400 more at 50 an hour
}

func TestPaceOfAWindowThatWeSawBegin(t *testing.T) {
	s := newSteps(t, fixed(100, 1000*time.Second))
	s.settle(0, s.take(0), numbersReset(100, 40, 500*time.Second))
	s.runsOut(0, "app", 333.3) // 60 in the 500 s before; 40 more take 333 s
	s.settle(502, s.take(502), numbersReset(100, 99, 999*time.Second))
	s.runsOut(502.5, "app", 0) // only just begun
	for sec := 503.0; sec < 552; sec++ {
		s.take(sec)
	}
	s.runsOut(552, "app", 602) // 50 in 50 s: the other 50 take as long
	s.runsOut(558.5, "app", 616)
}

// Of a window whose length nobody knows, what was used before we came has no
// pace; our own use has.
func TestPaceOfAWindowOfUnknownLength(t *testing.T) {
	s := newSteps(t, Limit{Name: "app", Quota: 100, Provenance: Configured})
	s.settle(0, s.take(0), numbersReset(100, 50, time.Hour))
	s.runsOut(40, "app", 40+50*40)
}

func TestPaceThatNobodyCanTell(t *testing.T) {
	for name, limit := range map[string]Limit{
		"no quota":      {Name: "app", Window: Window{Kind: Calendar, Unit: Day}},
		"sliding":       {Name: "app", Quota: 10, Provenance: Configured, Window: Window{Kind: Sliding, Period: time.Minute}},
		"phase unknown": fixed(10, time.Minute),
		"end unknown":   {Name: "app", Quota: 10, Provenance: Configured},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, limit)
			s.settle(1, s.take(0), Answer{})
			if got := s.l.Pace(at0(30), s.bucketOf("app")); got != (Pace{}) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
