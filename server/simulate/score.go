package simulate

import (
	"cmp"
	"slices"
	"time"
)

// Window is what one bucket did in one true window. A limit without windows of
// its own is judged by slices of time: a sliding one by slices of its length, of
// which each has room for a quota; a refill by as many whole periods as make ten
// seconds, each of which brings one quota (what a burst adds is not counted as
// there, so a share may exceed 1 and is cut to that); a concurrent one by ten
// seconds, its units being milliseconds of one call.
type Window struct {
	// Limit is the limit's name, Key whose calls the bucket counts.
	Limit string
	Key   Call
	// Began and Ends bound the window; Ends is the next one's.
	Began, Ends time.Time
	// Quota is the units that there were for us: those of the window, less what
	// others took and refused calls wasted.
	Quota int64
	// Counted is the units that it counted of ours.
	Counted int64
	// Refused is the calls that it had no room for; Probes those of them that a
	// strategy had marked, Unaware those of the rest that were sent before the
	// answer to the first had reached its caller.
	Refused, Unaware, Probes int64
	// Wanted is the demand that there was; see the package's comment.
	Wanted int64
	// Whole says that the window lies within a run.
	Whole bool
	// Contended says that the demand exceeded what there was, so that the share
	// counted says something about the strategy.
	Contended bool
}

// Share is the part of what there was that was used, 0 to 1; 1 when there was
// nothing.
func (w *Window) Share() float64 {
	if w.Quota <= 0 {
		return 1
	}
	return min(1, float64(w.Counted)/float64(w.Quota))
}

// books are the judge's sums over all buckets.
type books struct {
	served, refused, unaware, probes int64
	longest                          int64
}

func (b *books) refuse(unaware, probe bool) {
	b.refused++
	switch {
	case probe:
		b.probes++
	case unaware:
		b.unaware++
	}
}

func (b *books) lockedOut(d int64) { b.longest = max(b.longest, d) }

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
	// Limit is the limit's name, Quota its units a window.
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

// Windows are all windows of all buckets in which there was a call or a demand,
// in the order in which they began.
func (u *Upstream) Windows() []Window {
	var all []Window
	for _, r := range u.rules {
		for _, b := range r.buckets {
			for _, w := range b.windows() {
				all = append(all, u.judged(b, w))
			}
		}
	}
	slices.SortFunc(all, func(a, b Window) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Limit, b.Limit),
			cmp.Compare(a.Key.App, b.Key.App), cmp.Compare(a.Key.User, b.Key.User),
			cmp.Compare(a.Key.Endpoint, b.Key.Endpoint))
	})
	return all
}

// judged is a window as the books show it.
func (u *Upstream) judged(b *bucket, w window) Window {
	j := Window{
		Limit: b.rule.Name, Key: b.key, Began: instant(w.began), Ends: instant(w.ends),
		Quota: b.rule.available(w), Counted: w.counted,
		Refused: w.refused, Unaware: w.unaware, Probes: w.probes,
	}
	// Calls that were not made would have cost as much as those that were.
	each := max(1, w.counted/max(1, w.calls))
	held := each * (w.held / int64(u.api.Latency.typical()))
	if b.rule.Window.Concurrent {
		j.Counted, held = w.busy/int64(time.Millisecond), w.held/int64(time.Millisecond)
	}
	j.Wanted = j.Counted + each*(w.open+w.left) + held
	j.Contended = j.Wanted > j.Quota && !u.disturbed(b.rule, w) && !b.overruled(w)
	return j
}

// available is what a window had for us.
func (r *rule) available(w window) int64 {
	n := w.quota
	switch {
	case r.Window.Refill > 0:
		n = w.quota * (w.ends - w.began) / int64(r.Window.Refill)
	case r.Window.Concurrent:
		n = w.quota * (w.ends - w.began) / int64(time.Millisecond)
	}
	return n - w.foreign - w.wasted
}

// disturbed reports whether a change or an outage fell into the window.
func (u *Upstream) disturbed(r *rule, w window) bool {
	within := func(from, to time.Duration) bool {
		return w.began < u.start+int64(to) && u.start+int64(from) < w.ends
	}
	return slices.ContainsFunc(u.api.Changes, func(c Change) bool { return c.Limit == r.Name && within(c.At, c.At+1) }) ||
		slices.ContainsFunc(u.api.Outages, func(o Outage) bool { return within(o.From, o.From+o.For) })
}

// overruled reports whether a wider bucket was spent during the window, so that
// it could not be used up.
func (b *bucket) overruled(w window) bool {
	return !w.spent && slices.ContainsFunc(b.wider, func(wider *bucket) bool {
		spent := func(v window) bool { return v.spent && v.began < w.ends && w.began < v.ends }
		return spent(wider.window) || slices.ContainsFunc(wider.past, spent)
	})
}

// instant is a time in nanoseconds since the Unix epoch.
func instant(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// Refused is the calls that were answered 429 so far.
func (u *Upstream) Refused() int64 { return u.books.refused }

// Score judges the run that ends now.
func (u *Upstream) Score(now time.Time) Score {
	longest := u.books.longest
	for _, r := range u.rules {
		for _, b := range r.buckets {
			if b.refusedAt != 0 {
				longest = max(longest, now.UnixNano()-b.refusedAt)
			}
		}
	}
	return Score{Served: u.books.served, Refused: u.books.refused, LongestLockout: time.Duration(longest)}
}

// Uses are the limits, in the order in which they were given, between two
// instants.
func (u *Upstream) Uses(from, to time.Time) []Use {
	var uses []Use
	for _, r := range u.rules {
		uses = append(uses, r.use(from.UnixNano(), to.UnixNano()))
	}
	return uses
}

// use sums one limit over the complete windows of all its buckets.
func (r *rule) use(from, to int64) Use {
	use := Use{Limit: r.Name, Quota: r.Quota}
	var sum int64
	lowest, highest := r.Quota, int64(0)
	for _, b := range r.buckets {
		for _, n := range b.complete(from, to) {
			use.Windows++
			sum += n
			lowest, highest = min(lowest, n), max(highest, n)
		}
	}
	if use.Windows > 0 {
		quota := float64(r.Quota)
		use.Mean = float64(sum) / quota / float64(use.Windows)
		use.Lowest, use.Highest = float64(lowest)/quota, float64(highest)/quota
	}
	return use
}

// complete is what was counted in each window that lies between two instants.
func (b *bucket) complete(from, to int64) []int64 {
	var counted []int64
	// next is where a window without a gap before it would begin.
	next := from
	if began, ends := b.rule.bounds(from); began < from {
		next = ends
	}
	for _, w := range b.windows() {
		if w.began < from || w.ends > to {
			continue
		}
		counted = append(counted, b.empty(next, w.began)...)
		counted = append(counted, w.counted)
		next = w.ends
	}
	return append(counted, b.empty(next, to)...)
}

// empty is a zero for each whole window between two instants in which the
// bucket had no call.
func (b *bucket) empty(from, to int64) []int64 {
	if b.rule.Window.From == FirstUse {
		return nil
	}
	var none []int64
	for from < to {
		if _, from = b.rule.bounds(from); from <= to {
			none = append(none, 0)
		}
	}
	return none
}
