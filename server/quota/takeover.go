package quota

import (
	"cmp"
	"slices"
	"time"
)

// ghost is a permit of an earlier owner that may still be sent.
type ghost struct {
	bucket *Bucket
	cost   int64
	until  instant
}

// Restore takes over what an earlier owner recorded. It must be called before
// the first Take if there was an owner before, even when nothing is recorded:
// what is not stored is waited out. Of what was reserved and not settled, permits
// may still be on their way.
func (l *Ledger) Restore(now time.Time, records []Reservation) {
	t := at(now)
	l.ghostsUntil = t.add(l.lapsesAfter)
	l.since = t.add(2 * calendarGuard) // whatever the owner before did is not watched
	newest := make(map[recordID]Reservation, len(records))
	for _, r := range records {
		id := recordID{r.Limit, r.Key}
		if old, ok := newest[id]; !ok || old.Began < r.Began {
			newest[id] = r
		}
	}
	for id, r := range newest {
		if _, ok := r.costsOf(); ok {
			continue
		}
		rule := l.ruleOf(r)
		if rule == nil {
			continue
		}
		b := l.bucket(t, rule, id.key)
		if b.lesson == nil && rule.teaches() && r.Provenance == Learned && r.Quota < rule.Quota {
			l.enrol(b)
		}
		b.unrecord(false)
		b.restore(t, r)
		b.unrecord(l.recordless(t, b))
		l.cool(b)
		if b.o > 0 {
			l.ghosts = append(l.ghosts, ghost{b, b.o, l.laid(t, b)})
		}
	}
	for _, r := range newest { // by now it is known what limits there are
		if limit, ok := r.costsOf(); ok {
			l.restoreCost(limit, &r)
		}
	}
	slices.SortFunc(l.ghosts, func(g, h ghost) int { return cmp.Compare(g.until, h.until) })
}

// laid is when no permit of an earlier owner can count at the bucket any more that
// may not be counted yet: it is sent by then, or its call is over.
func (l *Ledger) laid(now instant, b *Bucket) instant {
	if _, report := l.rules.Deadlines(); b.concurrent() {
		return now.add(report)
	}
	return l.ghostsUntil
}

// layGhosts spends what an earlier owner's permits reserved, once none of them
// can be on its way any more.
func (l *Ledger) layGhosts(now instant) {
	i := 0
	for ; i < len(l.ghosts) && now >= l.ghosts[i].until; i++ {
		g := l.ghosts[i]
		g.bucket.advance(g.until)
		g.bucket.o -= g.cost
		g.bucket.spendLapsed(g.until, g.cost)
		l.settled(g.bucket)
	}
	if l.ghosts = l.ghosts[i:]; len(l.ghosts) == 0 {
		l.ghosts = nil
	}
}

// recordless reports whether an earlier owner may have granted of a bucket that is
// made now what nobody recorded.
func (l *Ledger) recordless(now instant, b *Bucket) bool {
	return now < l.holdEnd(b) && !b.stored() && !b.gate
}

// holdEnd is when all windows are over in which such calls may have been counted.
func (l *Ledger) holdEnd(b *Bucket) instant {
	if w := &b.rule.Window; l.ghostsUntil != 0 && (w.logged(false) || w.short()) {
		return l.ghostsUntil.add(w.Period)
	}
	return l.ghostsUntil
}

// heldUntil is until when a bucket is closed because of such calls, 0 when it is not:
// until none can be on its way and then, but for one call that asks, until they count no
// more. Where the upstream answers that one by what remains, it is open. A window of a
// minute is waited out without asking, and one that slides tells too little at once.
func (l *Ledger) heldUntil(now instant, b *Bucket) instant {
	if !b.unrecorded() {
		return 0
	}
	asks := b.rule.Window.Kind == Fixed && b.rule.Window.Period > time.Minute
	switch end := l.holdEnd(b); {
	case now >= end:
		b.unrecord(false)
		return 0
	case !asks:
		return end
	case now < l.ghostsUntil:
		return l.ghostsUntil
	case now < b.doubted().nextAsk:
		return b.doubted().nextAsk
	}
	return 0
}

// answers notes what was answered to a call of such a bucket.
func (l *Ledger) answers(b *Bucket, w *news) {
	switch {
	case w.granted < l.ghostsUntil:
	case w.remaining != Unknown:
		b.unrecord(false)
	default:
		b.doubt().nextAsk = l.holdEnd(b)
	}
}
