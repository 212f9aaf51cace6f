package quota

// Opened returns, and forgets, the buckets with a queue that may grant since the
// last call: whoever stands at their head should Take again. The slice is good
// until the next call.
func (l *Ledger) Opened() []*Bucket {
	opened := l.opened
	clear(l.toldOpened) // or buckets that are dropped would be kept by it
	l.opened, l.toldOpened = l.toldOpened[:0], opened
	for _, b := range opened {
		b.opened = false
	}
	return opened
}

func (l *Ledger) open(b *Bucket) {
	if b.queued > 0 && !b.opened {
		b.opened = true
		l.opened = append(l.opened, b)
	}
}

// Changed returns, and forgets, the buckets whose status changed since the last
// call. The slice is good until the next call.
func (l *Ledger) Changed() []*Bucket {
	changed := l.changed
	clear(l.toldChanged)
	l.changed, l.toldChanged = l.toldChanged[:0], changed
	for _, b := range changed {
		b.changed = false
	}
	return changed
}

func (l *Ledger) change(b *Bucket) {
	if !b.changed && !b.dropped {
		b.changed = true
		l.changed = append(l.changed, b)
	}
}

// Revoked returns, and forgets, the revocations since the last call.
func (l *Ledger) Revoked() []Revocation {
	revoked := l.revoked
	l.revoked = nil
	return revoked
}
