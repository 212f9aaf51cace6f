package quota

import (
	"slices"
	"strings"
	"time"
)

// What was learned of the costs of calls is recorded apart from the buckets: of each
// limit and endpoint in a record of its own, whose Began is when that was last so.

const (
	// nameCosts begins the name under which the costs of a limit's calls are recorded,
	// which no limit can have.
	nameCosts = "costs" + labelSep
	// recordAnew is after how long a record of costs that still hold is written again, so
	// that a store does not take them for forgotten.
	recordAnew = 24 * time.Hour
	// lentCalls is what the calls of an earlier owner weigh at most against those that
	// come, by the share of the quota that they took.
	lentCalls = 64
)

// CostLesson is what is recorded of what calls of an endpoint were learned to take of a
// limit; the zero value is nothing, or nothing any more.
type CostLesson struct {
	// Requests is how many requests a call weighs by the upstream's numbers, Answers how
	// many of the last answers showed that, and Needed how many must; 0 when none did.
	Requests, Answers, Needed int64
	// Most is the most that a call took by reports, and Share the most as a share of what
	// was said before, in 64ths; 0 when they did not tell.
	Most, Share int64
	// Fell is by how much numbers fell while so many Calls were answered, of whatever
	// endpoints: it stands with the empty one.
	Fell, Calls int64
}

// costID identifies a record of costs.
type costID struct{ limit, endpoint string }

// keptCost is what is recorded of the costs of an endpoint, or is to be.
type keptCost struct {
	CostLesson
	unit string
	// at is when it was learned, or was still so.
	at instant
}

// costLesson is what is known of the costs of an endpoint.
func (f *family) costLesson(endpoint string) (c CostLesson) {
	if w := f.weights[endpoint]; w != nil && w.cost > 1 {
		c.Requests, c.Answers, c.Needed = w.cost, w.agreeing(), int64(w.needed)
	}
	if e := f.costs[endpoint]; e != nil {
		c.Most, c.Share = e.most, e.share
	}
	if e := f.overall; e != nil && endpoint == "" {
		c.Fell, c.Calls = e.fell, e.calls
	}
	return c
}

// holds reports whether a record still says what is known: of what was told no less, and
// not much more; of what is reckoned about as much.
func (c *CostLesson) holds(known *CostLesson) bool {
	near := func(recorded, known int64) bool { return known <= recorded && recorded-known <= recorded/4 }
	was, is := c.each(), known.each()
	return c.Requests == known.Requests && near(c.Most, known.Most) && near(c.Share, known.Share) &&
		(c.Calls > 0) == (known.Calls > 0) && max(was-is, is-was) <= was/4
}

// each is what one call took by how numbers fell.
func (c *CostLesson) each() int64 { return (c.Fell + max(1, c.Calls) - 1) / max(1, c.Calls) }

// keepCost wants recorded what is known by now of the costs of an endpoint, where that is
// not what is.
func (l *Ledger) keepCost(now instant, b *Bucket, endpoint string) {
	f := b.family
	known, was := f.costLesson(endpoint), f.kept[endpoint]
	if was.holds(&known) && (known == (CostLesson{}) || now.sub(was.at) < recordAnew) {
		return
	}
	if f.kept == nil || len(f.kept) >= 2*maxEstimates {
		f.kept = make(map[string]keptCost)
	}
	f.kept[endpoint] = keptCost{known, b.rule.Counts(), max(now, was.at+1)}
	l.unkept[costID{b.rule.Name, endpoint}] = struct{}{}
}

// wantedCosts appends the records of costs that are to be written.
func (l *Ledger) wantedCosts(wanted []Reservation) []Reservation {
	for id := range l.unkept {
		f := l.families[id.limit]
		if f == nil || f.kept[id.endpoint].at == 0 {
			delete(l.unkept, id) // forgotten meanwhile
			continue
		}
		k := f.kept[id.endpoint]
		wanted = append(wanted, Reservation{
			Limit: nameCosts + id.limit, Key: Scope{API: l.home.API, App: l.home.App, Endpoint: id.endpoint},
			Began: int64(k.at), Hi: int64(k.at), Provenance: Learned, Unit: k.unit, Cost: k.CostLesson,
		})
	}
	return wanted
}

// costsOf is the limit of whose calls a record has the costs; ok is false for a bucket's.
func (r *Reservation) costsOf() (limit string, ok bool) { return strings.CutPrefix(r.Limit, nameCosts) }

// costKept confirms that a record of costs is durable.
func (l *Ledger) costKept(limit string, r *Reservation) {
	if f := l.families[limit]; f == nil || int64(f.kept[r.Key.Endpoint].at) == r.Began {
		delete(l.unkept, costID{limit, r.Key.Endpoint})
	}
}

// restoreCost takes over what an earlier owner learned of the costs of an endpoint, where
// the limit still counts in that unit.
func (l *Ledger) restoreCost(limit string, r *Reservation) {
	i := l.rules.index(limit)
	var rule *Limit
	switch told := slices.IndexFunc(l.told, func(rule *Limit) bool { return rule.Name == limit }); {
	case i >= 0:
		rule = &l.rules.Limits[i]
	case told >= 0:
		rule = l.told[told]
	default:
		return
	}
	f := l.family(limit)
	if rule.Counts() != r.Unit || len(f.kept) >= maxEstimates {
		return
	}
	f.relearn(r.Key.Endpoint, r.Unit, &r.Cost)
	if f.kept == nil {
		f.kept = make(map[string]keptCost)
	}
	f.kept[r.Key.Endpoint] = keptCost{r.Cost, r.Unit, instant(r.Began)}
}

// relearn goes on with recorded costs. None of them makes a call cheaper than it is where
// nothing was learned; but a share of the quota, by no more than others make it soon.
func (f *family) relearn(endpoint, unit string, c *CostLesson) {
	if c.Requests > 1 {
		f.weightOf(endpoint).relearn(c)
	}
	if c.Most > 0 || c.Share > exactly {
		least := int64(0)
		if unit == Share {
			least = OnePercent / lentCalls
		}
		*f.learned(endpoint) = estimate{most: min(max(least, c.Most), MaxCost), share: min(max(c.Share, exactly), mostShare)}
	}
	if calls := min(c.Calls, MaxQuota); endpoint == "" && calls > 0 && c.Fell > 0 {
		fell := min(c.Fell, MaxQuota)
		if calls > lentCalls {
			fell, calls = fell/calls*lentCalls+(fell%calls*lentCalls+calls-1)/calls, lentCalls
		}
		f.overall = &estimate{fell: fell, calls: calls}
	}
}

// relearn goes on with a recorded weight.
func (w *weight) relearn(c *CostLesson) {
	w.cost = min(c.Requests, MaxCost)
	w.needed = int(min(max(c.Needed, agreeingGaps), mostAgreeing))
	w.seen = int(min(max(c.Answers, 0), maxGaps))
	for i := range w.seen {
		w.gaps[i] = w.cost
	}
}

// agreeing is how many of the last gaps show the weight.
func (w *weight) agreeing() int64 {
	equal, _ := compare(w.gaps[:min(w.seen, maxGaps)], w.cost)
	return int64(equal)
}
