package quota

import "time"

// The parts of a [Bucket] that few buckets have at a time. A part is nil until it
// is first needed, and made by the method that is about to write it; the methods
// that read one give the zero value of a part that there is not. The parts that
// are not here stand where their rules do: the closure of a cool-down, the drift
// and the slidingLog.

// rare is what few buckets need at a time. One that needs none of it has none, and
// what a call does there mostly need not ask for each.
type rare struct {
	// doubts is nil while there are none.
	doubts *doubts
	// edge is set once end.lo has passed.
	edge *edge
	// more is by how much the cost of the first of those who wait exceeds one unit.
	more int64
	untimed
}

// untimed is what is noted where answers do not tell when a window ends, or nobody how
// long it is.
type untimed struct {
	// longest is the furthest away that a reset ever was: a lower bound of a
	// period that nobody told.
	longest time.Duration
	// bare is the cost answered in this window with numbers but without a reset,
	// and bareAt when the last of it was heard.
	bare   int64
	bareAt instant
}

// need is the bucket's rare part, made when there is none.
func (b *Bucket) need() *rare {
	if b.rare == nil {
		b.rare = &rare{}
	}
	return b.rare
}

// unneed lets go of a part of which nothing is needed.
func (b *Bucket) unneed() {
	if b.rare != nil && *b.rare == (rare{}) {
		b.rare = nil
	}
}

func (b *Bucket) doubts() *doubts {
	if b.rare == nil {
		return nil
	}
	return b.rare.doubts
}

// edge is nil until the window may have ended.
func (b *Bucket) edge() *edge {
	if b.rare == nil {
		return nil
	}
	return b.rare.edge
}

// setEdge notes that the window may have ended, or, by nil, that it cannot have.
func (b *Bucket) setEdge(e *edge) {
	if e != nil || b.rare != nil {
		b.need().edge = e
	}
}

// want is the cost of the first of those who wait: mostly one.
func (b *Bucket) want() int64 {
	if b.rare == nil {
		return 1
	}
	return 1 + b.rare.more
}

// wants notes the cost of the first of those who wait.
func (b *Bucket) wants(cost int64) {
	if cost != 1 || b.rare != nil {
		b.need().more = cost - 1
	}
}

func (b *Bucket) longest() time.Duration {
	if b.rare == nil {
		return 0
	}
	return b.rare.longest
}

func (b *Bucket) bare() int64 {
	if b.rare == nil {
		return 0
	}
	return b.rare.bare
}

// beginRare forgets what was of the window before.
func (b *Bucket) beginRare() {
	if r := b.rare; r != nil {
		r.edge, r.bare = nil, 0
		b.beginDoubts()
		b.unneed()
	}
}

// doubts is what a bucket is not sure of. A bucket whose numbers agree with what
// it knows has none.
type doubts struct {
	// pad is how early we once turned: from then on we turn that much later.
	pad time.Duration
	// risen is when an answer first said that more remains than m; a second one
	// granted after it is believed. quotaRisen is the same of the quota.
	risen, quotaRisen instant
	// risenBy is the caller that said the latter. quotaWas is what the quota was
	// before a fall that nobody else has confirmed, quotaFell when it fell, and
	// quotaBy by whom.
	risenBy, quotaBy string
	quotaWas         int64
	quotaFell        instant
	// fellBy is the caller whose number is doubtful, and exposed how many strikes
	// it has earned by it.
	fellBy  string
	exposed int
	// probeAt and probeWait pace the probes of a bucket that is closed without a
	// reason to stay closed; zero when it is not.
	probeAt   instant
	probeWait time.Duration
	// others is by how much an answer exceeded what our own calls explain, of a
	// window that slides, and othersAt when it was heard.
	others   int64
	othersAt instant
	// lapsed is an upper bound of how much of a − aCov lapsed unheard. unheard is the
	// same of all calls that were not heard of, where nothing else counts them.
	lapsed, unheard int64
	// supposed says that the end of the window is bounded by calls of which nobody
	// heard: the first to be answered may have begun it.
	supposed bool
	// unrecorded says that an earlier owner may have granted of the bucket what nobody
	// recorded.
	unrecorded bool
	// nextAsk is when the next call may go out while the quota is not known and
	// nobody has answered.
	nextAsk instant
	// governor is nil for a bucket that is no gate, or of which nothing was refused
	// for long.
	governor *governor
	// drift is what others take, as numbers show; nil as long as nobody does.
	drift *drift
	// guessed counts the calls answered since the last numbers whose cost nobody
	// knew.
	guessed int64
	// sights are the numbers of this window between which it is measured what calls
	// weigh; nil as long as they fall by one for each.
	sights *sights
}

