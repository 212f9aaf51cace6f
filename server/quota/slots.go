package quota

// A concurrent bucket counts the calls that are under way. One whose permit has
// lapsed may still be: its slot is held until it is reported, or its report is not
// awaited any more.

// concurrent reports whether the bucket counts the calls that are under way.
func (b *Bucket) concurrent() bool { return b.rule.Window.Kind == Concurrent }

// holds reports whether the permit, which has lapsed, still has a slot there.
func (p *Permit) holds(b *Bucket) bool { return p.slotted && b.concurrent() }

// vacate frees the slots of calls whose report is not awaited any more.
func (l *Ledger) vacate(now instant) {
	for p := l.firstSlotted(); p != nil && now >= p.awaited; p = l.firstSlotted() {
		p.slotted = false
		for _, c := range p.charges {
			if c.bucket.concurrent() {
				c.bucket.advance(p.awaited)
				c.bucket.lapse(p.awaited, c.cost)
				l.settled(c.bucket)
			}
		}
	}
}

// firstSlotted is the permit that lapsed first of those that still have a slot; nil
// when there is none.
func (l *Ledger) firstSlotted() *Permit {
	for len(l.slots) > 0 && !l.slots[0].slotted {
		l.slots[0], l.slots = nil, l.slots[1:]
	}
	if len(l.slots) == 0 {
		return nil
	}
	return l.slots[0]
}
