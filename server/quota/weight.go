package quota

import (
	"slices"
	"time"
)

// How it is learned what calls weigh.
const (
	// maxGaps is how many gaps of an endpoint are kept, and maxSights how many
	// numbers of a bucket's window they are measured between.
	maxGaps, maxSights = 16, 32
	// agreeingGaps is how many more gaps must be the same than are greater to show a
	// weight: twice as many once what they showed was wrong, and at most mostAgreeing.
	agreeingGaps, mostAgreeing = 4, 12
	// fewSmaller is the share of the gaps, as its divisor, that may be smaller than
	// what most show, because some answers come from nodes that lag.
	fewSmaller = 8
)

// weight is what a call of an endpoint takes of a limit that counts requests, where
// nobody says it: one, until the upstream's numbers show more. From what an answer
// says that remains to the next higher number told in that window lies all that its
// call took, and what others took or was never heard of in between. So the gap is
// never too small, and of many gaps most are just the weight.
type weight struct {
	// cost is what a call is charged.
	cost int64
	// gaps are the last, seen is how many there were.
	gaps [maxGaps]int64
	seen int
	// needed is how many must agree.
	needed int
}

// add takes a gap, and says which it is.
func (w *weight) add(gap int64) (nth int) {
	nth = w.seen
	w.gaps[nth%maxGaps] = gap
	w.seen++
	return nth
}

// amend makes a gap smaller, because a number was told that lies within it.
func (w *weight) amend(nth int, gap int64) {
	if w.seen-nth <= maxGaps {
		w.gaps[nth%maxGaps] = gap
	}
}

// shown is what the gaps show that a call takes: what enough of them are, and hardly
// any is less. Where there is no such, it is what it was, unless too many are smaller:
// then it is one.
func (w *weight) shown() int64 {
	gaps := w.gaps[:min(w.seen, maxGaps)]
	for _, gap := range gaps {
		equal, smaller := compare(gaps, gap)
		if 2*equal+smaller-len(gaps) >= w.needed && smaller*fewSmaller <= len(gaps) {
			return gap
		}
	}
	if _, smaller := compare(gaps, w.cost); smaller < 2 || smaller*fewSmaller <= len(gaps) {
		return w.cost
	}
	return 1
}

// compare counts how many gaps are equal to one, and how many are smaller.
func compare(gaps []int64, with int64) (equal, smaller int) {
	for _, gap := range gaps {
		switch {
		case gap == with:
			equal++
		case gap < with:
			smaller++
		}
	}
	return equal, smaller
}

// distrust forgets the gaps, and needs more to agree before they show anything again.
func (w *weight) distrust() {
	w.needed, w.seen = min(2*w.needed, mostAgreeing), 0
}

// sights are the numbers told in a bucket's window, the highest first, by whose
// calls: in whatever order they came.
type sights struct {
	// ident is the window's.
	ident instant
	list  []sight
	// above is what remained before the first, or the lowest that is not kept.
	above int64
	// drift is what was taken for others' before it was found that calls weigh more.
	drift *drift
}

// sight is what one answer said that remains, and which gap of its endpoint's it
// ends.
type sight struct {
	left int64
	of   *weight
	nth  int
}

// see takes what the answer to a call of the endpoint says that remains, and reports
// whether it shows anything. What was told already is from a node that lags, or of a
// call that took nothing.
func (g *sights) see(left int64, of *weight) bool {
	i := len(g.list)
	for i > 0 && g.list[i-1].left < left {
		i--
	}
	above := g.above
	if i > 0 {
		above = g.list[i-1].left
	}
	if above <= left {
		return false
	}
	if i < len(g.list) {
		below := g.list[i]
		below.of.amend(below.nth, left-below.left)
	}
	g.list = slices.Insert(g.list, i, sight{left, of, of.add(above - left)})
	if len(g.list) > maxSights {
		g.above = g.list[0].left
		g.list = slices.Delete(g.list, 0, 1)
	}
	return true
}

// weigh is what a call of the endpoint takes of a bucket that counts requests, never
// more than there is.
func (b *Bucket) weigh(endpoint string) int64 {
	if b.weights == nil {
		return 1
	}
	return b.weights[endpoint].of(b.quota)
}

// of is what the call is charged of a quota, 0 when that is not known.
func (w *weight) of(quota int64) int64 {
	switch {
	case w == nil:
		return 1
	case quota > 0:
		return min(w.cost, quota)
	}
	return w.cost
}

// declares reports whether somebody says how many requests a call is.
func (l *Ledger) declares(endpoint string, stated Costs) bool {
	if _, ok := stated[Requests]; ok {
		return true
	}
	_, ok := l.rules.CostOf(endpoint, Requests)
	return ok
}

