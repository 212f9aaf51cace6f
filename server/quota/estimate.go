package quota

// maxEstimates is of how many endpoints the cost of a call is learned, for each
// limit.
const maxEstimates = 1024

// exactly is all of what a caller said that a call would take, as a share of it, and
// mostShare the greatest share that is learned.
const exactly, mostShare = 64, 64 * 64

// estimate is what one call takes of a limit, where nobody says it beforehand, or
// says too little. It errs on the greater side: the difference is given back when
// the answer comes. The zero value knows nothing.
type estimate struct {
	// most is what calls of one endpoint took by their reports: the greatest,
	// forgotten a little with each that took less. share is the same of what calls
	// took of what was said that they would, [exactly] for just that.
	most, share int64
	// fell is by how much the upstream's numbers fell while calls were answered.
	fell, calls int64
}

// told learns what a call took of which that was said before; 0 when nothing was.
func (e *estimate) told(cost, said int64) {
	e.most = greatest(e.most, cost)
	if said > 0 {
		share := (cost*exactly + said - 1) / said
		e.share = greatest(max(e.share, exactly), min(max(share, exactly), mostShare))
	}
}

// greatest is the greatest of what came so far and now, forgotten a little with each
// that is less.
func greatest(so, now int64) int64 {
	const memory = 64
	if now >= so {
		return now
	}
	return so - (so-now+memory-1)/memory
}

// saw learns by how much numbers fell while so many calls were answered. Half a
// quota later that counts for half.
func (e *estimate) saw(fell, calls, quota int64) {
	e.fell += fell
	e.calls += calls
	if e.fell > quota/2 {
		e.fell, e.calls = e.fell/2, max(1, e.calls/2)
	}
}

// perCall is what to reserve for one call; step is how much may have fallen and not
// be told yet. ok is false where nothing has been learned.
func (e *estimate) perCall(step int64) (cost int64, ok bool) {
	switch {
	case e == nil:
		return 0, false
	case e.most > 0:
		return e.most, true
	case e.calls > 0:
		return (e.fell + step + e.calls - 1) / e.calls, true
	}
	return 0, false
}

// single reports whether nobody says, nor has seen, that a call takes anything but one
// request of the bucket, as mostly.
func (l *Ledger) single(b *Bucket, stated Costs) bool {
	return stated == nil && l.rules.Costs == nil && b.weights == nil && b.rule.countsRequests()
}

// costOf is what a call takes of a bucket: what its caller says, and more where
// calls of its endpoint took more than was said; else what the rules say of the
// endpoint, else one request, or as many as its calls were seen to weigh. Of any other
// unit it is guessed: what was learned of the endpoint, or of all calls.
func (l *Ledger) costOf(b *Bucket, endpoint string, stated Costs) (cost int64, guessed bool) {
	if l.single(b, stated) {
		return 1, false
	}
	unit := b.rule.Counts()
	if len(stated) > 0 {
		if n, ok := stated[unit]; ok {
			return b.corrected(endpoint, n), false
		}
	}
	if len(l.rules.Costs) > 0 {
		if n, ok := l.rules.CostOf(endpoint, unit); ok {
			return n, false
		}
	}
	if unit == Requests {
		return b.weigh(endpoint), false
	}
	return b.guess(endpoint), true
}

// corrected is what to reserve for a call of which its caller says what it takes:
// never more than there is for more than was said, so that it can be made.
func (b *Bucket) corrected(endpoint string, said int64) int64 {
	e := b.costs[endpoint]
	if e == nil || e.share <= exactly {
		return said
	}
	return max(said, min(said*e.share/exactly, b.quota))
}

// guess is what a call is reserved of which nobody says what it takes: never more
// than there is, so that it can be made. A share of the whole that a first call
// takes is taken to be one percent; of any other unit nothing is known before the
// first report.
func (b *Bucket) guess(endpoint string) int64 {
	most := b.quota
	if most == 0 {
		most = MaxCost
	}
	if n, ok := b.costs[endpoint].perCall(b.step()); ok {
		return min(n, most)
	}
	if n, ok := b.overall.perCall(b.step()); ok {
		return min(n, most)
	}
	if b.rule.Unit == Share {
		return OnePercent
	}
	return 0
}

// guesses reports whether what calls take of the bucket is guessed from its numbers,
// so that these cannot tell who took it.
func (b *Bucket) guesses() bool { return b.rule.Unit == Share || b.overall != nil }

// step is how much the bucket's numbers may have fallen without being told: shares
// are told in whole percent.
func (b *Bucket) step() int64 {
	if b.rule.Unit == Share {
		return OnePercent
	}
	return 0
}

// learnTold learns what the report of a call of this endpoint says that it took, of
// which its caller had said something before.
func (b *Bucket) learnTold(endpoint string, cost, said int64) {
	if cost == 0 || b.rule.countsRequests() {
		return
	}
	b.learned(endpoint).told(cost, said)
}

// learnFall learns from numbers that fell since the last ones of this window, and
// counts the call that was answered.
func (b *Bucket) learnFall(w *news, before int64, heardAt instant) {
	d := b.doubt()
	d.guessed++
	if w.remaining == Unknown || b.tm != w.now {
		return
	}
	if heardAt >= b.turned && heardAt != 0 && before >= b.m {
		if b.overall == nil {
			b.overall = &estimate{}
		}
		b.overall.saw(before-b.m, d.guessed, b.quota)
	}
	d.guessed = 0
}

// learned is the estimate of an endpoint, made when there is none.
func (f *family) learned(endpoint string) *estimate {
	e := f.costs[endpoint]
	switch {
	case e != nil:
	case f.costs == nil:
		f.costs = make(map[string]*estimate)
		fallthrough
	default:
		if len(f.costs) >= maxEstimates {
			clear(f.costs)
		}
		e = &estimate{}
		f.costs[endpoint] = e
	}
	return e
}
