package simulate

import (
	"slices"
	"time"
)

// Result is the judge's verdict on one run.
type Result struct {
	// Scenario and Variant are its names, Seed what made its chances.
	Scenario, Variant string
	Seed              uint64
	// Hash is that of everything that happened: two runs with the same hash were
	// the same.
	Hash uint64
	// Wanted is the calls that were wanted, one each however often its caller had
	// to come back for it, Sent how often one was sent, Served the calls that did
	// what they were made for: the goodput.
	Wanted, Sent, Served int64
	// Refused is the 429s that our calls met. Unaware are those of them that were
	// sent before the answer to the first, since a call of the same bucket was
	// counted last, had reached its caller; Probes those of the rest that the
	// strategy had marked.
	Refused, Unaware, Probes int64
	// Failed is the other answers that did not serve: those of an outage by 503.
	Failed int64
	// Lost is how often a caller died, Dropped the calls that were given back unsent,
	// GaveUp those whose callers lost their patience.
	Lost, Dropped, GaveUp int64
	// LongestLockout is the longest time from a bucket's refusal to the next call
	// that it counted, or to the end of the run.
	LongestLockout time.Duration
	// WaitP50 and WaitP99 are the medians and the 99th percentiles of the time from
	// a call's demand to its answer, of those that were served.
	WaitP50, WaitP99 time.Duration
	// Fairness is Jain's index over the users of the share of their calls that
	// were served: 1 when all have the same, 1/n when one of n has everything.
	Fairness float64
	// Windows are those of all buckets that had a call or a demand, in the order in
	// which they began.
	Windows []Window
	// Timeline has the samples that the scenario asks for.
	Timeline []Sample
	// Fired is how often each fault came true.
	Fired Fired
}

// RefusedPer10k is the 429s of ten thousand calls that were sent.
func (r *Result) RefusedPer10k() float64 {
	if r.Sent == 0 {
		return 0
	}
	return 1e4 * float64(r.Refused) / float64(r.Sent)
}

// Used is the part that was used of the contended windows of these limits, of
// all when none is named: the sum of what they counted by the sum of what there
// was. Of each bucket the first windows are left out, so many as skip says. It
// is false when no window was contended.
func (r *Result) Used(skip int, limits ...string) (used float64, ok bool) {
	counted, had := r.contended(skip, limits)
	if had == 0 {
		return 0, false
	}
	return float64(counted) / float64(had), true
}

// contended sums the contended windows, by what they counted and what there was.
func (r *Result) contended(skip int, limits []string) (counted, had int64) {
	seen := make(map[bucketName]int)
	for i := range r.Windows {
		w := &r.Windows[i]
		if !w.Whole || len(limits) > 0 && !slices.Contains(limits, w.Limit) {
			continue
		}
		name := bucketName{w.Limit, w.Key}
		seen[name]++
		if seen[name] > skip && w.Contended && w.Quota > 0 {
			counted += min(w.Counted, w.Quota)
			had += w.Quota
		}
	}
	return counted, had
}

type bucketName struct {
	limit string
	key   Call
}

// tally is what a run counts as it goes.
type tally struct {
	hash                          uint64
	wanted                        int64
	sent, served, refused, failed int64
	losses, drops, gaveUp         int64
	waits                         []int64
	// people are the users in the order in which they were first called for.
	people   []*person
	byName   map[string]*person
	timeline []Sample
}

// person is what a user wanted and got.
type person struct{ wanted, served int64 }

func (t *tally) of(user string) *person {
	p := t.byName[user]
	if p == nil {
		p = &person{}
		t.people = append(t.people, p)
		t.byName[user] = p
	}
	return p
}

// arrived books the answer to a call.
func (t *tally) arrived(j *Job) {
	switch {
	case j.reply.Served():
		t.served++
		t.of(j.Call.User).served++
	case j.reply.Status == StatusTooManyRequests:
		t.refused++
	default:
		t.failed++
	}
}

// done books how long a call that was served took.
func (r *run) done(j *Job) {
	r.waits = append(r.waits, r.now-j.Wanted.UnixNano())
}

// result judges the run.
func (r *run) result() *Result {
	end := instant(r.end)
	res := &Result{
		Scenario: r.scenario.Name, Variant: r.scenario.Variant, Seed: r.seed, Hash: r.hash,
		Wanted: r.wanted, Sent: r.sent, Served: r.served, Refused: r.refused, Failed: r.failed,
		Unaware: r.up.books.unaware, Probes: r.up.books.probes, Lost: r.losses, Dropped: r.drops, GaveUp: r.gaveUp,
		LongestLockout: r.up.Score(end).LongestLockout,
		Timeline:       r.timeline, Fired: r.up.fired, Fairness: r.fairness(),
	}
	r.up.settle(r.end)
	res.Windows = r.up.Windows()
	for i := range res.Windows {
		w := &res.Windows[i]
		w.Whole = !w.Began.Before(r.scenario.Start) && !w.Ends.After(end)
	}
	slices.Sort(r.waits)
	if n := len(r.waits); n > 0 {
		res.WaitP50, res.WaitP99 = time.Duration(r.waits[n/2]), time.Duration(r.waits[n*99/100])
	}
	return res
}

// fairness is Jain's index of the shares that users were served; 1 without any.
func (t *tally) fairness() float64 {
	var sum, squares, n float64
	for _, p := range t.people {
		x := float64(p.served) / float64(p.wanted)
		sum += x
		squares += x * x
		n++
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / n / squares
}
