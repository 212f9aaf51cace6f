package quota

import (
	"cmp"
	"slices"
)

// maxLearnedCosts is how many endpoints are shown of which a cost was learned.
const maxLearnedCosts = 8

// LearnedCost is what a call of an endpoint is reserved, as it was learned because
// nobody says it.
type LearnedCost struct {
	// Endpoint is the endpoint; empty for calls without one.
	Endpoint string
	// Cost is what it is reserved, in the limit's unit: more than one request, or at
	// least one of another unit.
	Cost int64
	// Answers is how many of the last answers show that a call takes just so many
	// requests, by what they told of what remains; 0 where reports say what calls took.
	Answers int64
}

// LearnedCosts is what calls were learned to take of the bucket's limit, by endpoint:
// the greatest, a few at most. Nil when nothing was.
func (b *Bucket) LearnedCosts() (list []LearnedCost) {
	for endpoint, w := range b.weights {
		if w.cost > 1 {
			list = append(list, LearnedCost{Endpoint: endpoint, Cost: w.cost, Answers: w.agreeing()})
		}
	}
	for endpoint, e := range b.costs {
		if e.most > 0 {
			list = append(list, LearnedCost{Endpoint: endpoint, Cost: e.most})
		}
	}
	slices.SortFunc(list, func(x, y LearnedCost) int {
		return cmp.Or(cmp.Compare(y.Cost, x.Cost), cmp.Compare(x.Endpoint, y.Endpoint))
	})
	return list[:min(len(list), maxLearnedCosts)]
}
