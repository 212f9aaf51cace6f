package quota

import "time"

// Explanation is what a bucket counts with. Where its quota is known, what
// remains is min(Confirmed − Uncovered, quota − Counted) − Held − Theirs, and never
// below 0.
type Explanation struct {
	// Confirmed is the lowest remaining that a response told in this window, or
	// that follows from the quota; [Unknown] when nothing bounds it. ConfirmedAt
	// is when a response told it; zero when none has.
	Confirmed   int64
	ConfirmedAt time.Time
	// Uncovered is the units spent without numbers in the answer, or without an
	// answer: Confirmed may not have them yet.
	Uncovered int64
	// Counted is the units of our own calls that the upstream took in this
	// window, Held those of permits that are granted and not settled.
	Counted, Held int64
	// Rate is what others take in a window, and Sudden what they may take before
	// the next call arrives, as far as has been seen: of what remains, calls for
	// the last Sudden go a few at a time. Theirs is what is left to others.
	Rate, Sudden, Theirs int64
	// Began is when this window began, as far as is known, and EndLo and EndHi
	// bound when it ends; zero when that is not known.
	Began, EndLo, EndHi time.Time
	// Pad is how much later than EndHi the bucket turns, because it once was
	// early.
	Pad time.Duration
	// Sliding says that each unit counts for a period from its use: the window
	// slides, or nobody has told when it begins.
	Sliding bool
	// Doubtful says that the last fall was more than our own calls explain: one
	// answer raises it again.
	Doubtful bool
	// Gate says that the bucket has no quota and only cools down.
	Gate bool
}

// Explain is what the bucket counts with now.
func (l *Ledger) Explain(now time.Time, b *Bucket) Explanation {
	b.advance(at(now))
	e := Explanation{
		Confirmed: Unknown, Uncovered: b.a - b.aCov, Counted: b.n, Held: b.o,
		Began: b.turned.time(), EndLo: b.end.lo.time(), EndHi: b.end.hi.time(), Pad: b.pad(),
		Sliding: b.logged(), Doubtful: b.doubtful, Gate: b.gate,
	}
	if b.confirmed() != unbounded {
		e.Confirmed = b.m
		if b.tm >= b.turned {
			e.ConfirmedAt = b.tm.time()
		}
	}
	if b.drift() != nil {
		e.Rate, e.Sudden, e.Theirs = b.drift().rate(), b.sudden(), b.theirs(at(now))
	}
	if e.Sliding {
		e.Counted = b.held()
	}
	return e
}

// Heard is when a response last told numbers of the bucket; zero when none has.
func (l *Ledger) Heard(b *Bucket) time.Time {
	heard := b.tm
	if kept := l.memoryOf(b); kept != nil {
		heard = max(heard, kept.last(0).now)
	}
	return heard.time()
}

// Blamed is the name of the limit on whose account the upstream refused the
// permit's call; empty when it did not, or when nothing says whose it was.
func (p *Permit) Blamed() string { return p.blamed }

// Limits yields the name of each limit that counts the permit.
func (p *Permit) Limits(yield func(limit string) bool) {
	for _, c := range p.charges {
		if !c.bucket.gate && !yield(c.bucket.rule.Name) {
			return
		}
	}
}

// Corrected yields each limit that counts the permit and of which the upstream has
// told a smaller quota than is configured.
func (p *Permit) Corrected(yield func(limit string, configured, told int64)) {
	for _, c := range p.charges {
		if b := c.bucket; b.provenance == Told && b.rule.Provenance == Configured {
			yield(b.rule.Name, b.rule.holds(), b.quota)
		}
	}
}

// firstBlamed is the name of a blamed limit: the first by name where an answer
// blames several.
func (s *answerState) firstBlamed() string {
	first := ""
	for b := range s.blamed {
		if first == "" || b.rule.Name < first {
			first = b.rule.Name
		}
	}
	return first
}
