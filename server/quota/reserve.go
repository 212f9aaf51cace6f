package quota

import "time"

// Reservation is what must be durable before a bucket may grant: two absolute
// numbers of one bucket's window that only grow. Two records of the same bucket
// and window are merged by the greater of each number.
type Reservation struct {
	// Limit and Key identify the bucket.
	Limit string
	Key   Scope
	// Began identifies the window: when it began for the broker, in Unix
	// nanoseconds.
	Began int64
	// Lo and Hi bound when the window turns for the broker, in Unix nanoseconds; 0
	// when that is not known.
	Lo, Hi int64
	// Quota is the units a window at the time.
	Quota int64
	// Reserved is the units that may have been granted, Settled those of them
	// that the upstream has counted.
	Reserved, Settled int64
}

// ghost is a permit of an earlier owner that may still be sent.
type ghost struct {
	bucket *Bucket
	cost   int64
	until  instant
}

// stored reports whether the bucket's grants are reserved in the store. A window
// that is held as a log is not: it is waited out after a restart.
func (b *Bucket) stored() bool { return b.quota > 0 && !b.gate && !b.logged() }

// chunk is how much is reserved ahead: a twentieth of the quota.
func (b *Bucket) chunk() int64 { return max(1, b.quota/20) }

// spent is what the window has lost, as the upstream may see it: all that is not
// available, whoever took it.
func (b *Bucket) spent() int64 { return min(max(0, b.quota-b.available()), b.quota) }

// refill asks for the next chunk early, when half of the last is used; and for
// what was settled to be written once that is a chunk, so that a crash wastes no
// more.
func (l *Ledger) refill(b *Bucket) {
	if !b.stored() {
		return
	}
	spent := b.spent()
	short := b.reserved < b.quota && spent+b.chunk()/2 >= b.reserved
	if short || spent-b.o >= b.settled+b.chunk() {
		l.wanting[b] = struct{}{}
	}
}

// Wanted returns the reservations to write now: of every bucket that has used
// half of its last chunk, or settled one. It does not forget them: what [Ledger.Reserved] does
// not confirm is wanted again.
func (l *Ledger) Wanted(now time.Time) []Reservation {
	t := at(now)
	var wanted []Reservation
	for b := range l.wanting {
		b.advance(t)
		if !b.stored() {
			delete(l.wanting, b)
			continue
		}
		wanted = append(wanted, b.reservation())
	}
	return wanted
}

// reservation is the bucket's record with the next chunk.
func (b *Bucket) reservation() Reservation {
	spent := b.spent()
	return Reservation{
		Limit: b.rule.Name, Key: b.key, Began: int64(b.ident),
		Lo: int64(b.end.lo), Hi: int64(b.turnsBy()), Quota: b.quota,
		Reserved: min(max(spent+max(b.chunk(), b.want), b.reserved), b.quota),
		Settled:  max(0, spent-b.o),
	}
}

// turnsBy is when the window has turned for certain; 0 when that is not known.
func (b *Bucket) turnsBy() instant {
	if !b.end.known() {
		return 0
	}
	return b.turnsAt()
}

// Reserved confirms that reservations are durable.
func (l *Ledger) Reserved(now time.Time, written []Reservation) {
	t := at(now)
	for _, r := range written {
		b, ok := l.buckets[bucketID{r.Limit, r.Key}]
		if !ok {
			continue
		}
		if b.advance(t); int64(b.ident) == r.Began {
			b.reserved, b.settled = max(b.reserved, r.Reserved), max(b.settled, r.Settled)
			delete(l.wanting, b)
			l.refill(b)
		}
		l.open(b)
	}
}

// Restore takes over what an earlier owner recorded. It must be called before
// the first Take if there was an owner before, even when nothing is recorded:
// what is not stored is waited out. Of what was reserved and not settled, permits
// may still be on their way.
func (l *Ledger) Restore(now time.Time, records []Reservation) {
	t := at(now)
	ghosts := t.add(l.lapsesAfter)
	l.holdUntil = ghosts
	newest := make(map[bucketID]Reservation, len(records))
	for _, r := range records {
		id := bucketID{r.Limit, r.Key}
		if old, ok := newest[id]; !ok || old.Began < r.Began {
			newest[id] = r
		}
	}
	for id, r := range newest {
		rule := l.ruleOf(id)
		if rule == nil {
			continue
		}
		b := l.bucket(t, rule, id.key)
		if b.restore(t, r); b.o > 0 {
			l.ghosts = append(l.ghosts, ghost{b, b.o, ghosts})
		}
	}
	for _, rule := range l.rules.Limits {
		b := Bucket{rule: &rule}
		if b.logged() {
			l.holdUntil = max(l.holdUntil, ghosts.add(rule.Window.Period))
		}
	}
}

// ruleOf is the rule of a recorded bucket, nil when the limit is configured no
// more.
func (l *Ledger) ruleOf(id bucketID) *Limit {
	for _, rule := range l.rules.For(id.key) {
		if rule.Name == id.limit && id.key.Only(rule.Per) == id.key {
			return &rule
		}
	}
	return nil
}

// restore takes over a record. What it reserved and did not settle may have been
// sent after its window ended, and be counted in the next; not in any later one.
func (b *Bucket) restore(now instant, r Reservation) {
	period := b.rule.Window.period()
	if r.Hi != 0 && period > 0 && now >= instant(r.Hi).add(period) {
		return
	}
	b.turned, b.ident = instant(r.Began), instant(r.Began)
	if r.Hi != 0 {
		b.end, b.told = span{instant(r.Lo), instant(r.Hi)}, true
	}
	settled := min(max(0, r.Settled), b.full())
	b.reserved, b.settled = max(0, r.Reserved), settled
	b.o = max(0, min(r.Reserved, b.full())-settled)
	b.m, b.n = b.full()-settled, settled
	b.advance(now)
}

// layGhosts spends what an earlier owner's permits reserved, once none of them
// can be on its way any more.
func (l *Ledger) layGhosts(now instant) {
	i := 0
	for ; i < len(l.ghosts) && now >= l.ghosts[i].until; i++ {
		g := l.ghosts[i]
		g.bucket.advance(g.until)
		g.bucket.o -= g.cost
		g.bucket.a += g.cost
		g.bucket.lapsed += g.cost
		l.settled(g.bucket)
	}
	l.ghosts = l.ghosts[i:]
}
