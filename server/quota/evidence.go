package quota

import (
	"slices"
	"time"
)

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

// Evidence is what is kept of the reports about a bucket, the newest first: nil
// for a bucket that was not heard of lately.
func (l *Ledger) Evidence(b *Bucket) []Evidence {
	kept := l.evidence[b]
	list := slices.Clone(kept)
	slices.Reverse(list)
	return list
}

// remember keeps a report about a bucket.
func (l *Ledger) remember(b *Bucket, e Evidence) {
	kept, ok := l.evidence[b]
	if !ok {
		l.explained = append(l.explained, b)
		if len(l.explained) > maxExplained {
			delete(l.evidence, l.explained[0])
			l.explained = l.explained[1:]
		}
	}
	if len(kept) == maxEvidence {
		kept = append(kept[:0], kept[1:]...)
	}
	l.evidence[b] = append(kept, e)
}

// evidence is the report as it is kept.
func (w *news) evidence(by string, verdict Verdict, effect string) Evidence {
	return Evidence{
		HeardAt: w.now.time(), GrantedAt: w.granted.time(), By: by, Verdict: verdict,
		Quota: w.quota, Remaining: w.remaining,
		ResetLo: w.reset.lo.time(), ResetHi: w.reset.hi.time(), Effect: effect,
	}
}
