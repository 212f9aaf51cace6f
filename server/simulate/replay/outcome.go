package replay

import (
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// outcome is what happened in a recording, as far as it shows.
type outcome struct {
	result simulate.Result
	waits  []time.Duration
	// people are the users, order them as they came.
	people map[string]*person
	order  []*person
	// refusedAt is the first refusal since a call was served last; -1 without one.
	refusedAt time.Duration
}

type person struct{ wanted, served float64 }

func newOutcome() outcome { return outcome{people: make(map[string]*person), refusedAt: -1} }

func (o *outcome) of(user string) *person {
	p := o.people[user]
	if p == nil {
		p = &person{}
		o.people[user], o.order = p, append(o.order, p)
	}
	return p
}

func (o *outcome) wanted(user string) {
	o.result.Wanted++
	o.of(user).wanted++
}

func (o *outcome) answered(p permit, received time.Duration, status int) {
	o.result.Sent++
	switch {
	case status == simulate.StatusTooManyRequests:
		o.result.Refused++
		if o.refusedAt < 0 {
			o.refusedAt = received
		}
	case status < 400:
		o.result.Served++
		o.of(p.user).served++
		o.waits = append(o.waits, max(0, received-p.asked))
		if o.refusedAt >= 0 {
			o.result.LongestLockout = max(o.result.LongestLockout, received-o.refusedAt)
			o.refusedAt = -1
		}
	default:
		o.result.Failed++
	}
}

// Result is what happened, by the same measures as a run's: calls that were sent are
// those of which there is a report, and the longest lock-out is of all buckets
// together, from a refusal until the next call was served.
func (log *Log) Result() *simulate.Result {
	o := &log.outcome
	r := o.result
	slices.Sort(o.waits)
	if n := len(o.waits); n > 0 {
		r.WaitP50, r.WaitP99 = o.waits[n/2], o.waits[n*99/100]
	}
	var sum, squares, n float64
	for _, p := range o.order {
		if p.wanted > 0 {
			x := p.served / p.wanted
			sum, squares, n = sum+x, squares+x*x, n+1
		}
	}
	r.Fairness = 1
	if squares > 0 {
		r.Fairness = sum * sum / n / squares
	}
	return &r
}