// puzzles reports whether the answer says that a call has taken of the bucket, and
// more was taken than calls explain that are one request each, or once was.
func (b *Bucket) puzzles(w *news) bool {
	return w.counted && w.passed && !w.tighten &&
		(b.weights != nil || b.rule.countsRequests() && (w.beyond || b.puzzled()))
}

// puzzled reports whether more was taken than is explained, as far as is remembered.
func (b *Bucket) puzzled() bool {
	return b.drift() != nil || b.doubtful || b.logged() && b.kind.log.foreign > 0
}

// learnWeight learns from a number that is told of the present window what the call
// took of it.
func (l *Ledger) learnWeight(s *answerState, b *Bucket, w *news) {
	if w.cost == 0 || w.granted < b.turned && !w.reset.known() || b.quota == 0 || !b.windowed() ||
		l.declares(s.scope.Endpoint, s.permit.costs) {
		return
	}
	left := w.remaining
	if b.slides() {
		if left = w.slid; !b.onlyFalls(s.now, l.lapsesAfter) {
			return
		}
	}
	of := b.weightOf(s.scope.Endpoint)
	g := b.sights()
	if !g.see(left, of) {
		return
	}
	switch shown := of.shown(); {
	case shown != of.cost:
		l.reweigh(b, of, shown)
	case shown == 1 && of.seen >= maxGaps && !b.puzzled():
		b.unweigh(s.scope.Endpoint)
	}
	l.keepCost(s.now, b, s.scope.Endpoint)
}

// unweigh ends the learning of what calls of the endpoint weigh, because they do not.
func (b *Bucket) unweigh(endpoint string) {
	delete(b.weights, endpoint)
	if len(b.weights) == 0 {
		b.weights = nil
	}
	b.doubt().sights = nil
	b.undoubt()
}

// weightOf is the endpoint's weight, made when there is none.
func (f *family) weightOf(endpoint string) *weight {
	if w := f.weights[endpoint]; w != nil {
		return w
	}
	if f.weights == nil || len(f.weights) >= maxEstimates {
		f.weights = make(map[string]*weight)
	}
	w := &weight{cost: 1, needed: agreeingGaps}
	f.weights[endpoint] = w
	return w
}

// sights is the bucket's, of the present window; of one that slides, as long as what
// remains only falls.
func (b *Bucket) sights() *sights {
	d := b.doubt()
	if d.sights == nil {
		d.sights = &sights{}
	}
	ident := b.ident
	if b.slides() {
		ident = b.kind.log.settledFirst()
	}
	if d.sights.ident != ident {
		d.sights.ident, d.sights.list, d.sights.above = ident, d.sights.list[:0], b.quota
	}
	return d.sights
}

// onlyFalls reports whether nothing that a sliding window counts can have left it yet:
// a call counts from when it was granted at the earliest, so long before it settled.
func (b *Bucket) onlyFalls(now instant, flight time.Duration) bool {
	period := b.rule.Window.Period
	return !b.weighs() && now < b.kind.log.settledFirst().add(period-min(flight, period/2))
}

// rose ends what numbers showed of the window: more remains, so it is another.
func (b *Bucket) rose() {
	if d := b.doubts(); d != nil && d.sights != nil {
		d.sights.ident = 0
	}
}

// reweigh charges calls of an endpoint another cost from now on. Those that are on
// their way stay what they were granted for: what comes of them does not depend on
// the order in which their answers come.
func (l *Ledger) reweigh(b *Bucket, of *weight, cost int64) {
	more := cost > of.cost
	if of.cost = cost; !more {
		of.distrust()
	}
	for other := range b.family.all {
		switch {
		case more && (other == b || other.drift() != nil || other.foreign() > 0):
			other.explain()
		case !more && other.drift() == nil:
			other.unexplain()
		default:
			continue
		}
		l.open(other)
		l.change(other)
	}
}

// weighMore counts a call as lost by as much as it weighs more than it was charged,
// because that was not known when it was granted.
func (l *Ledger) weighMore(s *answerState, b *Bucket, w *news) {
	if w.cost == 0 || !w.passed || l.declares(s.scope.Endpoint, s.permit.costs) {
		return
	}
	b.lost += max(0, b.weigh(s.scope.Endpoint)-w.cost)
}

// explain takes what the upstream counted beyond our own calls for theirs: they weigh
// more than was charged, and nobody knows by how much.
func (b *Bucket) explain() {
	b.lost = b.quota
	if b.drift() != nil {
		b.sights().drift = b.drift()
		b.doubt().drift = nil
	}
}

// unexplain takes it for others' again: calls weigh less than was charged.
func (b *Bucket) unexplain() {
	if d := b.doubts(); d != nil && d.sights != nil && d.sights.drift != nil {
		d.drift, d.sights.drift = d.sights.drift, nil
	}
}
