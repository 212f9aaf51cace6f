package strategy

import (
	"fmt"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// The windows of the central limiter are those of its own clock.
func TestCentral(t *testing.T) {
	d := newDesk(t, "central", limit(3, simulate.Shape{Fixed: 10 * time.Second, Phase: 5 * time.Second}))
	for i := range 5 {
		d.want(float64(i), fmt.Sprint("c", i), i%2, "")
	}
	d.answer(6, "c0", 200) // it listens to no answer
	d.until(30)
	d.wantSent("c0@0", "c1@1", "c2@2", "c3@7", "c4@7")
}

func TestCentralCalendar(t *testing.T) {
	d := newDesk(t, "central", limit(1, simulate.Shape{Calendar: "hour"}))
	d.want(0, "a", 0, "")
	d.want(1, "b", 0, "")
	d.until(4000)
	d.wantSent("a@0", "b@2797") // t0 is 22:13:23
}

// A call goes when all its limits have room, and is first come, first served at
// the one that has none.
func TestCentralCountsEachLimit(t *testing.T) {
	d := newDesk(t, "central",
		limit(4, simulate.Shape{Fixed: 20 * time.Second}),
		limit(1, simulate.Shape{Fixed: 10 * time.Second}, "user"))
	for i, user := range []string{"u", "u", "v", "w", "u", "x", "y"} {
		d.want(float64(i)/10, fmt.Sprint(user, i), 0, user)
	}
	d.until(8)
	d.wantSent("u0@0", "v2@0.2", "w3@0.3", "x5@0.5")
	d.until(18)
	d.wantSent("y6@17", "u1@17")
	d.until(28)
	d.wantSent("u4@27")
}

func TestCentralComesAgainAfterA429(t *testing.T) {
	d := newDesk(t, "central", limit(1, simulate.Shape{Fixed: 10 * time.Second}))
	d.want(0, "a", 0, "")
	d.answer(0.5, "a", 429, "Retry-After: 9")
	d.until(9)
	d.wantSent("a@0")
	d.until(11)
	if len(d.sent) != 1 {
		t.Errorf("sent %q", d.sent)
	}
}

// Each instance has a bucket of half of the quota, and nothing of the other's.
func TestSplit(t *testing.T) {
	d := newDesk(t, "split", limit(4, simulate.Shape{Fixed: 10 * time.Second}))
	for i := range 4 {
		d.want(0, fmt.Sprint("a", i), 0, "")
	}
	d.want(1, "b", 1, "")
	d.until(30)
	d.wantSent("a0@0", "a1@0", "b@1", "a2@5", "a3@10")
}

// An instance whose share is less than a call still sends one now and then.
func TestSplitOfLittle(t *testing.T) {
	d := newDesk(t, "split", limit(1, simulate.Shape{Fixed: 10 * time.Second}))
	d.want(0, "a", 0, "")
	d.want(0, "b", 0, "")
	d.until(60)
	d.wantSent("a@0", "b@20")
}

func TestTokensOfARefill(t *testing.T) {
	d := newDesk(t, "central", limit(2, simulate.Shape{Refill: time.Second, Burst: 3}))
	for i := range 5 {
		d.want(0, fmt.Sprint("a", i), 0, "")
	}
	d.until(10)
	d.wantSent("a0@0", "a1@0", "a2@0", "a3@0.5", "a4@1")
}

func TestSemaphore(t *testing.T) {
	d := newDesk(t, "central", limit(2, simulate.Shape{Concurrent: true}))
	for i := range 5 {
		d.want(0, fmt.Sprint("a", i), 0, "")
	}
	d.answer(1, "a0", 200)
	d.wantSent("a0@0", "a1@0", "a2@1")
	d.Dropped(d.now, d.jobs["a1"])
	d.wantSent("a3@1")
	d.until(100) // nothing is heard of the two any more
	d.wantSent("a4@61")
}

func TestPeriods(t *testing.T) {
	for _, tt := range []struct {
		shape simulate.Shape
		want  time.Duration
		next  string
	}{
		{simulate.Shape{Calendar: "hour"}, time.Hour, "2023-11-14T23:00:00Z"},
		{simulate.Shape{Calendar: "day"}, 24 * time.Hour, "2023-11-15T00:00:00Z"},
		{simulate.Shape{Calendar: "day", Zone: "America/New_York"}, 24 * time.Hour, "2023-11-15T00:00:00-05:00"},
		{simulate.Shape{Calendar: "week"}, 168 * time.Hour, "2023-11-20T00:00:00Z"},
		{simulate.Shape{Calendar: "month"}, 720 * time.Hour, "2023-12-01T00:00:00Z"},
	} {
		if got := period(tt.shape); got != tt.want {
			t.Errorf("%+v lasts %v, want %v", tt.shape, got, tt.want)
		}
		if got := nextDate(t0, tt.shape).Format(time.RFC3339); got != tt.next {
			t.Errorf("%+v: the next begins at %v, want %v", tt.shape, got, tt.next)
		}
	}
}
