package strategy

import (
	"math"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// centralCounter is what one limiter for all has for a limit: a window that is
// aligned to its own clock for all that have a length, for there is no other in
// these tools, and a token bucket or a semaphore for what is one.
func centralCounter(l simulate.Limit) counter {
	switch w := l.Window; {
	case w.Refill > 0:
		return newTokens(l, 1)
	case w.Concurrent:
		return &semaphore{slots: l.Quota}
	}
	return &window{shape: l.Window, quota: l.Quota}
}

// shareCounter is what one of n instances has.
func shareCounter(l simulate.Limit, n int64) counter {
	if l.Window.Concurrent {
		return &semaphore{slots: max(1, l.Quota/n)}
	}
	return newTokens(l, n)
}

// window is a fixed window by the limiter's own clock.
type window struct {
	shape simulate.Shape
	quota int64

	ends time.Time
	used int64
}

func (w *window) opens(now time.Time, cost int64) time.Time {
	if w.turn(now); w.used+cost <= w.quota {
		return now
	}
	return w.ends
}

func (w *window) take(now time.Time, cost int64) {
	w.turn(now)
	w.used += cost
}

func (w *window) done(int64) {}

// turn begins a window when the last one has ended.
func (w *window) turn(now time.Time) {
	if now.Before(w.ends) {
		return
	}
	w.used = 0
	if w.shape.Calendar != "" {
		w.ends = nextDate(now, w.shape)
		return
	}
	length := period(w.shape)
	w.ends = now.Add(length - time.Duration(now.UnixNano()%int64(length)))
}

// nextDate is when the hour, day, week or month after the present one begins.
func nextDate(now time.Time, s simulate.Shape) time.Time {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		zone = time.UTC
	}
	t := now.In(zone)
	y, m, d := t.Date()
	switch s.Calendar {
	case "hour":
		return time.Date(y, m, d, t.Hour()+1, 0, 0, 0, zone)
	case "week":
		return time.Date(y, m, d+7-(int(t.Weekday())+6)%7, 0, 0, 0, 0, zone)
	case "month":
		return time.Date(y, m+1, 1, 0, 0, 0, 0, zone)
	}
	return time.Date(y, m, d+1, 0, 0, 0, 0, zone)
}

// period is how long the quota lasts; a month has 30 days.
func period(s simulate.Shape) time.Duration {
	const day = 24 * time.Hour
	switch s.Calendar {
	case "hour":
		return time.Hour
	case "day":
		return day
	case "week":
		return 7 * day
	case "month":
		return 30 * day
	}
	return s.Fixed + s.Sliding + s.Counter + s.Refill // one of them is given
}

// tokens is a token bucket.
type tokens struct {
	// perSecond come back, up to most.
	perSecond, most float64
	have            float64
	at              time.Time
}

// newTokens is a bucket of one n-th of a limit, full: as large as the quota, or as
// the upstream's own burst. It holds one call at least.
func newTokens(l simulate.Limit, n int64) *tokens {
	share := float64(l.Quota) / float64(n)
	most := share
	if l.Window.Refill > 0 && l.Window.Burst > 0 {
		most = float64(l.Window.Burst) / float64(n)
	}
	most = max(1, most)
	return &tokens{perSecond: share / period(l.Window).Seconds(), most: most, have: most}
}

func (t *tokens) opens(now time.Time, cost int64) time.Time {
	t.fill(now)
	// What is larger than the bucket goes when that is full.
	missing := min(float64(cost), t.most) - t.have
	if missing <= tokenGrain {
		return now
	}
	return now.Add(time.Duration(math.Ceil(missing / t.perSecond * float64(time.Second))))
}

func (t *tokens) take(now time.Time, cost int64) {
	t.fill(now)
	t.have -= float64(cost)
}

func (t *tokens) done(int64) {}

// tokenGrain is what a sum of fractions may be off by.
const tokenGrain = 1e-6

func (t *tokens) fill(now time.Time) {
	if !t.at.IsZero() {
		t.have = min(t.most, t.have+now.Sub(t.at).Seconds()*t.perSecond)
	}
	t.at = now
}

// slotLease is when a slot is free again whose call was never answered.
const slotLease = time.Minute

// semaphore counts the calls that are on their way.
type semaphore struct {
	slots int64
	// until is when the lease of each slot that is taken ends, the first one first.
	until []time.Time
}

func (s *semaphore) opens(now time.Time, cost int64) time.Time {
	for len(s.until) > 0 && !s.until[0].After(now) {
		s.until = s.until[1:]
	}
	if over := int64(len(s.until)) + cost - s.slots; over > 0 {
		return s.until[min(over, int64(len(s.until)))-1]
	}
	return now
}

func (s *semaphore) take(now time.Time, cost int64) {
	for range cost {
		s.until = append(s.until, now.Add(slotLease))
	}
}

func (s *semaphore) done(cost int64) { s.until = s.until[min(cost, int64(len(s.until))):] }
