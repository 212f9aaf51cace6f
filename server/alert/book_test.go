package alert

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

func only(rules ...Rule) Settings { return Settings{Rules: rules} }

func TestRemaining(t *testing.T) {
	s := play(t, only(Remaining))
	s.at(9 * time.Hour)
	s.see(left(s.now, 100))
	s.heard() // 10 % is not below 10 %
	s.see(left(s.now, 99))
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: 99 of 1,000 requests are left, 9.9%, which is less than 10%; " +
		"it resets at 00:00 UTC on 3 March (in 15h). When none is left callers are denied: put off what can wait.")
	s.see(left(s.now, 149)) // permits that were given back: not above 15 %
	s.at(10 * time.Hour)
	s.see(left(s.now, 0))
	s.heard()
	s.see(left(s.now, 150))
	s.at(10*time.Hour + 59*time.Second)
	s.heard()
	s.at(10*time.Hour + time.Minute)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: 150 of 1,000 requests are left again (after 1h 1m).")
	s.see(left(s.now, 0))
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the quota of 1,000 requests is used up; " +
		"it resets at 00:00 UTC on 3 March (in 13h 59m). Callers wait or are denied until then: stop what can wait, or ask the provider for more.")
}

// An upstream whose limit is another each time is told of a few times an hour.
func TestLimitThatNeverStays(t *testing.T) {
	s := play(t, only(LimitChanged))
	st := left(s.now, 400)
	for i := range 1000 {
		s.now = s.now.Add(time.Second)
		st.Quota, st.Provenance = int64(1000+i), quota.Told
		s.see(st)
	}
	if n := len(s.said); n != maxChanges {
		t.Errorf("told %d times", n)
	}
	for _, b := range s.book.buckets {
		if len(b.latches) > maxChanges {
			t.Errorf("%d latches", len(b.latches))
		}
	}
}

// A window that turned is whole again, though nobody calls to show it.
func TestRemainingEndsWithTheWindow(t *testing.T) {
	s := play(t, only(Remaining))
	s.at(23 * time.Hour)
	s.see(left(s.now, 10))
	s.heard("firing remaining 10%")
	s.at(24*time.Hour + 50*time.Second)
	s.heard()
	s.at(24*time.Hour + time.Minute)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the window has ended, the quota of 1,000 requests is whole again (after 1h 1m).")
	s.see(left(s.now, 1000))
	s.at(30 * time.Hour)
	s.heard()
}

func TestRemainingOfASlidingWindow(t *testing.T) {
	s := play(t, only(Remaining))
	st := left(s.now, 50)
	st.ResetAt, st.Period = time.Time{}, time.Hour
	s.see(st)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: 50 of 1,000 requests are left, 5.0%, which is less than 10%; " +
		"it comes back over 1h. When none is left callers are denied: put off what can wait.")
	s.at(time.Hour - time.Second)
	s.heard()
	s.at(time.Hour + 2*time.Minute)
	s.heard("resolved remaining 10%")
}

func TestThresholds(t *testing.T) {
	half := Percent(50)
	s := play(t, Settings{
		Rules: []Rule{Remaining}, Thresholds: []Share{half, Percent(5)},
		Limits: []LimitSettings{{API: "linkedin", Limit: "tiny", Thresholds: []Share{half}}, {API: "linkedin", Limit: "mute", Rules: []Rule{}}},
	})
	s.see(left(s.now, 400))
	s.heard("firing remaining 50%")
	s.see(left(s.now, 40))
	s.heard("firing remaining 5%")
	s.see(left(s.now, 600))
	s.at(time.Minute)
	s.heard("resolved remaining 5%")
	s.see(left(s.now, 750))
	s.at(2 * time.Minute)
	s.heard("resolved remaining 50%")

	small := left(s.now, 0)
	small.Limit, small.Quota = "small", SmallQuota-1
	s.see(small)
	short := left(s.now, 0)
	short.Limit, short.Period, short.ResetAt = "short", 10*time.Second, s.now.Add(10*time.Second)
	s.see(short)
	mute := left(s.now, 0)
	mute.Limit = "mute"
	s.see(mute)
	s.heard()
	tiny := small
	tiny.Limit, tiny.Quota = "tiny", 3
	s.see(tiny)
	s.heard("firing remaining 50%")
}

