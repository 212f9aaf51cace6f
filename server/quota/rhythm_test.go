package quota

import (
	"testing"
	"time"
)

// heardAnswer is one answer: when its call was sent, when it came, what remained.
type heardAnswer struct {
	sent, received float64
	remaining      int64
}

func sec(s float64) instant { return at(at0(s)) }

func spanOf(lo, hi float64) span { return span{sec(lo), sec(hi)} }

// round is a span in milliseconds since the start.
func (s span) round() [2]int64 {
	if !s.known() {
		return [2]int64{}
	}
	return [2]int64{s.lo.time().Sub(epoch).Milliseconds(), s.hi.time().Sub(epoch).Milliseconds()}
}

func TestRhythmLearnsFromRises(t *testing.T) {
	for name, tc := range map[string]struct {
		heard []heardAnswer
		want  [2]int64 // in ms; zeros: nothing
	}{
		"nothing":                         {nil, [2]int64{}},
		"a rise since two lows":           {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.5, 0.6, 9}}, [2]int64{100, 600}},
		"one low may be stale":            {[]heardAnswer{{0.2, 0.3, 2}, {0.5, 0.6, 9}}, [2]int64{}},
		"the latest but one":              {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.25, 0.35, 1}, {0.5, 0.6, 9}}, [2]int64{200, 600}},
		"half is not enough":              {[]heardAnswer{{0.1, 0.2, 4}, {0.2, 0.3, 4}, {0.5, 0.6, 9}}, [2]int64{}},
		"at the same time":                {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.15, 0.6, 9}}, [2]int64{}},
		"a period ago":                    {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {1.4, 1.5, 9}}, [2]int64{}},
		"an interval of a period":         {[]heardAnswer{{0.1, 0.8, 3}, {0.2, 0.9, 2}, {1.1, 1.2, 9}}, [2]int64{}},
		"narrowed by the next":            {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.5, 0.6, 9}, {1.3, 1.4, 1}, {1.3, 1.4, 1}, {1.5, 1.55, 9}}, [2]int64{1300, 1550}},
		"several periods later":           {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.5, 0.6, 9}, {50.3, 50.4, 1}, {50.3, 50.4, 1}, {50.5, 50.8, 9}}, [2]int64{50300, 50610}},
		"contradicted":                    {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.5, 0.6, 9}, {1.7, 1.75, 1}, {1.7, 1.75, 1}, {1.8, 1.9, 9}}, [2]int64{}},
		"and learned again only later":    {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.5, 0.6, 9}, {1.7, 1.75, 1}, {1.7, 1.75, 1}, {1.8, 1.9, 9}, {4.7, 4.75, 1}, {4.7, 4.75, 1}, {4.8, 4.9, 9}}, [2]int64{}},
		"after four seconds it is":        {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.5, 0.6, 9}, {1.7, 1.75, 1}, {1.7, 1.75, 1}, {1.8, 1.9, 9}, {6.7, 6.75, 1}, {6.7, 6.75, 1}, {6.8, 6.9, 9}}, [2]int64{6700, 6900}},
		"clocks have drifted, all's well": {[]heardAnswer{{0.1, 0.2, 3}, {0.2, 0.3, 2}, {0.5, 0.6, 9}, {500.65, 500.7, 1}, {500.65, 500.7, 1}, {500.7, 500.75, 9}}, [2]int64{500650, 500700}},
	} {
		t.Run(name, func(t *testing.T) {
			var r rhythm
			var now instant
			for _, a := range tc.heard {
				now = sec(a.received)
				r.hear(now, sec(a.sent), now, a.remaining, 10, time.Second)
			}
			if got := r.turn.round(); got != tc.want {
				t.Errorf("a turn in %v ms, want %v", got, tc.want)
			}
		})
	}
}

// What is freed when, once a turn is known to lie between 0.4 s and 0.6 s.
func TestRhythmFrees(t *testing.T) {
	r := rhythm{turn: spanOf(0.4, 0.6), asOf: sec(0.6)}
	for _, tc := range []struct{ settled, frees float64 }{
		{0.3, 0.6}, {0.39, 0.6}, {0.5, 1.5}, {0.6, 1.6}, {0.7, 1.6}, {1.3, 1.6}, {1.5, 2.5}, {5.3, 5.6},
	} {
		got := r.frees(sec(tc.settled), time.Second).time().Sub(epoch).Seconds()
		if got < tc.frees || got > tc.frees+0.002 {
			t.Errorf("settled at %v: freed at %v, want %v and what clocks drift", tc.settled, got, tc.frees)
		}
	}
}

