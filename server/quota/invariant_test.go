package quota

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// mixed are rules of every kind together: what a call is counted by, in which
// unit, how its windows turn, whether its limits are known.
var mixed = [][]Limit{
	{},
	{daily(6)},
	{fixed(5, 10*time.Second)},
	{fixed(3, time.Second), daily(50)},
	{{Name: "learn", Window: Window{Kind: Calendar, Unit: Hour}}},
	{{Name: "no window", Quota: 5, Provenance: Configured}},
	{declared(2, Window{Kind: Refill, Period: 3 * time.Second, Burst: 5}), {Name: "slots", Quota: 3, Provenance: Configured, Window: Window{Kind: Concurrent}}},
	{declared(4, Window{Kind: Fixed, Period: 7 * time.Second, FirstUse: true}), {Name: "counter", Quota: 6, Provenance: Configured, Window: Window{Kind: Sliding, Period: 8 * time.Second, Counter: true}}},
	{
		{Name: "app", Quota: 9, Provenance: Configured, Window: Window{Kind: Fixed, Period: 10 * time.Second, Aligned: true}},
		{Name: "user", Per: Parts{User: true}, Quota: 4, Provenance: Configured, Window: Window{Kind: Fixed, Period: 7 * time.Second}},
		{Name: "tokens", Per: Parts{Endpoint: true}, Unit: "tokens", Quota: 20, Provenance: Configured, Window: Window{Kind: Sliding, Period: 5 * time.Second}},
	},
}

// history is a ledger to which anything happens, and what must hold throughout.
type history struct {
	*rapid.T
	l       *Ledger
	now     time.Time
	permits []*Permit // all that were granted
	fate    map[*Permit]string
	passed  map[*Permit]bool // whose call the upstream took, and whose answer told no reset
	denials int

	laws       *laws // nil when nobody watches
	did        deed  // by this step
	generation uint64
}

func newHistory(t *rapid.T) *history {
	limits := rapid.SampledFrom(mixed).Draw(t, "limits")
	return &history{
		T: t, now: epoch, fate: map[*Permit]string{}, passed: map[*Permit]bool{},
		l: NewLedger(&Rules{API: "api", Limits: limits, SendWithin: 2 * time.Second, ReportWithin: 20 * time.Second}, 1),
	}
}

// dice takes choices off one drawn number, so that a history shrinks well.
type dice uint64

func (d *dice) roll(n uint64) int {
	v := uint64(*d) % n
	*d /= dice(n)
	return int(v)
}

func (d *dice) ms(most uint64) time.Duration { return time.Duration(d.roll(most)) * time.Millisecond }

// steps does one thing for each number drawn. The generator prefers small numbers;
// they are scattered so that anything happens as often as anything else.
func (h *history) steps(least, most int) {
	for _, seed := range rapid.SliceOfN(rapid.Uint64(), least, most).Draw(h.T, "steps") {
		s := splitmix(seed)
		h.step(dice(s.next()))
	}
}

// step does one thing.
func (h *history) step(d dice) {
	if h.laws != nil {
		h.look()
		h.did = deed{}
		defer func() { h.judge(h.did) }()
	}
	switch what := d.roll(16); {
	case what < 6:
		h.take(d)
	case what < 10:
		h.settle(d)
	case what == 10:
		h.release(d)
	case what == 11:
		h.again(d)
	case what == 12:
		h.did.observed, h.did.answer = true, h.answer(&d)
		h.l.Observe(h.now, h.scope(&d), h.did.answer)
	case what == 13:
		h.pass(d.ms(30_000))
	default:
		h.pass(d.ms(1500))
	}
	h.check()
}

func (h *history) pass(d time.Duration) {
	h.now = h.now.Add(d)
	h.l.Advance(h.now)
	for _, p := range h.permits {
		due := !h.now.Before(p.GrantedAt.Add(2*time.Second + Flight))
		if due && h.fate[p] == "" {
			h.fate[p] = "lapsed"
			if h.laws != nil {
				h.spend(p, p.lapses)
			}
		}
	}
}

func (h *history) scope(d *dice) Scope {
	return Scope{API: "api", App: "app", User: []string{"u1", "u2", ""}[d.roll(3)], Endpoint: []string{"GET /", "PUT /"}[d.roll(2)]}
}

