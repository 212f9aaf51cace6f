package quota

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// deed is what one step of a history did.
type deed struct {
	permit   *Permit // the one that was granted, settled or released
	granted  bool
	released bool
	settled  bool // while it was outstanding
	observed bool
	answer   Answer
}

// view is what a bucket holds between two steps.
type view struct {
	ident            instant
	available, quota int64
	state            State
	until            instant
	counts           bool // in windows, and of a quota that is known
}

// blank is a cost that was spent without a number.
type blank struct {
	at   instant
	cost int64
}

// window is one of a bucket's, and how many permits had been granted before it.
type window struct {
	ident   instant
	granted int
}

// laws watches a history for what must hold between any two of its steps.
type laws struct {
	views map[*Bucket]view
	// windows is since which of all permits each bucket's window holds.
	windows map[*Bucket]window
	// refuted has the limits of which answers told, and that were none: the permits
	// that they were charged for are charged no more.
	refuted map[string]bool
	blanks  map[*Bucket][]blank
	fired   map[string]int
}

func (h *history) look() {
	now := at(h.now)
	clear(h.laws.views)
	for b := range h.l.Buckets(Scope{}) {
		b.advance(now)
		v := view{ident: b.ident, available: b.available(), quota: b.quota, state: b.state}
		v.counts = b.windowed() && !b.logged() && !b.gate && b.quota > 0
		if b.state != Open {
			v.until = b.until
		}
		h.laws.views[b] = v
		h.windowOf(b)
	}
}

// windowOf is the bucket's present window. One that an answer proves may begin at
// the very instant of the last one's grants.
func (h *history) windowOf(b *Bucket) window {
	w, ok := h.laws.windows[b]
	switch {
	case !ok:
		w = window{b.ident, 0}
	case w.ident != b.ident:
		w = window{b.ident, len(h.permits)}
	}
	h.laws.windows[b] = w
	return w
}

// judge compares what every bucket held before a step with what it holds now.
func (h *history) judge(d deed) {
	for b, before := range h.laws.views {
		if b.dropped {
			h.laws.refuted[b.Name()] = b.rule.Provenance == Told
			continue
		}
		b.advance(at(h.now))
		h.windowOf(b)
		if before.counts && b.windowed() && !b.logged() && b.quota > 0 && b.m < unbounded {
			h.judgeBucket(b, before, d)
		}
		if d.granted && d.permit.charged(b) {
			h.judgeGrant(b, before)
		}
	}
	h.judgeRevoked(d)
	h.judgeTallies()
}

// S1: beyond its quota nothing is granted, of what was answered, is on its way or
// was lost in this window, by a count of our own; and no quota is more than what
// was configured. In which window a call was counted whose answer told a reset is for
// that to say: there the over-grant properties judge, by an upstream's own count.
// S10: nor anything while it cools down.
func (h *history) judgeGrant(b *Bucket, before view) {
	if before.state == Cooling && at(h.now) < before.until {
		h.Fatalf("%s granted while it cools down until %v", b.Name(), before.until.time().Sub(epoch))
	}
	if !before.counts || before.available <= 0 {
		return // a probe, or one that says so itself
	}
	sum, since := int64(0), max(b.turned, at(h.now).add(-b.rule.Window.period()))
	for _, p := range h.permits[min(h.windowOf(b).granted, len(h.permits)):] {
		for _, c := range p.charges {
			counted := h.fate[p] == "" || h.fate[p] == "settled" && h.passed[p]
			if c.bucket == b && p.granted >= since && counted {
				sum += c.cost
			}
		}
	}
	h.laws.fired["S1"]++
	if sum > b.quota {
		h.Fatalf("S1: %s granted %d of %d in this window", b.Name(), sum, b.quota)
	}
}

