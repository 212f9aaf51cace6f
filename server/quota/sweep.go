package quota

import (
	"maps"
	"slices"
	"time"
)

// Bounds of what is kept of users and endpoints that nobody calls for any more.
const (
	// few is how many buckets may stay, whatever they are, sweepStep how many are looked
	// at together.
	few, sweepStep = 1024, 256
	// ageEvery is how often buckets grow older. One of age ageUnused was not granted
	// anything for a day, as long as a restart knows of what is over. One of
	// ageUnlearned was not for as long as it knows what was learned, which is longer
	// than any window.
	ageEvery     = 24 * time.Hour
	ageUnused    = 2
	ageUnlearned = 36
	// maxFamilies is from how many limits on those that are gone are forgotten.
	maxFamilies = 4 * maxTold
)

// nameOther is the limit that counts what happened to limits that are forgotten.
const nameOther = "other"

// sweeping is a sweep under way: a part of it comes with each step, so that nobody waits
// for all of it.
type sweeping struct {
	// left are the buckets that are still to be looked at, from how many there were.
	left []*Bucket
	from int
	// older says that they grow older.
	older bool
}

// sweep drops what nobody needs to know: see [Bucket.idle] and [Bucket.outlived]. It
// runs when there are twice as many buckets as it left the last time, and once a day.
func (l *Ledger) sweep(now instant) {
	s := &l.sweeping
	if len(s.left) == 0 && !l.beginSweep(now) {
		return
	}
	todo := s.left[max(0, len(s.left)-sweepStep):]
	for _, b := range todo {
		if b.dropped {
			continue
		}
		if b.advance(now); s.older {
			b.older(now)
		}
		if b.idle() || b.outlived(now) {
			l.drop(b)
		}
	}
	clear(todo)
	if s.left = s.left[:len(s.left)-len(todo)]; len(s.left) == 0 {
		l.endSweep(now)
	}
}

// beginSweep reports whether it is time to sweep.
func (l *Ledger) beginSweep(now instant) bool {
	grown, older := l.size >= 2*l.swept+few, now >= l.agesAt
	if !grown && !older {
		return false
	}
	l.sweeping = sweeping{older: older, from: l.size}
	if older {
		l.agesAt = now.add(ageEvery)
	}
	if grown || l.size > few {
		l.sweeping.left = slices.AppendSeq(make([]*Bucket, 0, l.size), l.all)
	}
	return true
}

// endSweep drops what is left of kins that have no buckets, and of maps that were much
// larger, which do not shrink.
func (l *Ledger) endSweep(now instant) {
	shrunk := l.size < l.sweeping.from/2
	for _, f := range l.families {
		for _, k := range f.kins {
			if l.sweeping.older && k.empty() {
				k.older()
			}
			if shrunk && k.people != nil {
				k.users = maps.Clone(k.users)
			}
		}
		if shrunk {
			f.kins = maps.Clone(f.kins)
		}
	}
	for _, c := range l.claims {
		maps.DeleteFunc(c.parents, func(_ Scope, b *Bucket) bool { return !b.end.known() || now >= b.turnsAt() })
	}
	if l.sweeping.older {
		l.queued, l.wanting = maps.Clone(l.queued), maps.Clone(l.wanting)
	}
	l.sweeping, l.swept = sweeping{}, l.size
	l.replan()
}

// fold forgets the limits that responses told of and that are gone, but for what
// happened to them together: an upstream may tell of any number.
func (l *Ledger) fold() {
	var gone Tally
	for name, f := range l.families {
		named := name == nameOther || name == nameUnknown || name == nameBackoff
		if len(f.kins) == 0 && !named && l.rules.index(name) < 0 {
			gone.Add(&f.tally)
			delete(l.families, name)
		}
	}
	l.family(nameOther).tally.Add(&gone)
}

// empty reports whether the kin has no buckets: it is there for what they learned.
func (k *kin) empty() bool { return k.only == nil && (k.people == nil || len(k.users) == 0) }

// older makes a kin older that has no buckets. What they learned is forgotten like what
// one of them did.
func (k *kin) older() {
	if k.people != nil {
		k.empties++
	}
	if k.people == nil || k.empties >= ageUnlearned {
		delete(k.kins, k.place)
	}
}

// older makes the bucket older. All that it may have counted has long arrived.
func (b *Bucket) older(now instant) {
	if b.age = min(b.age+1, ageUnlearned); b.age == ageUnused {
		b.boundEnd(now)
	}
}

// fresh is the quota that a new bucket would have.
func (b *Bucket) fresh() int64 {
	if b.lesson != nil && b.lesson.siblings != nil {
		return b.lesson.siblings.number
	}
	return b.rule.holds()
}

// counts reports whether anything is counted in the bucket's window.
func (b *Bucket) counts() bool {
	switch {
	case b.quota == 0: // what is not known is asked again
		return b.m != unbounded || b.lesson != nil && b.n != 0
	case b.logged():
		return b.m != b.quota || b.held() != 0
	}
	return b.m != b.quota || b.n != 0 || b.a != b.aCov
}

// idle reports whether a new bucket would be no different.
func (b *Bucket) idle() bool {
	return !b.busy() && !b.changed && b.quota == b.fresh() && !b.counts() && b.pad() == 0
}

// outlived reports whether nothing was granted of the bucket for so long that what it
// knows would be forgotten by a restart, too: its window is over, and has been its
// cool-down for a day. What its own count learned it knows longer, and so it does what
// may be counted where nobody knows when the window ends.
func (b *Bucket) outlived(now instant) bool {
	switch {
	case b.age < ageUnused || b.flying > 0 || b.o > 0 || b.queued > 0 || b.changed:
		return false
	case b.state == Cooling || b.state != Open && now.sub(max(b.until, b.probing)) < doubtedFor:
		return false
	case b.provenance == Learned || b.counts() && !b.end.known():
		return b.age >= ageUnlearned
	}
	return !b.counts()
}