// A rhythm that is not narrow frees nothing early; nor does one that time has
// widened.
func TestRhythmIsTooWide(t *testing.T) {
	for name, r := range map[string]*rhythm{
		"none":                          nil,
		"nothing heard":                 {},
		"half a period":                 {turn: spanOf(0.1, 0.6), asOf: sec(0.6)},
		"a twentieth, but 20 min. past": {turn: spanOf(-1200.45, -1200.4), asOf: sec(-1200.4)},
	} {
		if got := r.frees(sec(0.7), time.Second); got != sec(1.7) {
			t.Errorf("%s: frees at %v", name, got.time().Sub(epoch))
		}
	}
}

// A charge is freed when it was said: neither sooner nor later, however far the
// clocks drift. Who waits for it would else not be woken.
func TestRhythmKeepsItsWord(t *testing.T) {
	r := rhythm{turn: spanOf(0.4, 0.45), asOf: sec(0.45)}
	for settled := sec(0.5); settled < sec(300); settled += instant(917 * time.Millisecond) {
		due := r.frees(settled, time.Second)
		var g slidingLog
		g.add(logCharge{settled, settled, 1}, time.Second)
		if g.expire(due-1, &r, time.Second); g.held != 1 {
			t.Fatalf("settled at %v: freed before it is due, at %v", settled.time().Sub(epoch), due.time().Sub(epoch))
		}
		if g.expire(due, &r, time.Second); g.held != 0 {
			t.Fatalf("settled at %v: still held when it is due, at %v", settled.time().Sub(epoch), due.time().Sub(epoch))
		}
	}
}

// The pause grows until a rhythm has held for an hour.
func TestRhythmPauses(t *testing.T) {
	var r rhythm
	now := sec(0)
	for _, want := range []time.Duration{4 * time.Second, 16 * time.Second, 64 * time.Second, 256 * time.Second} {
		r.learn(now, span{now - 1, now}, now, time.Second)
		r.forget(now, time.Second)
		if r.pause != want || r.resumes != now.add(want) || r.turn.known() {
			t.Fatalf("pause %v, want %v", r.pause, want)
		}
		r.forget(now, time.Second) // there is nothing to forget
		now = r.resumes
	}
	r.learn(now, span{now - 1, now}, now, time.Second)
	if r.forget(now.add(2*time.Hour), time.Second); r.pause != 4*time.Second {
		t.Errorf("pause %v after it held for two hours", r.pause)
	}
}

// The rival: a window that starts at the first call after the last.
func TestFirstUseIsRefuted(t *testing.T) {
	for name, tc := range map[string]struct {
		first, granted float64
		turn           span
		want           bool
	}{
		"a turn too soon":            {1, 1.2, spanOf(1.5, 1.9), true},
		"it may be a period later":   {1, 1.2, spanOf(1.5, 2), false},
		"of an earlier call":         {1, 0.9, spanOf(1.5, 1.9), false},
		"nobody knows of what start": {0, 1.2, spanOf(1.5, 1.9), false},
	} {
		var f firstUse
		if tc.first > 0 {
			f.granted(sec(tc.first), 0, time.Second)
		}
		if f.refute(tc.turn, sec(tc.granted), time.Second); f.refuted != tc.want {
			t.Errorf("%s: refuted %v", name, f.refuted)
		}
	}
}

// When a call surely starts a window of its own, if windows start at first use.
func TestFirstUseStarts(t *testing.T) {
	for name, tc := range map[string]struct {
		answered, quiet, granted float64
		want                     float64
	}{
		"everything was settled a period ago":          {1.2, 1.3, 2.3, 2.3},
		"the first may have begun until its answer":    {1.2, 1.3, 2.1, 1},
		"the first is over, and the rest was in it":    {1.2, 1.3, 2.2, 2.2},
		"a later one may have begun the next":          {1.2, 2.05, 2.2, 1},
		"nobody answered, so it may have begun lately": {0, 1.3, 2.2, 1},
	} {
		f := firstUse{first: sec(1)}
		if tc.answered > 0 {
			f.heard(sec(tc.answered), sec(1))
		}
		if f.granted(sec(tc.granted), sec(tc.quiet), time.Second); f.first != sec(tc.want) {
			t.Errorf("%s: %v, want %v", name, f.first.time().Sub(epoch), tc.want)
		}
	}
}

// Until when a window lasts at most that counted a call, if windows start at first use.
func TestFirstUseEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		answered, heard float64
		refuted         bool
		want            float64
	}{
		"with the first":                        {1.2, 1.2, false, 2.2},
		"the window cannot have ended":          {1.2, 1.9, false, 2.2},
		"the next may have begun":               {1.2, 2, false, 0},
		"nobody answered, so it may begin late": {0, 1.9, false, 0},
		"windows do not start at first use":     {1.2, 1.9, true, 0},
	} {
		f := firstUse{first: sec(1), refuted: tc.refuted}
		if tc.answered > 0 {
			f.heard(sec(tc.answered), sec(1))
		}
		want := instant(0)
		if tc.want > 0 {
			want = sec(tc.want)
		}
		if got := f.ends(sec(tc.heard), time.Second); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