func (h *history) judgeBucket(b *Bucket, before view, d deed) {
	now := view{ident: b.ident, available: b.available(), quota: b.quota, state: b.state}
	if r := b.rule; r.Provenance == Configured && b.quota > r.Quota {
		h.Fatalf("S1: %s has %d, %d are configured", b.Name(), b.quota, r.Quota)
	}
	// S4: what is there, what we used and what others did is no more than the quota.
	if all := now.available + b.n + b.o + b.foreign(); all > b.quota {
		h.Fatalf("S4: %s has %d available, %d used, %d on its way, %d of others: more than %d", b.Name(), now.available, b.n, b.o, b.foreign(), b.quota)
	}
	if now.ident != before.ident {
		if d.permit == nil && !d.observed {
			h.judgeTurn(b)
		}
		return
	}
	if now.quota > before.quota || before.state != Open && now.state != before.state {
		return // S6 (ii), (iii): confirmed
	}
	most, known := before.available, true
	cost := int64(0)
	if d.permit != nil && b.rule.Per.Applies(d.permit.Scope) {
		cost = h.l.chargeOf(d.permit, b).cost
	}
	switch {
	case d.granted:
		if d.permit.charged(b) {
			most -= cost
		}
	case d.released:
		most += cost // S6 (i)
	case d.settled && d.answer.Verdict != Passed && !d.answer.Unanswered:
		most += cost // the upstream did not count it
		known = false
	case d.permit != nil:
		known = d.answer.Unanswered || d.answer.Verdict == Passed && len(d.answer.Observations) == 0
	}
	if !known {
		most = max(most, b.m-b.o) // S6 (ii), (iv): what a number says, less what is on its way
	}
	if b.alone() {
		most = max(most, b.quota-b.n-b.lost-b.o) // a number may have had it already
	}
	h.laws.fired["S6"]++
	if now.available > most {
		h.Fatalf("S6: %s rose from %d to %d, want at most %d, by %+v", b.Name(), before.available, now.available, most, d)
	}
}

// S3: what may belong to the window that began is charged to it: what is on its
// way, and what was spent without a number since the last may have ended.
func (h *history) judgeTurn(b *Bucket) {
	if b.last == nil || !b.last.end.known() {
		return
	}
	carried, period := b.o, b.rule.Window.period()
	for _, c := range h.laws.blanks[b] {
		if c.at > b.last.end.lo && (period == 0 || c.at.add(period) > b.last.end.hi) { // else its window is over
			carried += c.cost
		}
	}
	if carried > 0 {
		h.laws.fired["S3"]++
	}
	if left := b.quota - b.available(); left < carried {
		h.Fatalf("S3: %s began with %d charged, and %d may belong to it", b.Name(), left, carried)
	}
}

// spend notes what is spent without a number.
func (h *history) spend(p *Permit, when instant) {
	for _, c := range p.charges {
		h.laws.blanks[c.bucket] = append(h.laws.blanks[c.bucket], blank{when, c.cost})
	}
}

// S10: a revocation makes every permit void that it matches and that was granted
// before, and none that is granted after.
func (h *history) judgeRevoked(d deed) {
	for _, r := range h.l.Revoked() {
		for _, p := range h.permits {
			if p.Scope.Matches(r.Scope) && p.Generation >= r.Generation {
				h.Fatalf("S10: a permit of %d is not revoked by %d", p.Generation, r.Generation)
			}
		}
		h.laws.fired["S10"]++
		h.generation = max(h.generation, r.Generation)
	}
	if d.granted && d.permit.Generation < h.generation {
		h.Fatalf("S10: granted with the generation %d after %d was revoked", d.permit.Generation, h.generation)
	}
}

// S4: every charge is in exactly one state.
func (h *history) judgeTallies() {
	type count struct{ granted, out, settled, released, lapsed uint64 }
	counts := map[string]*count{}
	for _, p := range h.permits {
		for _, charge := range p.charges {
			if charge.bucket.concurrent() {
				continue // its calls are held for longer than they are out
			}
			c := counts[charge.bucket.Name()]
			if c == nil {
				c = &count{}
				counts[charge.bucket.Name()] = c
			}
			c.granted++
			switch h.fate[p] {
			case "":
				c.out++
			case "settled":
				c.settled++
			case "released":
				c.released++
			case "lapsed", "lapsed and lost":
				c.lapsed++
			case "lapsed and heard":
				c.lapsed++
				c.settled++
			}
		}
	}
	for name, t := range h.l.Tallies {
		if c := counts[name]; c != nil && !h.laws.refuted[name] && (t.Granted != c.granted || t.Settled != c.settled || t.Released != c.released || t.Lapsed != c.lapsed) {
			h.Fatalf("S4: %s: %+v, but the permits say %+v", name, t, *c)
		}
	}
	h.laws.fired["S4"]++
}

