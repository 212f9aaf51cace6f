package simulate

import "time"

// rooms are the buckets that count a call, at an instant that is not past.
func (u *Upstream) rooms(c Call, at time.Time) []Room {
	now := at.UnixNano()
	counting := u.bucketsOf(now, c, nil)
	rooms := make([]Room, 0, len(counting))
	for _, b := range counting {
		b = b.imagined()
		b.turn(now)
		rooms = append(rooms, Room{
			Limit: b.rule.Name, Key: b.key, Left: max(0, b.meter.left(now)), Until: instant(b.meter.resets(now)),
		})
	}
	return rooms
}

// imagined is a copy that may be moved into the future.
func (b *bucket) imagined() *bucket {
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
	return &c
}

// settle lets all buckets' windows end that are over by now.
func (u *Upstream) settle(now int64) {
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
