package dialect

import (
	"cmp"
	"slices"

	"github.com/quotabroker/quotabroker/server/quota"
)

// group is what plain fields of one family and one group of words say together.
type group struct {
	family, words           string
	name                    string
	limits, remaining, used []decimal
	resets                  []quota.Reset
	window                  quota.Window
}

// group is the group of those words, a new one when it is the first field of it.
func (t *table) group(family, words string) *group {
	for _, g := range t.groups {
		if g.family == family && g.words == words {
			return g
		}
	}
	g := &group{family: family, words: words, window: windowOf(words)}
	t.groups = append(t.groups, g)
	return g
}

// fold merges a group into one of another family that does not contradict it:
// many APIs say the same in two spellings.
func (t *table) fold() []*group {
	var folded []*group
next:
	for _, g := range t.groups {
		for _, into := range folded {
			if into.words == g.words && into.agrees(g) {
				into.merge(g)
				continue next
			}
		}
		folded = append(folded, g)
	}
	return folded
}

func (g *group) agrees(h *group) bool {
	same := func(a, b []decimal) bool { return a == nil || b == nil || slices.Equal(a, b) }
	return same(g.limits, h.limits) && same(g.remaining, h.remaining) && same(g.used, h.used)
}

func (g *group) merge(h *group) {
	if g.limits == nil {
		g.limits = h.limits
	}
	if g.remaining == nil {
		g.remaining = h.remaining
	}
	if g.used == nil {
		g.used = h.used
	}
	if g.resets == nil {
		g.resets = h.resets
	}
	if g.window == (quota.Window{}) {
		g.window = h.window
	}
	if g.name == "" {
		g.name = h.name
	}
}

// buckets is how many buckets the lists are of: as many as there are limits
// when those differ and a count was told for each.
func (g *group) buckets() int {
	n := len(g.limits)
	if n > 1 && !allEqual(g.limits) && (len(g.remaining) == n || len(g.used) == n) {
		return n
	}
	return 1
}

func allEqual(list []decimal) bool {
	return !slices.ContainsFunc(list, func(d decimal) bool { return d != list[0] })
}

// pick is the value for bucket i of n: by position when there is one for each,
// else the worst of all.
func pick[T any](list []T, i, n int, worse func(a, b T) int) (v T, told bool) {
	switch {
	case len(list) == 0:
		return v, false
	case n > 1 && len(list) == n:
		return list[i], true
	}
	return slices.MinFunc(list, worse), true
}

func lower(a, b decimal) int {
	switch {
	case a.less(b):
		return -1
	case b.less(a):
		return 1
	}
	return 0
}

func higher(a, b decimal) int { return lower(b, a) }

// observation is what the group says of bucket i of n; false when that is
// nothing.
func (t *table) observation(g *group, i, n int) (o quota.Observation, ok bool) {
	limit, limited := pick(g.limits, i, n, lower)
	left, leftTold := pick(g.remaining, i, n, lower)
	used, usedTold := pick(g.used, i, n, higher)
	if limited && limit.neg {
		t.ignore(g.label(), "a limit below zero: there is none")
		return o, false
	}
	o = quota.Observation{
		Unit: unitOf(g.words), Quota: limit.floor(), Remaining: quota.Unknown, Window: g.window, Reset: g.reset(i, n),
	}
	if n == 1 { // one name cannot be of several buckets
		o.Limit = cmp.Or(g.name, g.words)
	}
	if leftTold {
		o.Remaining = left.floor()
	}
	if t.refused && limited && o.Quota == 0 && o.Remaining == 0 {
		t.ignore(g.label(), "none left of a limit of 0: not of the limit that these fields tell of else")
		o.Remaining = quota.Unknown
	}
	if usedTold {
		t.count(g, &o, used.ceil(), left.neg)
	}
	if o.Quota > 0 {
		o.Remaining = min(o.Remaining, o.Quota)
	}
	return o, true
}

// count takes a use into account: with a limit it says what is left, with what
// is left it says the limit, unless more was used than that.
func (t *table) count(g *group, o *quota.Observation, used int64, overdrawn bool) {
	switch {
	case o.Quota > 0 && o.Remaining == quota.Unknown:
		o.Remaining = max(o.Quota-used, 0)
	case o.Quota > 0:
		o.Remaining = min(o.Remaining, max(o.Quota-used, 0))
	case overdrawn:
	case o.Remaining != quota.Unknown:
		o.Quota = min(o.Remaining+used, quota.MaxQuota)
	default:
		t.ignore(g.label(), "a use without a limit")
	}
}

// reset is the latest of the resets, with the identity of one that was told as
// an instant. A duration is preferred: it needs no clock.
func (g *group) reset(i, n int) quota.Reset {
	if n > 1 && len(g.resets) == n {
		return g.resets[i]
	}
	var best quota.Reset
	var epoch int64
	for _, r := range g.resets {
		epoch = max(epoch, r.Epoch)
		better := r.After > best.After
		if (r.Epoch == 0) != (best.Epoch == 0) {
			better = r.Epoch == 0
		}
		if !best.Known || better {
			best = r
		}
	}
	best.Epoch = epoch
	return best
}

// label is the group as a name for what is ignored of it.
func (g *group) label() string {
	if g.words == "" {
		return g.family
	}
	return g.family + "-" + g.words
}