// A window of ten seconds that is used up each time, and that the operator
// chose to hear of, is one alert.
func TestShortWindowDoesNotFlap(t *testing.T) {
	s := play(t, Settings{Rules: []Rule{Remaining}, Limits: []LimitSettings{{API: "linkedin", Limit: "app-day"}}})
	for i := range 60 {
		s.at(time.Duration(i)*10*time.Second + time.Second)
		st := left(s.now, 1000)
		st.Period, st.ResetAt = 10*time.Second, s.now.Add(9*time.Second)
		s.see(st)
		s.now = s.now.Add(4 * time.Second)
		st.Remaining = 0
		s.see(st)
	}
	s.heard("firing remaining 10%")
}

func TestCooldown(t *testing.T) {
	s := play(t, only(Cooldown))
	st := left(s.now, 500)
	st.State, st.CoolUntil, st.CoolReason = quota.Cooling, s.now.Add(30*time.Second), "Too many requests."
	s.see(st)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the upstream said to wait (Too many requests). " +
		"Nothing is sent until 00:00:30 UTC (in 30s). The broker holds every caller back by itself; " +
		"if this comes often, somebody else may use the same credentials, or the limit is lower than it is thought to be.")
	s.at(30 * time.Second)
	st.State = quota.ProbingState
	s.see(st)
	s.at(40 * time.Second)
	st.State, st.CoolUntil = quota.Cooling, s.now.Add(time.Minute) // the probe was refused
	s.see(st)
	s.at(2 * time.Minute)
	st.State, st.CoolUntil = quota.Ramping, time.Time{}
	s.see(st)
	st.State = quota.Open
	s.see(st)
	s.at(3*time.Minute - time.Second)
	s.heard()
	s.at(3 * time.Minute)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the cool-down is over, calls go out again (after 3m).")
}

func TestCooldownOfWhatNobodyCallsAnyMore(t *testing.T) {
	s := play(t, only(Cooldown))
	st := left(s.now, 500)
	st.State, st.CoolUntil = quota.Cooling, s.now.Add(time.Minute)
	s.see(st)
	s.heard("firing cooldown")
	s.at(11*time.Minute + 50*time.Second)
	s.heard()
	s.at(12 * time.Minute)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the cool-down has ended, and nobody has called since to see whether the upstream answers again (after 12m).")
}

func TestShortCooldownIsNoAlert(t *testing.T) {
	s := play(t, only(Cooldown))
	st := left(s.now, 500)
	st.State, st.CoolUntil = quota.Cooling, s.now.Add(5*time.Second)
	s.see(st)
	s.at(5 * time.Second)
	st.State, st.CoolUntil = quota.Open, time.Time{}
	s.see(st)
	s.at(time.Hour)
	s.heard()
	// One after the other, without ever being open, is one.
	st.State = quota.Cooling
	for i := range 4 {
		s.at(time.Hour + time.Duration(i)*4*time.Second)
		st.CoolUntil = s.now.Add(4 * time.Second)
		s.see(st)
	}
	s.heard("firing cooldown")
}

func TestLimitChanged(t *testing.T) {
	s := play(t, only(LimitChanged))
	s.see(left(s.now, 900))
	st := left(s.now, 400)
	st.Quota, st.Provenance = 500, quota.Told
	s.see(st)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the upstream now tells 500 requests a window, before it was 1,000. " +
		"The broker goes by that; correct the configuration if it has the old number, and check the plans that count on it.")
	s.see(st)
	unknown := st
	unknown.Quota = quota.Unknown // a new ledger has not heard of it yet
	s.see(unknown)
	s.see(st)
	s.heard()
	// An upstream that tells one and the other by turns.
	for i := range 30 {
		s.at(time.Duration(i+1) * time.Minute)
		st.Quota = 500 + int64(i%2)*500
		s.see(st)
	}
	s.heard("firing limit_changed")
	s.at(3 * time.Hour)
	s.heard("resolved limit_changed", "resolved limit_changed")
	st.Quota, st.Provenance = 800, quota.Configured
	s.see(st)
	st.Quota, st.Provenance = 700, quota.Learned
	s.see(st)
	s.heard() // the upstream did not say so
	st.Confidence.Confirmed = 1
	s.see(st)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the upstream now refuses after 700 requests a window, before it was 800. " +
		"The broker goes by that; correct the configuration if it has the old number, and check the plans that count on it.")
	st.Quota, st.Confidence.Confirmed = 720, 0 // more passed; where it ends is not known yet
	s.see(st)
	s.heard()
	st.Quota, st.Confidence.Confirmed = 900, 1
	s.see(st)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: the upstream now refuses after 900 requests a window, before it was 700. " +
		"The broker goes by that; correct the configuration if it has the old number, and check the plans that count on it.")
}

