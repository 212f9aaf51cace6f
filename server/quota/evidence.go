package quota

import "time"

// Bounds of what is kept to explain.
const (
	// maxEvidence is how many reports are kept of one bucket.
	maxEvidence = 8
	// maxExplained is how many buckets have reports kept: those heard of last.
	maxExplained = 1024
)

// Evidence is one report that the model believed, or did not, about one bucket.
type Evidence struct {
	// HeardAt is when it came, GrantedAt when its call was granted.
	HeardAt, GrantedAt time.Time
	// By is the caller that reported; empty when it gave no name.
	By string
	// Verdict is what the response said of the call itself.
	Verdict Verdict
	// Quota and Remaining are the numbers it told; 0 and [Unknown] when not.
	Quota, Remaining int64
	// ResetLo and ResetHi bound the reset that it told; zero when it did not.
	ResetLo, ResetHi time.Time
	// Effect is what the model made of it, in a few words.
	Effect string
}

// memory is the last reports about one bucket, which is nil once it was dropped.
type memory struct {
	bucket  *Bucket
	reports [maxEvidence]report
	// heard is how many there were.
	heard int
}

// report is what is kept of one.
type report struct {
	now, granted     instant
	by               string
	verdict          Verdict
	quota, remaining int64
	reset            span
	effect           string
}

// hear keeps the news, before the bucket makes anything of them.
func (r *report) hear(w *news, v Verdict) *report {
	r.now, r.granted, r.by, r.verdict = w.now, w.granted, w.by, v
	r.quota, r.remaining, r.reset = w.quota, w.remaining, w.reset
	return r
}

// last is the report of so many before the latest.
func (m *memory) last(i int) *report { return &m.reports[(m.heard-1-i)%maxEvidence] }

// Evidence is what is kept of the reports about a bucket, the newest first: nil
// for a bucket that was not heard of lately.
func (l *Ledger) Evidence(b *Bucket) []Evidence {
	kept := l.memoryOf(b)
	if kept == nil {
		return nil
	}
	list := make([]Evidence, min(kept.heard, maxEvidence))
	for i := range list {
		list[i] = kept.last(i).evidence()
	}
	return list
}

// memoryOf is what is kept of the reports about a bucket; nil when that is nothing.
func (l *Ledger) memoryOf(b *Bucket) *memory {
	if b.remembered == 0 || l.evidence[b.remembered-1].bucket != b {
		return nil
	}
	return l.evidence[b.remembered-1]
}

// remember is the room of the latest report about a bucket.
func (l *Ledger) remember(b *Bucket) *report {
	kept := l.memoryOf(b)
	if kept == nil {
		kept = l.recollect(b)
	}
	r := &kept.reports[kept.heard%maxEvidence]
	kept.heard++
	return r
}

// recollect makes room for reports about a bucket: that of the one that was first
// heard of longest ago, where there are too many.
func (l *Ledger) recollect(b *Bucket) *memory {
	place := len(l.evidence)
	if place < maxExplained {
		l.evidence = append(l.evidence, &memory{})
	} else {
		place, l.oldest = l.oldest, (l.oldest+1)%maxExplained
	}
	kept := l.evidence[place]
	*kept = memory{bucket: b}
	b.remembered = uint16(place + 1) //nolint:gosec // at most maxExplained
	return kept
}

// evidence is the report as it is shown.
func (r *report) evidence() Evidence {
	return Evidence{
		HeardAt: r.now.time(), GrantedAt: r.granted.time(), By: r.by, Verdict: r.verdict,
		Quota: r.quota, Remaining: r.remaining,
		ResetLo: r.reset.lo.time(), ResetHi: r.reset.hi.time(), Effect: r.effect,
	}
}