// The invariants S1, S3, S4, S6 and S10 hold between any two steps of any history;
// S5 and that each permit ends once are checked by the history itself.
func TestPropertyLaws(t *testing.T) {
	fired := map[string]int{}
	cases := 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.laws = &laws{map[*Bucket]view{}, map[*Bucket]window{}, map[string]bool{}, map[*Bucket][]blank{}, fired}
		h.steps(20, 50)
		cases++
	})
	t.Log(fired)
	for _, law := range []string{"S1", "S3", "S4", "S6", "S10"} {
		if cases >= 100 && fired[law] == 0 {
			t.Errorf("%s was never put to the test", law)
		}
	}
}

// waiter is one caller at the head of a bucket's queue.
type waiter struct {
	bucket  *Bucket
	request Request
}

// L1: whoever waits has cause to, after every step: the bucket at which it waits
// opens, and says so, as soon as the call could be made; or the ledger knows when
// to look again.
func TestPropertyWorkConserving(t *testing.T) {
	woken := 0
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		var w *waiter
		for _, seed := range rapid.SliceOfN(rapid.Uint64(), 20, 50).Draw(t, "steps") {
			s := splitmix(seed)
			d := dice(s.next())
			if w == nil && d.roll(3) == 0 {
				w = h.wait(Request{Scope: h.scope(&d), Costs: []Costs{nil, {Requests: 2}}[d.roll(2)]})
			} else {
				h.step(d)
			}
			for range 4 {
				h.l.Reserved(h.now, h.l.Wanted(h.now))
			}
			h.l.Advance(h.now)
			if w = h.serve(w); w == nil {
				woken++
				continue
			}
			h.stillWaits(w)
		}
	})
	if woken == 0 {
		t.Error("nobody was ever woken")
	}
}

// wait stands at the bucket that denies the call; nil when it is granted.
func (h *history) wait(r Request) *waiter {
	d := h.l.Take(h.now, r)
	if d.Allowed() {
		h.permits = append(h.permits, d.Permit)
		h.fate[d.Permit] = ""
		return nil
	}
	if d.Reason == TooLarge {
		return nil
	}
	h.l.Queue(d.Bucket, 1)
	r.Turn = d.Bucket
	return &waiter{d.Bucket, r}
}

// serve lets the waiter try again when its bucket opened.
func (h *history) serve(w *waiter) *waiter {
	for w != nil {
		opened := false
		for _, b := range h.l.Opened() {
			opened = opened || b == w.bucket
		}
		if !opened && !w.bucket.dropped {
			return w
		}
		h.l.Queue(w.bucket, 0)
		r := w.request
		r.Turn = nil
		w = h.wait(r)
	}
	return nil
}

// stillWaits checks that a waiter that was not woken could not go.
func (h *history) stillWaits(w *waiter) {
	// A limit that an answer told of since may count its call instead.
	counts := slices.Contains(h.l.Counted(h.now, w.request.Scope), w.bucket)
	if d := h.l.Check(h.now, w.request); d.Allowed() && counts {
		h.Fatalf("L1: nobody woke the one who waits at %s: %+v", w.bucket.Name(), *w.bucket)
	}
	_, retry, _ := w.bucket.decide(at(h.now), w.bucket.want())
	wake := at(h.l.Wake(h.now))
	if retry != 0 && (wake == 0 || wake > retry) {
		h.Fatalf("L1: %s opens at %v, and the ledger looks again at %v", w.bucket.Name(), retry.time().Sub(epoch), wake.time().Sub(epoch))
	}
	if why, _, _ := w.bucket.decide(at(h.now), w.bucket.want()); why == Exhausted && retry == 0 && w.bucket.o == 0 && w.bucket.available() >= w.bucket.want() {
		h.Fatalf("L1: %s holds back what it has, and nothing is on its way: %+v", w.bucket.Name(), *w.bucket)
	}
}

// opensWithin is how long a history's calls can be held back at most: to the end of
// the longest window and once more as long, where nobody told when it began; and as
// long as an upstream can ask for, or a probe be waited for.
const opensWithin = 2*24*time.Hour + maxProbeGap + 2*backoffMax