// take asks for a call, most often with a store that confirms.
func (h *history) take(d dice) {
	r := Request{Scope: h.scope(&d), Costs: []Costs{nil, nil, {Requests: 2}, {"tokens": 6}, {Requests: 0, "tokens": 1}}[d.roll(5)]}
	h.l.Advance(h.now)
	for range d.roll(5) {
		h.l.Reserved(h.now, h.l.Wanted(h.now))
	}
	route := h.l.Counted(h.now, r.Scope)
	probes := make([]bool, len(route))
	for i, b := range route {
		b.advance(at(h.now))
		cost, _ := h.l.costOf(b, r.Scope.Endpoint, r.Costs)
		probes[i] = b.gate || b.state == ProbingState || b.quota == 0 || b.tryDue(at(h.now), cost) || b.doubted().probeAt != 0 && at(h.now) >= b.doubted().probeAt
	}
	before := ""
	if d.roll(8) == 0 {
		before = decisive(h.l)
	}
	got := h.l.Take(h.now, r)
	if !got.Allowed() {
		h.denied(got, r)
		if before != "" && before != decisive(h.l) {
			h.Fatalf("a denied call changed the ledger:\n%s", diff(before, decisive(h.l)))
		}
		return
	}
	h.permits = append(h.permits, got.Permit)
	h.fate[got.Permit] = ""
	h.did.permit, h.did.granted = got.Permit, true
	if got.Bucket != nil || !got.Permit.Outstanding() || !got.Permit.GrantedAt.Equal(h.now) || len(got.Permit.charges) != len(route) {
		h.Fatalf("allowed: %+v", got)
	}
	for i, b := range route {
		cost, _ := h.l.costOf(b, r.Scope.Endpoint, r.Costs)
		h.charged(b, probes[i], cost)
	}
}

// charged holds for each bucket of a call that was just granted: never more than
// there is, nor than the store has confirmed, unless it is a probe.
func (h *history) charged(b *Bucket, probe bool, cost int64) {
	switch {
	case probe || cost == 0:
	case b.available() < 0:
		h.Fatalf("%s granted beyond what it holds: %d available", b.Name(), b.available())
	case b.stored() && b.spent() > b.reserved:
		h.Fatalf("%s spent %d of %d that are reserved", b.Name(), b.spent(), b.reserved)
	}
}

// denied checks that the bucket that decides a denial has cause.
func (h *history) denied(d Decision, r Request) {
	h.denials++
	b, now := d.Bucket, at(h.now)
	cost, _ := h.l.costOf(b, r.Scope.Endpoint, r.Costs)
	var cause bool
	switch d.Reason {
	case Exhausted:
		others := b.drift() != nil && (b.o > 0 || b.theirs(now) > 0 || b.takenSince(now) > 0 || now.sub(b.numberOf()) > probeGap)
		cause = b.available() < cost || others && !b.leaves(now, cost) || b.gate && b.governor() != nil && b.governor().holds(now) > now
	case CoolingDown:
		cause = b.state == Cooling && now < b.until && d.RetryAt.Equal(b.until.time())
	case Probing:
		cause = b.state == ProbingState && now < b.nextProbe || b.state == Ramping && int64(b.flying) >= b.width ||
			(b.quota == 0 || b.unsure) && now < b.doubted().nextAsk
	case Reserving:
		cause = b.stored() && b.spent()+cost > b.reserved && b.available() >= cost
	case TooLarge:
		cause = b.quota > 0 && cost > b.quota
	case Queued:
		cause = b.queued > 0
	default:
	}
	if !cause || d.Permit != nil {
		h.Fatalf("denied without cause: %+v by %s: %+v", d, b.Name(), *b)
	}
	if !d.RetryAt.IsZero() && !d.RetryAt.After(h.now) {
		h.Fatalf("denied with a retry at %v, which is now or past", d.RetryAt.Sub(epoch))
	}
}