// confirmsRise reports whether a call granted then is the second to say that more
// remains.
func (b *Bucket) confirmsRise(granted instant) bool {
	d := b.doubts()
	return d != nil && d.risen != 0 && granted >= d.risen
}

func (b *Bucket) doubted() doubts {
	if d := b.doubts(); d != nil {
		return *d
	}
	return doubts{}
}

func (b *Bucket) doubt() *doubts {
	r := b.need()
	if r.doubts == nil {
		r.doubts = &doubts{}
	}
	return r.doubts
}

// lapsed bounds how much of what is not covered lapsed unheard.
func (b *Bucket) lapsed() int64 {
	if b.rare == nil || b.rare.doubts == nil {
		return 0
	}
	return b.rare.doubts.lapsed
}

// supposed reports whether the window may begin with the next call that is answered.
func (b *Bucket) supposed() bool {
	return b.rare != nil && b.rare.doubts != nil && b.rare.doubts.supposed
}

// suppose notes whether it may.
func (b *Bucket) suppose(begins bool) {
	if begins || b.doubts() != nil {
		b.doubt().supposed = begins
	}
}

// unrecorded reports whether an earlier owner may have granted of the bucket what
// nobody recorded.
func (b *Bucket) unrecorded() bool {
	return b.rare != nil && b.rare.doubts != nil && b.rare.doubts.unrecorded
}

// unrecord notes whether one may have.
func (b *Bucket) unrecord(may bool) {
	if may || b.doubts() != nil {
		b.doubt().unrecorded = may
		b.undoubt()
	}
}

// unheard bounds how much of what is not covered is of calls that were not heard of.
func (b *Bucket) unheard() int64 {
	if b.rare == nil || b.rare.doubts == nil {
		return 0
	}
	return b.rare.doubts.unheard
}

func (b *Bucket) governor() *governor {
	if b.rare == nil || b.rare.doubts == nil {
		return nil
	}
	return b.rare.doubts.governor
}

// unrise forgets that an answer said that more remains.
func (b *Bucket) unrise() {
	if d := b.doubts(); d != nil {
		d.risen = 0
	}
}

// unriseQuota forgets that an answer said that the quota is greater.
func (b *Bucket) unriseQuota() {
	if d := b.doubts(); d != nil {
		d.quotaRisen = 0
	}
}

// beginDoubts forgets the doubts that were of the window before.
func (b *Bucket) beginDoubts() {
	if d := b.doubts(); d != nil {
		d.fellBy, d.risen, d.supposed = "", 0, false
		b.stopProbes()
		b.undoubt()
	}
}

// undoubt lets go of doubts that are settled.
func (b *Bucket) undoubt() {
	if d := b.doubts(); d != nil && *d == (doubts{}) {
		b.rare.doubts = nil
		b.unneed()
	}
}

// hearsay is what answers said of a window's end. A bucket of which no answer
// told a reset, nor what remains, has none.
type hearsay struct {
	// epoch is the window's reset as the upstream wrote it, 0 when it did not.
	epoch int64
	// hull holds all ends that were told of this window.
	hull span
}

func (p *phase) heardOf() hearsay {
	if p.hearsay == nil {
		return hearsay{}
	}
	return *p.hearsay
}

func (p *phase) hearOf() *hearsay {
	if p.hearsay == nil {
		p.hearsay = &hearsay{}
	}
	return p.hearsay
}

func (b *Bucket) drift() *drift {
	if b.rare == nil || b.rare.doubts == nil {
		return nil
	}
	return b.rare.doubts.drift
}

// pad is how much later than its end the window turns.
func (b *Bucket) pad() time.Duration {
	if b.rare == nil || b.rare.doubts == nil {
		return 0
	}
	return b.rare.doubts.pad
}

// edge is the sums a and bare as they stood when the window may have ended: what
// came later may belong to the next one. A window that has not come so far has
// none.
type edge struct {
	a, bare int64
}

// lastWindow is what is kept of the window before, in case we turned early. A
// bucket in its first window has none.
type lastWindow struct {
	turned instant
	end    span
	m, n   int64
	aCov   int64
}

// lastEnd bounds when the window before ended; unknown when there was none.
func (p *phase) lastEnd() span {
	if p.last == nil {
		return span{}
	}
	return p.last.end
}

// sawBegin reports whether we turned when this window began: nobody can have used
// it before we counted.
func (b *Bucket) sawBegin() bool { return b.last != nil && !b.lastUnseen }
