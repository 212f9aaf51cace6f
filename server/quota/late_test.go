package quota

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// twins are two ledgers to which the same happens, of which one looks at the clock
// all the time and the other only when it is asked something.
type twins struct {
	*history
	late    *Ledger
	permits map[*Permit]*Permit // of the prompt ledger's, the late one's
}

// take asks both; false where the late one holds back what the prompt one does not,
// and their histories part.
func (w *twins) take(d dice) (together bool) {
	r := Request{Scope: w.scope(&d), Costs: []Costs{nil, nil, {Requests: 2}, {"tokens": 6}}[d.roll(4)]}
	for range 3 {
		for _, l := range []*Ledger{w.l, w.late} {
			l.Reserved(w.now, l.Wanted(w.now))
		}
		probes := w.probes()
		prompt, late := w.l.Take(w.now, r), w.late.Take(w.now, r)
		switch {
		case late.Allowed() && prompt.Allowed():
			w.permits[prompt.Permit] = late.Permit
			w.history.permits = append(w.history.permits, prompt.Permit)
			w.fate[prompt.Permit] = ""
			return true
		case prompt.Allowed() || late.Reason == Reserving && prompt.Reason != Reserving:
			return false
		case late.Allowed() && prompt.Reason == Exhausted && (w.leftToOthers(prompt, r) || w.probes() > probes):
			return false
		case late.Allowed() && prompt.Reason != Reserving:
			b := prompt.Bucket
			w.Fatalf("late allows what %s denies in time: %v until %v\n%s", b.Name(), prompt.Reason, prompt.RetryAt.Sub(epoch), diff(dump(w.late), dump(w.l)))
		case late.Allowed():
			return false
		case prompt.Reason != Reserving:
			return true
		}
	}
	return true
}

// leftToOthers reports whether a call is held back only for what others may take.
func (w *twins) leftToOthers(d Decision, r Request) bool {
	cost, _ := w.l.costOf(d.Bucket, r.Scope.Endpoint, r.Costs)
	return d.Bucket.drift() != nil && d.Bucket.available() >= cost
}

// probes is how many probes the late ledger has sent: what it has not noticed lapses
// in a later window, and a quarter of a quota that lapsed unheard is asked after.
func (w *twins) probes() (n uint64) {
	for _, t := range w.late.Tallies {
		n += t.Probes
	}
	return n
}

// pass lets time pass in steps, at which only the prompt ledger looks.
func (w *twins) pass(d time.Duration) {
	for range 8 {
		w.now = w.now.Add(d / 8)
		w.l.Advance(w.now)
	}
	for _, p := range w.history.permits {
		if w.fate[p] == "" && !p.Outstanding() {
			w.fate[p] = "lapsed"
		}
	}
}

func (w *twins) step(d dice) (together bool) {
	switch what := d.roll(12); {
	case what < 5:
		return w.take(d)
	case what < 8:
		if p := w.some(&d, "", "lapsed"); p != nil {
			a := w.answer(&d)
			if got, want := w.late.Settle(w.now, w.permits[p], a), w.l.Settle(w.now, p, a); got != want {
				w.Fatalf("settled: late %v, in time %v", got, want)
			}
			w.fate[p] = "settled"
		}
	case what == 8:
		if p := w.some(&d, ""); p != nil {
			if got, want := w.late.Release(w.now, w.permits[p]), w.l.Release(w.now, p); got != want {
				w.Fatalf("released: late %v, in time %v", got, want)
			}
			w.fate[p] = "released"
		}
	case what == 9:
		w.pass(d.ms(30_000))
	default:
		w.pass(d.ms(3000))
	}
	return true
}

// Fault 24: a ledger whose timers are late, or never fire, grants nothing that one
// denies which looks at the clock all the time, but a probe, and what that one leaves
// to others: what lapsed in windows that nobody looked at counts as our own in the
// next, so less of what was used is thought to be theirs.
func TestPropertyLateAllowsNoMore(t *testing.T) {
	steps, parted := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		w := &twins{history: h, late: NewLedger(h.l.rules, 1), permits: map[*Permit]*Permit{}}
		for _, seed := range rapid.SliceOfN(rapid.Uint64(), 20, 50).Draw(t, "steps") {
			s := splitmix(seed)
			if steps++; !w.step(dice(s.next())) {
				parted++
				return
			}
		}
	})
	t.Logf("%d steps, %d histories parted", steps, parted)
	if steps < 200 {
		t.Errorf("%d steps together", steps)
	}
}