func TestOthers(t *testing.T) {
	s := play(t, only(Others))
	st := left(s.now, 800)
	st.Others = 51
	s.see(st)
	st.Others = 25
	s.see(st) // an upper bound around a turn, for a moment
	s.at(2 * time.Minute)
	s.heard()
	s.see(st)
	st.Others = 62
	s.see(st)
	s.at(3*time.Minute - time.Second)
	s.heard()
	s.at(3 * time.Minute)
	s.says("linkedin, app app-1, limit app-day of GET /v2/me: 62 of the 1,000 requests in this window were spent by somebody " +
		"who does not ask the broker (6.2%). Find who uses these credentials directly, and let them ask the broker or have credentials of their own.")
	st.Others = 26
	s.see(st)
	s.at(23 * time.Hour)
	s.heard()
	s.at(25 * time.Hour)
	s.heard("resolved others")
}

func TestUsersAreOneAlert(t *testing.T) {
	s := play(t, only(Remaining))
	low := func(user int, remaining int64) quota.Status {
		st := left(s.now, remaining)
		st.Limit, st.Key = "member-day", userKey(fmt.Sprint("member-", user))
		return st
	}
	s.see(low(1, 50))
	s.at(20 * time.Second)
	s.see(low(2, 50))
	s.heard()
	s.at(30 * time.Second)
	if len(s.said) != 1 || len(s.said[0].Examples) != 2 {
		t.Fatalf("got %+v", s.said)
	}
	if st := s.said[0].Status; st.Key.User != "" || st.Key.App != "app-1" {
		t.Errorf("the notice is of %v", st.Key)
	}
	s.says("linkedin, app app-1, limit member-day: 2 users (such as user #" + hashes(1, 2) + ") with less than 10% of the quota left. " +
		"Calls for them are denied when none is left; the others go on.")
	for user := range 10_000 {
		s.see(low(user, 50))
	}
	s.at(time.Minute)
	s.heard("grown remaining 10% 20", "grown remaining 10% 200", "grown remaining 10% 2000")
	s.see(low(1, 1000))
	s.at(5 * time.Minute)
	s.heard()
	s.now = day.Add(24 * time.Hour)
	s.at(24*time.Hour + 2*time.Minute)
	s.says("linkedin, app app-1, limit member-day: no user is concerned any more: their quotas have room again (after 1d).")
}

// hashes is how two members stand in a notice by default.
func hashes(a, b int) string {
	name := func(n int) string { return strings.TrimPrefix(HashUsers.show(fmt.Sprint("member-", n)), "user #") }
	x, y := name(a), name(b)
	if x > y {
		x, y = y, x
	}
	return x + "; user #" + y
}

func TestUserDisplay(t *testing.T) {
	for display, want := range map[UserDisplay]string{
		ShowUsers: "1 user (such as user ann@example.com) with",
		HashUsers: "1 user (such as user #71d4f55f) with",
		HideUsers: "1 user with",
	} {
		s := play(t, Settings{Rules: []Rule{Remaining}, Users: display})
		st := left(s.now, 0)
		st.Key = userKey("ann@example.com")
		s.see(st)
		s.at(time.Minute)
		if got := summaries(s.said); !strings.Contains(got, want) {
			t.Errorf("%v: got %q, want %q in it", display, got, want)
		}
		for _, n := range s.said {
			if strings.Contains(fmt.Sprintf("%+v", n), "ann@") != (display == ShowUsers) {
				t.Errorf("%v: %+v", display, n)
			}
		}
	}
}

func TestFullBookForgetsWhatIsQuiet(t *testing.T) {
	s := play(t, only(Remaining))
	s.book.most = 100
	for user := range 150 {
		st := left(s.now, 1000)
		st.Key = userKey(fmt.Sprint(user))
		s.see(st)
	}
	if got := s.book.Missed(); got != 50 {
		t.Errorf("%d were missed, want 50", got)
	}
	s.at(10 * time.Second)
	if n := len(s.book.buckets); n != 0 {
		t.Errorf("%d quiet buckets are kept in a full book", n)
	}
	s.see(left(s.now, 0))
	s.heard("firing remaining 10%")
	s.at(40 * 24 * time.Hour)
	s.heard("resolved remaining 10%")
	if n := len(s.book.buckets) + len(s.book.alerts); n != 0 {
		t.Errorf("%d are kept for ever", n)
	}
}
