package simulate

import (
	"slices"
	"testing"
	"time"
)

// calls makes n calls of a user at an instant.
func calls(u *Upstream, now time.Time, user string, n int) {
	for range n {
		u.Serve(now, Request{Call: Call{App: "a", User: user}})
	}
}

func TestScore(t *testing.T) {
	u := newUpstream(t, Up,
		Limit{Name: "app", Quota: 10, Window: Shape{Fixed: 10 * time.Second, Phase: 1_000_000 * time.Second}},
		Limit{Name: "member", Per: []string{"user"}, Quota: 4, Window: Shape{Fixed: 10 * time.Second, From: FirstUse}})
	calls(u, at(t, "0s"), "u", 3)   // in a window of the app that began before the run
	calls(u, at(t, "7s"), "v", 4)   // in its first whole window
	calls(u, at(t, "8s"), "w", 3)   // likewise
	calls(u, at(t, "9s"), "x", 3)   // the last units of it
	calls(u, at(t, "10s"), "x", 2)  // refused by the app alone
	calls(u, at(t, "17s"), "x", 5)  // one counted, then x's own quota is spent
	calls(u, at(t, "38s"), "v", 10) // after a whole window without a call; six refused
	calls(u, at(t, "47s"), "u", 1)  // in windows that end after the run

	// x was refused at 17 s and is not served again.
	want := Score{Served: 3 + 10 + 1 + 4 + 1, Refused: 2 + 4 + 6, LongestLockout: 33 * time.Second}
	if got := u.Score(at(t, "50s")); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	uses := []Use{
		// Whole: [7,17) with 10, [17,27) with 1, [27,37) with 0, [37,47) with 4.
		{Limit: "app", Quota: 10, Windows: 4, Mean: 0.375, Lowest: 0, Highest: 1},
		// u [0,10) 3, v [7,17) 4, w [8,18) 3, x [9,19) 4, v [38,48) 4.
		{Limit: "member", Quota: 4, Windows: 5, Mean: 0.9, Lowest: 0.75, Highest: 1},
	}
	if got := u.Uses(t0, at(t, "50s")); !slices.Equal(got, uses) {
		t.Errorf("got  %+v\nwant %+v", got, uses)
	}
	uses = []Use{
		// [17,27) and [27,37).
		{Limit: "app", Quota: 10, Windows: 2, Mean: 0.05, Lowest: 0, Highest: 0.1},
		// v's and w's began before.
		{Limit: "member", Quota: 4, Windows: 1, Mean: 1, Lowest: 1, Highest: 1},
	}
	if got := u.Uses(at(t, "8500ms"), at(t, "40s")); !slices.Equal(got, uses) {
		t.Errorf("between: got  %+v\nwant %+v", got, uses)
	}
}

func TestScoreOfNothing(t *testing.T) {
	u := newUpstream(t, Up, Limit{Name: "app", Quota: 10, Window: Shape{Fixed: time.Second}})
	if got := u.Score(t0); got != (Score{}) {
		t.Errorf("got %+v", got)
	}
	if got, want := u.Uses(t0, t0.Add(time.Minute)), []Use{{Limit: "app", Quota: 10}}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLongestLockoutEndsWhenServed(t *testing.T) {
	u := newUpstream(t, Up, Limit{Name: "app", Quota: 1, Window: Shape{Fixed: 10 * time.Second, Phase: 1_000_003 * time.Second}})
	calls(u, at(t, "0s"), "u", 2)
	calls(u, at(t, "4s"), "v", 1)
	calls(u, at(t, "25s"), "v", 1)
	calls(u, at(t, "26s"), "v", 1)
	if got, want := u.Score(at(t, "28s")).LongestLockout, 25*time.Second; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWindowsAreTheBooks(t *testing.T) {
	u := newUpstream(t, Up,
		Limit{Name: "app", Quota: 2, Window: Shape{Fixed: 10 * time.Second}},
		Limit{Name: "member", Per: []string{"user"}, Quota: 1, Window: Shape{Fixed: 10 * time.Second}})
	calls(u, at(t, "0s"), "v", 2)
	calls(u, at(t, "1s"), "u", 1)
	calls(u, at(t, "7s"), "u", 1)
	began, next := t0.Add(-3*time.Second), t0.Add(7*time.Second)
	last := next.Add(10 * time.Second)
	want := []Window{
		{Limit: "app", Key: Call{App: "a"}, Began: began, Ends: next, Quota: 2, Counted: 2, Wanted: 2},
		{Limit: "member", Key: Call{App: "a", User: "u"}, Began: began, Ends: next, Quota: 1, Counted: 1, Wanted: 1},
		{Limit: "member", Key: Call{App: "a", User: "v"}, Began: began, Ends: next, Quota: 1, Counted: 1, Wanted: 1, Refused: 1, Unaware: 1},
		{Limit: "app", Key: Call{App: "a"}, Began: next, Ends: last, Quota: 2, Counted: 1, Wanted: 1},
		{Limit: "member", Key: Call{App: "a", User: "u"}, Began: next, Ends: last, Quota: 1, Counted: 1, Wanted: 1},
	}
	got := u.Windows()
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		want[i].Began, want[i].Ends = want[i].Began.UTC(), want[i].Ends.UTC()
		if got[i] != want[i] {
			t.Errorf("window %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

// TestMonotonicClockIsNotRead checks that windows stand where the wall clock has
// them: the two clocks of an instant drift apart, by enough to put a window's end
// a moment after the same instant by the other clock.
func TestMonotonicClockIsNotRead(t *testing.T) {
	u := newUpstream(t, Up, Limit{Name: "app", Quota: 1, Window: Shape{Fixed: time.Second}})
	calls(u, time.Now(), "u", 1)
	w := u.Windows()[0]
	if w.Began != w.Began.Round(0) || w.Ends != w.Ends.Round(0) || w.Began.UnixNano()%int64(time.Second) != 0 {
		t.Errorf("the window is from %v to %v", w.Began, w.Ends)
	}
}
