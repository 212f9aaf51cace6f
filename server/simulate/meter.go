package simulate

import (
	"math"
	"slices"
)

// meter is what a bucket has counted that still holds. Instants are in
// nanoseconds since the Unix epoch.
type meter interface {
	// roll says that a window, or a slice of the books, began; at once after the
	// last, or after a gap.
	roll(gap bool)
	// left is what may still be taken; less than 0 when more was taken than there
	// is.
	left(now int64) int64
	// take counts a call; until is when the upstream is done with it.
	take(now, cost, until int64)
	// resets is when the quota, or more of it, is back.
	resets(now int64) int64
}

func newMeter(b *bucket) meter {
	switch w := b.rule.Window; {
	case w.Sliding > 0:
		return &slidingMeter{rule: b.rule}
	case w.Counter > 0:
		return &counterMeter{b: b}
	case w.Refill > 0:
		return &refillMeter{rule: b.rule}
	case w.Concurrent:
		return &concurrentMeter{b: b}
	default:
		return &fixedMeter{b: b}
	}
}

// fixedMeter is that of fixed and calendar windows.
type fixedMeter struct {
	b    *bucket
	used int64
}

func (m *fixedMeter) roll(bool)              { m.used = 0 }
func (m *fixedMeter) left(int64) int64       { return m.b.rule.quota - m.used }
func (m *fixedMeter) take(_, cost, _ int64)  { m.used += cost }
func (m *fixedMeter) resets(now int64) int64 { return max(now, m.b.window.ends) }

// charge is a call that a sliding window counts.
type charge struct{ at, cost int64 }

type slidingMeter struct {
	rule *rule
	log  []charge
	used int64
}

func (m *slidingMeter) roll(bool) {}

// expire forgets what is as old as the window is long.
func (m *slidingMeter) expire(now int64) {
	n := 0
	for n < len(m.log) && m.log[n].at+int64(m.rule.Window.Sliding) <= now {
		m.used -= m.log[n].cost
		n++
	}
	m.log = m.log[n:]
}

func (m *slidingMeter) left(now int64) int64 {
	m.expire(now)
	return m.rule.quota - m.used
}

func (m *slidingMeter) take(now, cost, _ int64) {
	m.log = append(m.log, charge{now, cost})
	m.used += cost
}

func (m *slidingMeter) resets(now int64) int64 {
	if m.expire(now); len(m.log) == 0 {
		return now
	}
	return m.log[0].at + int64(m.rule.Window.Sliding)
}

type counterMeter struct {
	b          *bucket
	last, used int64
}

func (m *counterMeter) roll(gap bool) {
	m.last, m.used = m.used, 0
	if gap {
		m.last = 0
	}
}

func (m *counterMeter) left(now int64) int64 {
	covered := float64(m.b.window.ends-now) / float64(m.b.rule.Window.Counter)
	return m.b.rule.quota - m.used - int64(math.Ceil(float64(m.last)*covered-1e-9))
}

func (m *counterMeter) take(_, cost, _ int64)  { m.used += cost }
func (m *counterMeter) resets(now int64) int64 { return max(now, m.b.window.ends) }

// refillMeter knows what is missing of a full bucket, as of an instant.
type refillMeter struct {
	rule    *rule
	missing float64
	at      int64
}

func (m *refillMeter) roll(bool) {}

// rate is the units that come back in a nanosecond.
func (m *refillMeter) rate() float64 { return float64(m.rule.quota) / float64(m.rule.Window.Refill) }

func (m *refillMeter) age(now int64) {
	m.missing = max(0, m.missing-m.rate()*float64(now-m.at))
	m.at = now
}

// grain is far less than a unit: what a sum of fractions may be off by.
const grain = 1e-6

func (m *refillMeter) left(now int64) int64 {
	m.age(now)
	return int64(math.Floor(float64(m.rule.most()) - m.missing + grain))
}

func (m *refillMeter) take(now, cost, _ int64) {
	m.age(now)
	m.missing += float64(cost)
}

// resets is when the next unit is there.
func (m *refillMeter) resets(now int64) int64 {
	m.age(now)
	if m.missing <= grain {
		return now
	}
	part := m.missing - math.Floor(m.missing-grain)
	return now + int64(math.Ceil(part/m.rate()))
}

// concurrentMeter has when each call that the upstream is busy with will be
// done, the first one first.
type concurrentMeter struct {
	b    *bucket
	done []int64
	// at is until when the time that it was busy is in the books.
	at int64
}

func (m *concurrentMeter) roll(bool) {}

// pass lets calls end, and books the time that they were worked on. A bucket's
// turn calls it for the end of each slice, so that each has its own.
func (m *concurrentMeter) pass(now int64) {
	for len(m.done) > 0 && m.done[0] <= now {
		m.book(m.done[0])
		m.done = m.done[1:]
	}
	m.book(now)
}

func (m *concurrentMeter) book(now int64) {
	m.b.window.busy += int64(len(m.done)) * (now - m.at)
	m.at = now
}

func (m *concurrentMeter) left(now int64) int64 {
	m.pass(now)
	return m.b.rule.quota - int64(len(m.done))
}

func (m *concurrentMeter) take(now, cost, until int64) {
	m.pass(now)
	for range cost {
		i, _ := slices.BinarySearch(m.done, until)
		m.done = slices.Insert(m.done, i, until)
	}
}

func (m *concurrentMeter) resets(now int64) int64 {
	if m.pass(now); len(m.done) == 0 {
		return now
	}
	return m.done[0]
}
