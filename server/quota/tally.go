package quota

// Tally counts what happened to all buckets of one limit since their ledger was
// made. The counts only grow.
type Tally struct {
	// Granted, Settled, Released and Lapsed count permits by what became of them.
	// One that is settled after it lapsed counts as both.
	Granted, Settled, Released, Lapsed uint64
	// Probes counts permits that were granted only to see what the upstream says.
	Probes uint64
	// Refused counts refusals by whom they were blamed on.
	Refused [Attributions]uint64
	// Cooldowns counts cool-downs that began.
	Cooldowns uint64
	// Use is the share of the quota that was used, at the end of each window.
	Use Histogram
	// Error is how far an answer lay outside what the model held possible, as a
	// share of the quota; 0 for an answer that agrees.
	Error Histogram
}

// Attribution is whom a refusal was blamed on, and why.
type Attribution uint8

// The attributions.
const (
	// Said: the response says which bucket it was.
	Said Attribution = iota
	// Predicted: one bucket was expected to be empty.
	Predicted
	// Unattributed: nothing is said, and the narrowest group of calls rests.
	Unattributed
	// Upstream: the upstream protects itself; nobody's quota is spent.
	Upstream

	// Attributions is how many there are.
	Attributions
)

// String is the word for it in metrics and logs.
func (a Attribution) String() string {
	return [...]string{"said", "predicted", "unattributed", "upstream"}[a]
}

// HistogramBounds are the upper bounds of the steps of a [Histogram], as shares
// of a quota; what is above the last has a step of its own.
var HistogramBounds = [...]float64{0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1} //nolint:gochecknoglobals // an array that nobody writes

// Histogram counts shares of a quota by size.
type Histogram struct {
	// Counts is how many shares fell into each step: see [HistogramBounds].
	Counts [len(HistogramBounds) + 1]uint64
	// Sum is the sum of all shares.
	Sum float64
}

// observe counts part of a whole. It is for show: no decision rests on it.
func (h *Histogram) observe(part, whole int64) {
	if whole <= 0 {
		return
	}
	if part <= 0 {
		h.Counts[0]++
		return
	}
	share := float64(part) / float64(whole)
	i := 0
	for i < len(HistogramBounds) && share > HistogramBounds[i] {
		i++
	}
	h.Counts[i]++
	h.Sum += share
}

// Add adds the counts of another tally.
func (t *Tally) Add(o *Tally) {
	t.Granted += o.Granted
	t.Settled += o.Settled
	t.Released += o.Released
	t.Lapsed += o.Lapsed
	t.Probes += o.Probes
	t.Cooldowns += o.Cooldowns
	for i, n := range o.Refused {
		t.Refused[i] += n
	}
	t.Use.add(&o.Use)
	t.Error.add(&o.Error)
}

func (h *Histogram) add(o *Histogram) {
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Sum += o.Sum
}

// Tallies yields the tally of each limit by its name, in no order. A tally is the
// ledger's own and must only be read.
func (l *Ledger) Tallies(yield func(limit string, t *Tally) bool) {
	for name, f := range l.families {
		if !yield(name, &f.tally) {
			return
		}
	}
}

// tallyError notes how far a told remaining lies outside what was possible: from
// nothing of what is on its way counted, to all of it.
func (b *Bucket) tallyError(w *news) {
	if w.remaining == Unknown || b.m == unbounded || b.quota == 0 {
		return
	}
	off := w.remaining - b.m
	if off < -w.held && b.confirmed() != unbounded {
		off = b.confirmed() - w.held - w.remaining
	}
	b.tally.Error.observe(off, b.quota)
}
