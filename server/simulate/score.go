package simulate

import (
	"cmp"
	"slices"
	"time"
)

// Window is what one bucket did in one true window.
type Window struct {
	// Limit is the limit's name, Key whose calls the bucket counts.
	Limit string
	Key   Call
	// Began and Ends bound the window; Ends is the next one's.
	Began, Ends time.Time
	// Counted is the calls that it counted, Refused those that it had no room
	// for.
	Counted, Refused int64
}

// books are the judge's sums over all buckets.
type books struct {
	served, refused int64
	longest         time.Duration
}

func (b *books) lockedOut(d time.Duration) { b.longest = max(b.longest, d) }

// Score is the judge's verdict on a run.
type Score struct {
	// Served is the calls that were counted, Refused those answered 429.
	Served, Refused int64
	// LongestLockout is the longest time from a bucket's refusal to the next
	// call that it counted, or to the end of the run; 0 when none refused.
	LongestLockout time.Duration
}

// Use is how much of one limit's quota was used.
type Use struct {
	// Limit is the limit's name, Quota its calls a window.
	Limit string
	Quota int64
	// Windows is the number of complete windows: those that lie within the time
	// that was asked about as a whole. A bucket whose windows follow each other without a gap also
	// has the ones in which it counted nothing.
	Windows int
	// Mean, Lowest and Highest are the shares of the quota used in one of those
	// windows, 0 to 1; 0 without windows.
	Mean, Lowest, Highest float64
}

// Windows are all windows of all buckets in which there was a call, in the order
// in which they began.
func (u *Upstream) Windows() []Window {
	var all []Window
	for _, b := range u.buckets {
		all = append(all, b.windows()...)
	}
	slices.SortFunc(all, func(a, b Window) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Limit, b.Limit),
			cmp.Compare(a.Key.App, b.Key.App), cmp.Compare(a.Key.User, b.Key.User),
			cmp.Compare(a.Key.Endpoint, b.Key.Endpoint))
	})
	return all
}

// Refused is the calls that were answered 429 so far.
func (u *Upstream) Refused() int64 { return u.books.refused }

// Score judges the run that ends now.
func (u *Upstream) Score(now time.Time) Score {
	now = now.Round(0)
	s := Score{Served: u.books.served, Refused: u.books.refused, LongestLockout: u.books.longest}
	for _, b := range u.buckets {
		if !b.refusedAt.IsZero() {
			s.LongestLockout = max(s.LongestLockout, now.Sub(b.refusedAt))
		}
	}
	return s
}

// Uses are the limits, in the order in which they were given, between two
// instants.
func (u *Upstream) Uses(from, to time.Time) []Use {
	from, to = from.Round(0), to.Round(0)
	var uses []Use
	for _, l := range u.limits {
		uses = append(uses, u.use(l, from, to))
	}
	return uses
}

// use sums one limit over the complete windows of all its buckets.
func (u *Upstream) use(l Limit, from, to time.Time) Use {
	use := Use{Limit: l.Name, Quota: l.Quota}
	var sum int64
	lowest, highest := l.Quota, int64(0)
	for id, b := range u.buckets {
		if id.limit != l.Name {
			continue
		}
		for _, n := range b.complete(from, to) {
			use.Windows++
			sum += n
			lowest, highest = min(lowest, n), max(highest, n)
		}
	}
	if use.Windows > 0 {
		quota := float64(l.Quota)
		use.Mean = float64(sum) / quota / float64(use.Windows)
		use.Lowest, use.Highest = float64(lowest)/quota, float64(highest)/quota
	}
	return use
}

// complete is what was counted in each window that lies between two instants.
func (b *bucket) complete(from, to time.Time) []int64 {
	var counted []int64
	// next is where a window without a gap before it would begin.
	next := b.limit.begins(from)
	if next.Before(from) {
		next = next.Add(b.limit.Period)
	}
	for _, w := range b.windows() {
		if w.Began.Before(from) || w.Ends.After(to) {
			continue
		}
		counted = append(counted, b.empty(next, w.Began)...)
		counted = append(counted, w.Counted)
		next = w.Ends
	}
	return append(counted, b.empty(next, to)...)
}

// empty is a zero for each whole window between two instants in which the
// bucket had no call.
func (b *bucket) empty(from, to time.Time) []int64 {
	if b.limit.FirstUse || to.Before(from) {
		return nil
	}
	return make([]int64, to.Sub(from)/b.limit.Period)
}