// some is one of the permits to which the fate has happened, nil when it has to
// none.
func (h *history) some(d *dice, fates ...string) *Permit {
	var some []*Permit
	for _, p := range h.permits {
		if slices.Contains(fates, h.fate[p]) {
			some = append(some, p)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[d.roll(uint64(len(some)))]
}

func (h *history) answer(d *dice) Answer {
	a := Answer{Verdict: []Verdict{Passed, Passed, Passed, Passed, Refused, Overloaded}[d.roll(6)], Unanswered: d.roll(10) == 0}
	a.RetryAfter = []time.Duration{0, 0, time.Second, 20 * time.Second}[d.roll(4)]
	for range []int{0, 1, 1, 2}[d.roll(4)] {
		o := Observation{
			Quota: []int64{0, 4, 5, 6, 9, 1 << 60}[d.roll(6)], Remaining: int64(d.roll(9)) - 1,
			Limit: []string{"", "", "", "app", "new"}[d.roll(5)], Says: d.roll(3) == 0, Per: Parts{User: d.roll(2) == 0},
		}
		if d.roll(2) == 0 {
			o.Reset = Reset{Known: true, After: d.ms(12_000)}
		}
		o.Blocked = a.Verdict == Refused && o.Remaining == 0
		a.Observations = append(a.Observations, o)
	}
	return a
}

func (h *history) settle(d dice) {
	p := h.some(&d, "", "lapsed")
	if p == nil {
		return
	}
	a := h.answer(&d)
	h.did.permit, h.did.settled, h.did.answer = p, h.fate[p] == "", a
	if h.laws != nil && h.fate[p] == "" && (a.Unanswered || a.Verdict == Passed && len(a.Observations) == 0) {
		h.spend(p, at(h.now))
	}
	h.passed[p] = a.Verdict == Passed && !a.Unanswered && !slices.ContainsFunc(a.Observations, func(o Observation) bool { return o.Reset.Known })
	if !h.l.Settle(h.now, p, a) {
		h.Fatalf("a report for a permit that was %q is the first, and was not heard", h.fate[p])
	}
	switch {
	case h.fate[p] == "":
		h.fate[p] = "settled"
	case a.Unanswered:
		h.fate[p] = "lapsed and lost"
	default:
		h.fate[p] = "lapsed and heard"
	}
}

func (h *history) release(d dice) {
	p := h.some(&d, "", "lapsed")
	if p == nil {
		return
	}
	if got, want := h.l.Release(h.now, p), h.fate[p] == ""; got != want {
		h.Fatalf("released: %v, but its fate is %q", got, h.fate[p])
	}
	if h.fate[p] == "" {
		h.fate[p] = "released"
		h.did.permit, h.did.released = p, true
	}
}

// again reports and releases a permit that has ended: nothing changes.
func (h *history) again(d dice) {
	p := h.some(&d, "settled", "released", "lapsed and heard", "lapsed and lost")
	if p == nil {
		return
	}
	before := dump(h.l)
	if h.l.Settle(h.now, p, h.answer(&d)) || h.l.Release(h.now, p) {
		h.Fatalf("a permit that was %s ended again", h.fate[p])
	}
	if after := dump(h.l); after != before {
		h.Fatalf("a permit that was %s changed the ledger:\n%s", h.fate[p], diff(before, after))
	}
}

// check holds after every step: each permit has one fate, and each bucket's o is
// the sum of what is outstanding.
func (h *history) check() {
	out, flying := map[*Bucket]int64{}, map[*Bucket]int32{}
	for _, p := range h.permits {
		if p.Outstanding() != (h.fate[p] == "") {
			h.Fatalf("a permit is outstanding: %v, but its fate is %q", p.Outstanding(), h.fate[p])
		}
		for _, c := range p.charges {
			if !p.Outstanding() && !p.holds(c.bucket) {
				continue
			}
			out[c.bucket] += c.cost
			flying[c.bucket]++
		}
	}
	for b := range h.l.Buckets(Scope{}) {
		if b.o != out[b] || b.flying != flying[b] {
			h.Fatalf("%s: o %d and %d flying, but %d and %d are outstanding", b.Name(), b.o, b.flying, out[b], flying[b])
		}
		if b.n < 0 || b.a < b.aCov || b.aCov < 0 || heldBy(b) < 0 || b.lapsed() < 0 || b.lapsed() > b.a-b.aCov ||
			b.end.lo > b.end.hi {
			h.Fatalf("%s: not sound: %+v", b.Name(), *b)
		}
		delete(out, b)
	}
	if len(out) > 0 {
		h.Fatalf("%d permits are charged to a bucket that was dropped", len(out))
	}
}

// Whatever happens: a permit has one fate and a denial has cause; what is granted
// is there, for all buckets of the call or for none; and what is reported twice
// changes nothing.
func TestPropertyInvariants(t *testing.T) {
	var granted, denials int
	fates := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.steps(30, 60)
		granted, denials = granted+len(h.permits), denials+h.denials
		for _, fate := range h.fate {
			fates[fate]++
		}
	})
	t.Logf("%d granted, %d denied; %v", granted, denials, fates)
	for _, fate := range []string{"", "settled", "released", "lapsed", "lapsed and heard", "lapsed and lost"} {
		if granted > 1000 && (fates[fate] == 0 || denials == 0) {
			t.Errorf("no permit was %q, or nobody was denied", fate)
		}
	}
}

// L2: whatever happened before, with every report lost, a caller who asks again when
// it is told to gets a permit, soon after the longest window has ended.
func TestPropertyNoStall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.steps(15, 30)
		began := h.now
		var d Decision
		for range 60 {
			h.l.Advance(h.now)
			h.l.Reserved(h.now, h.l.Wanted(h.now))
			if d = h.l.Take(h.now, Request{Scope: call}); d.Allowed() {
				if waited := h.now.Sub(began); waited > opensWithin {
					t.Fatalf("L2: held back for %v", waited)
				}
				return
			}
			switch {
			case d.Reason == Reserving:
			case !d.RetryAt.IsZero():
				h.now = d.RetryAt
			default:
				h.now = h.now.Add(time.Second)
			}
		}
		t.Fatalf("still denied at %v: %+v by %s: %+v", h.now.Sub(epoch), d, d.Bucket.Name(), *d.Bucket)
	})
}
