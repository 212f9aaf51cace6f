package simulate

import (
	"math"
	"time"
)

// rooms are the buckets that count a call, at an instant that is not past.
func (u *Upstream) rooms(c Call, at time.Time) []Room {
	now := at.UnixNano()
	counting := u.bucketsOf(now, c, nil)
	rooms := make([]Room, 0, len(counting))
	for _, b := range counting {
		b = b.imagined(now)
		rooms = append(rooms, Room{
			Limit: b.rule.Name, Key: b.key, Left: max(0, b.meter.left(now)), Until: instant(b.more(now)),
		})
	}
	return rooms
}

// more is when the bucket has more than now. That is when it resets, but for a
// counter, of which the last window's part dwindles unit by unit.
func (b *bucket) more(now int64) int64 {
	m, ok := b.meter.(*counterMeter)
	if !ok || m.last == 0 {
		return b.meter.resets(now)
	}
	period := float64(b.rule.Window.Counter)
	held := math.Ceil(float64(m.last)*float64(b.window.ends-now)/period - 1e-9)
	return min(b.window.ends, b.window.ends-int64(math.Floor((held-1)/float64(m.last)*period)))
}

// leftAt is what is left at an instant that is not past.
func (b *bucket) leftAt(now int64) int64 { return max(0, b.imagined(now).meter.left(now)) }

// imagined is a copy that was moved to an instant that is not past.
func (b *bucket) imagined(now int64) *bucket {
	c := *b
	c.past, c.recent = nil, nil
	switch m := b.meter.(type) {
	case *fixedMeter:
		c.meter = &fixedMeter{b: &c, used: m.used}
	case *slidingMeter:
		n := *m
		c.meter = &n
	case *counterMeter:
		c.meter = &counterMeter{b: &c, last: m.last, used: m.used}
	case *refillMeter:
		n := *m
		c.meter = &n
	case *concurrentMeter:
		c.meter = &concurrentMeter{b: &c, done: m.done, at: m.at}
	}
	c.turn(now)
	return &c
}

// settle lets all buckets' windows end that are over by now.
func (u *Upstream) settle(now int64) {
	u.change(now)
	for _, r := range u.rules {
		for _, b := range r.buckets {
			b.turn(now)
		}
	}
}

// intrude is a call of another consumer.
func (u *Upstream) intrude(now time.Time, s *source) {
	u.Serve(now, Request{Call: s.call(), Foreign: true})
}
