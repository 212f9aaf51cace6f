package alert

import (
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// spend uses a day's quota of 1,000 at so many an hour from one instant to
// another, seen every minute.
func (s *script) spend(from, to time.Duration, used, hourly float64) (after float64) {
	for at := from; at <= to; at += time.Minute {
		s.at(at)
		after = min(1000, used+(at-from).Hours()*hourly)
		s.see(left(s.now, 1000-int64(after)))
	}
	return after
}

// The quota would be spent after 1000/70 hours: at 14:17.
func TestForecast(t *testing.T) {
	s := play(t, only(Forecast))
	used := s.spend(0, 102*time.Minute, 0, 70)
	if len(s.said) != 1 {
		t.Fatalf("got %q", summaries(s.said))
	}
	n := s.said[0]
	if end := n.RunsOutAt.Sub(day); end < 14*time.Hour || end > 14*time.Hour+45*time.Minute {
		t.Errorf("it ends at %v, want about 14:17", end)
	}
	// A tenth of the quota is used at 01:26, and the forecast then holds for
	// fifteen minutes.
	if at := n.At.Sub(day); at < 100*time.Minute || at > 102*time.Minute {
		t.Errorf("it was said at %v", at)
	}
	s.said = nil
	if used = s.spend(102*time.Minute, 14*time.Hour+20*time.Minute, used, 70); used != 1000 {
		t.Fatalf("used %v", used)
	}
	// It has come true, and ends with the window.
	s.at(23 * time.Hour)
	s.heard()
	s.at(24*time.Hour + 20*time.Minute)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the window has ended, the quota is whole again (after 22h 34m).")
}

// The pace of the last hours counts more than that of the first, and what is
// seen often counts no more than what is seen seldom.
func TestPace(t *testing.T) {
	at := func(h float64) time.Time { return day.Add(time.Duration(h * float64(time.Hour))) }
	for name, tt := range map[string]struct {
		seen      []float64 // hours and used, by turns
		low, high float64   // units an hour
	}{
		"even":              {[]float64{1, 10, 2, 20, 3, 30, 4, 40}, 9.9, 10.1},
		"even, at odds":     {[]float64{0.1, 1, 0.2, 2, 3, 30, 4, 40}, 9.9, 10.1},
		"late":              {[]float64{10, 1000}, 99, 101},
		"faster and faster": {[]float64{2, 20, 4, 120, 6, 420}, 100, 149},
		"slower and slower": {[]float64{2, 300, 4, 400, 6, 420}, 11, 50},
		"given back":        {[]float64{1, 10, 2, 5, 3, 0}, 0, 0.1},
	} {
		p := newPace(day, day, 0, 24*time.Hour)
		for i := 0; i < len(tt.seen); i += 2 {
			p.look(at(tt.seen[i]), int64(tt.seen[i+1]))
		}
		if got := p.perSecond() * 3600; got < tt.low || got > tt.high {
			t.Errorf("%s: %.1f an hour, want %v to %v", name, got, tt.low, tt.high)
		}
	}
	p := newPace(day, day, 0, 24*time.Hour)
	if p.perSecond() != 0 || p.lasts(1) < 365*24*time.Hour {
		t.Errorf("a pace of nothing: %v, lasts %v", p.perSecond(), p.lasts(1))
	}
}

func TestForecastWords(t *testing.T) {
	now := day.Add(10*time.Hour + 2*time.Minute)
	n := Notice{Rule: Forecast, Stage: Firing, At: now, Status: left(day, 300), RunsOutAt: day.Add(14*time.Hour + 20*time.Minute)}
	want := "linkedin, app app-1, limit app-day of GET /v2/me: at this pace the quota ends at 14:20 UTC (in 4h 18m), " +
		"9h 40m before it resets at 00:00 UTC on 3 March: 300 of 1,000 requests are left. " +
		"Slow down or put off what can wait, or ask the provider for more."
	if got := aboutBucket(&n, false); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// A pace that just lasts is no alert, nor one that wavers about that.
func TestForecastDoesNotFlap(t *testing.T) {
	s := play(t, only(Forecast))
	used, at := 0.0, time.Duration(0)
	for i := range 46 {
		hourly := 36.0
		if i%2 == 1 {
			hourly = 46.0
		}
		used = s.spend(at, at+30*time.Minute, used, hourly)
		at += 30 * time.Minute
	}
	s.heard()
}

func TestForecastResolvesWhenTheFleetSlowsDown(t *testing.T) {
	s := play(t, only(Forecast))
	used := s.spend(0, 4*time.Hour, 0, 100)
	s.heard("firing forecast")
	s.spend(4*time.Hour, 5*time.Hour, used, 0)
	s.heard()
	s.spend(5*time.Hour, 12*time.Hour, used, 0)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: at the present pace the quota lasts until it resets (after 4h 53m).")
}

// Nobody calls any more: time alone ends the alert.
func TestForecastResolvesInSilence(t *testing.T) {
	s := play(t, only(Forecast))
	s.spend(0, 4*time.Hour, 0, 100)
	s.heard("firing forecast")
	s.at(20 * time.Hour)
	s.heard("resolved forecast")
}

// A broker that starts in the middle of the day knows what was used, and since
// when.
func TestForecastAfterARestart(t *testing.T) {
	s := play(t, only(Forecast))
	s.now = day.Add(8 * time.Hour)
	s.see(left(s.now, 300))
	s.at(8*time.Hour + 14*time.Minute + 50*time.Second)
	s.heard()
	s.at(8*time.Hour + 15*time.Minute)
	s.heard("firing forecast")
}

func TestForecastNeedsEnough(t *testing.T) {
	for name, st := range map[string]quota.Status{
		"a small quota": func() quota.Status {
			st := left(day.Add(8*time.Hour), 1)
			st.Quota, st.Used = 9, 8
			return st
		}(),
		"no reset": func() quota.Status {
			st := left(day.Add(8*time.Hour), 100)
			st.ResetAt = time.Time{}
			return st
		}(),
		"a user": func() quota.Status {
			st := left(day.Add(8*time.Hour), 100)
			st.Key = userKey("u")
			return st
		}(),
		"little used": left(day.Add(8*time.Hour), 901),
	} {
		s := play(t, only(Forecast))
		s.now = day.Add(8 * time.Hour)
		s.see(st)
		s.at(12 * time.Hour)
		if len(s.said) != 0 {
			t.Errorf("%s: %q", name, summaries(s.said))
		}
	}
	s := play(t, only(Forecast))
	s.spend(0, 20*time.Minute, 0, 1000) // a third of a day's quota in the first minutes
	s.heard()
}
