package simulate

// bucket is the state of one rule for one key, and its part of the books.
type bucket struct {
	rule  *rule
	key   Call
	meter meter
	// window is the current one, past those before it that have something to say.
	window window
	past   []window
	// wider are the buckets that count all the calls that this one counts, and
	// others.
	wider []*bucket
	// refusedAt is the first refusal since a call was counted last, warnedAt when
	// the first of those answers to be heard reached its caller; 0 without one.
	refusedAt, warnedAt int64
	// open and closed are the calls that strategies hold: those that fell due by
	// themselves, and those of workers. heldAt is until when they are in the books.
	open, closed, heldAt int64
	// recent are the last charges of the window, for nodes that lag.
	recent []int64
	// calls is how many of ours it has counted, refusals how many were answered 429
	// for want of room in it, or in an outage.
	calls, refusals int64
}

// window is what a bucket did in a true window, or a slice of the books. Its
// instants are in nanoseconds since the Unix epoch, its times in nanoseconds.
type window struct {
	began, ends int64
	// quota is the units a window when it began.
	quota int64
	// counted is the units that we took, foreign those of others, wasted those of
	// refused calls where they cost.
	counted, foreign, wasted int64
	// calls is how many of ours it counted.
	calls int64
	// refused is the calls for which there was no room; probes those of them that
	// were meant to find out, unaware those of the rest that were sent before a
	// refusal could be known of.
	refused, unaware, probes int64
	// busy is the time that a concurrent limit's units were taken.
	busy int64
	// held is the time that workers' calls were held, open the others that were at
	// the end.
	held, open int64
	// left is the calls whose callers gave up, while no other bucket was spent.
	left int64
	// spent says that nothing was left at some time.
	spent bool
}

func newBucket(r *rule, key Call, now int64) *bucket {
	b := &bucket{rule: r, key: key, heldAt: now}
	b.meter = newMeter(b)
	if m, ok := b.meter.(*concurrentMeter); ok {
		m.at = now
	}
	b.begin(now, true)
	if r.Used > 0 {
		b.charge(now, r.Used, now)
		b.window.foreign = r.Used
	}
	r.buckets = append(r.buckets, b)
	return b
}

// begin opens the window that holds now.
func (b *bucket) begin(now int64, gap bool) {
	began, ends := b.rule.bounds(now)
	b.window = window{began: began, ends: ends, quota: b.rule.quota}
	b.recent = b.recent[:0]
	b.meter.roll(gap)
}

// turn lets windows end that are over by now. One that begins at its first use
// moves along until it has counted a call.
func (b *bucket) turn(now int64) {
	for now >= b.window.ends {
		ended := b.window.ends
		b.hold(ended)
		quiet := b.open+b.closed == 0 && !b.atWork(ended)
		b.past = b.windows()
		if quiet || b.rule.Window.From == FirstUse {
			b.begin(now, now >= ended+ended-b.window.began)
		} else {
			b.begin(ended, false)
		}
	}
	if b.rule.Window.From == FirstUse && b.window.taken() == 0 {
		b.window.began, b.window.ends = b.rule.bounds(now)
		b.window.held, b.heldAt = 0, now
	}
}

// atWork reports whether the upstream is busy with calls that the bucket counts
// as concurrent, and books that until now.
func (b *bucket) atWork(now int64) bool {
	m, ok := b.meter.(*concurrentMeter)
	if ok {
		m.pass(now)
	}
	return ok && len(m.done) > 0
}

// hold books how long calls were held.
func (b *bucket) hold(now int64) {
	if now > b.heldAt {
		b.window.held += b.closed * (now - b.heldAt)
		b.heldAt = now
	}
}

// windows are those that have something to say.
func (b *bucket) windows() []window {
	w := b.window
	w.open = b.open
	if w.taken()+w.refused+w.busy+w.held+w.open+w.left == 0 {
		return b.past
	}
	return append(b.past, w)
}

// taken is what was taken of the window's quota.
func (w *window) taken() int64 { return w.counted + w.foreign + w.wasted }

// take counts a request, and returns how long the bucket had refused before it.
func (b *bucket) take(now, cost int64, q Request) (lockout int64) {
	b.charge(now, cost, now+int64(q.Work))
	if q.Foreign {
		b.window.foreign += cost
		return 0
	}
	b.window.counted += cost
	b.window.calls++
	b.calls++
	if b.refusedAt != 0 {
		lockout = now - b.refusedAt
		b.refusedAt, b.warnedAt = 0, 0
	}
	return lockout
}

func (b *bucket) charge(now, cost, until int64) {
	b.meter.take(now, cost, until)
	if n := b.rule.remember; n > 0 {
		b.recent = append(b.recent[max(0, len(b.recent)-n):], cost)
	}
	if b.meter.left(now) <= 0 {
		b.window.spent = true
	}
}

// refuse books a refusal, and reports whether its caller could not know better.
func (b *bucket) refuse(now int64, r Request) (unaware bool) {
	b.window.refused++
	b.refusals++
	if b.refusedAt == 0 {
		b.refusedAt = now
	}
	unaware = unwarned(&b.warnedAt, r)
	switch {
	case r.probe:
		b.window.probes++
	case unaware:
		b.window.unaware++
	}
	return unaware
}

// unwarned reports whether a refused call was sent before the first such answer
// reached its caller, and remembers when it did.
func unwarned(warnedAt *int64, r Request) bool {
	unwarned := *warnedAt == 0 || r.sent < *warnedAt
	if *warnedAt == 0 {
		*warnedAt = r.heard
	}
	return unwarned
}

// waste takes what a refused call costs.
func (b *bucket) waste(now, cost int64) {
	b.charge(now, cost, now)
	b.window.wasted += cost
}

// tighterThan reports whether b has a smaller share left than c, or the same
// and resets later.
func (b *bucket) tighterThan(c *bucket, now int64) bool {
	// left/quota compared crosswise: exact in integers.
	mine, its := max(0, b.meter.left(now))*c.rule.most(), max(0, c.meter.left(now))*b.rule.most()
	if mine != its {
		return mine < its
	}
	return b.meter.resets(now) > c.meter.resets(now)
}
