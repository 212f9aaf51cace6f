package quota

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"
)

// world is a fleet, an upstream and a ledger in virtual time.
type world struct {
	rng    *rand.Rand
	now    time.Time
	events eventHeap
	seq    int
	up     *upstream
	ledger *Ledger
	store  map[recordID]Reservation // what was confirmed
	faults faults

	waiting map[string]int     // demand by caller: see callerOf
	blocked map[string]*Bucket // where a caller's demand waits
	users   []string
	// workers bounds the calls in flight, of which there are busy; 0 means none.
	workers, busy int

	granted, dead    int
	probes, innocent int // refusals of probes and of other calls
	// shrunk is when the limits last shrank, excused counts refusals of calls that
	// were granted before.
	shrunk  time.Time
	excused int
	check   func()
	// life counts the ledgers: a permit is good for the life of one.
	life int
	// distort makes of an answer what a user's caller reports, answered the same by
	// the permit.
	distort  func(user string, a *Answer)
	answered func(p *Permit, a *Answer)
	trace    func(format string, args ...any)
}

// faults are the odds of what goes wrong, each 0 to 1.
type faults struct {
	dieBefore, dieAfter, unsent float64 // after the grant; after sending; given back
	loseHeaders                 float64
	loseReset                   float64
	duplicate                   float64
	untimed                     float64 // the report does not say when it was sent
	slowSend, slowReport        time.Duration
	rtt                         time.Duration
	// sigma spreads each way's latency log-normally about half of rtt; 0 draws
	// it evenly from half to one and a half of it.
	sigma float64
	// lag are the odds of an answer from a node that has not heard of the last
	// lagBy calls.
	lag   float64
	lagBy int
	// jitter is how far a told reset lies from the truth, either way.
	jitter time.Duration
	// late is the most that a timer of ours is late.
	late time.Duration
	// sweeps are the odds, at each event, that what is idle is looked for.
	sweeps float64
}

// trip is how long a call, or its answer, is on its way.
func (w *world) trip() time.Duration {
	f := w.faults
	if f.sigma == 0 {
		return f.rtt/4 + w.upTo(f.rtt)/2
	}
	return time.Duration(float64(f.rtt) / 2 * math.Exp(f.sigma*w.rng.NormFloat64()))
}

// spoil is what the answer says once faulty nodes have written it.
func (w *world) spoil(t told) told {
	if t.ok && w.chance(w.faults.lag) {
		t.remaining = w.up.told[max(0, len(w.up.told)-w.faults.lagBy-1)]
	}
	if j := w.faults.jitter; j > 0 {
		off := (w.upTo(2*j) - j).Round(time.Second)
		t.reset = max(0, t.reset+off)
		if t.epoch != 0 {
			t.epoch += int64(off / time.Second)
		}
	}
	return t
}

func newWorld(seed uint64, start time.Time, up *upstream, rules *Rules, f faults) *world {
	up.windows = map[string]*trueWindow{}
	return &world{
		rng: rand.New(rand.NewPCG(seed, 1)), now: start, up: up, faults: f,
		ledger: NewLedger(rules, seed), store: map[recordID]Reservation{},
		waiting: map[string]int{}, blocked: map[string]*Bucket{},
	}
}

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.events, event{w.now.Add(d), w.seq, do})
}

func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

func (w *world) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

// want adds demand of a user.
func (w *world) want(user string, n int) {
	if w.waiting[user] == 0 {
		w.users = append(w.users, user)
	}
	w.waiting[user] += n
}

// run plays all events until the end.
func (w *world) run(end time.Time) {
	for {
		w.serve()
		next := w.ledger.Wake(w.now)
		if !next.IsZero() {
			next = next.Add(w.upTo(w.faults.late))
			if !next.After(w.now) {
				next = w.now.Add(time.Millisecond)
			}
		}
		if next.IsZero() || len(w.events) > 0 && w.events[0].at.Before(next) {
			next = time.Time{}
		}
		switch {
		case next.IsZero() && len(w.events) == 0:
			return
		case next.IsZero():
			e := heap.Pop(&w.events).(event)
			w.now = e.at
			e.do()
		default:
			w.now = next
		}
		if w.now.After(end) {
			return
		}
		if w.chance(w.faults.sweeps) {
			w.ledger.swept = -few
		}
		w.ledger.Advance(w.now)
		w.ledger.Opened()
		w.ledger.Changed()
		w.reserve()
		if w.check != nil {
			w.check()
		}
	}
}

// reserve is a store that never fails.
func (w *world) reserve() {
	for range 4 {
		wanted := w.ledger.Wanted(w.now)
		if len(wanted) == 0 {
			return
		}
		for _, r := range wanted {
			merge(w.store, r)
		}
		w.ledger.Reserved(w.now, wanted)
	}
}

// serve grants to whoever can be granted, the longest waiting user first.
func (w *world) serve() {
	for i := 0; i < len(w.users); {
		user := w.users[i]
		if w.waiting[user] > 0 && w.take(user) {
			w.waiting[user]--
			continue
		}
		if w.waiting[user] == 0 {
			w.users = append(w.users[:i], w.users[i+1:]...)
			continue
		}
		i++
	}
}

func (w *world) take(user string) bool {
	if w.workers > 0 && w.busy >= w.workers {
		return false
	}
	name, endpoint := callerOf(user)
	scope := Scope{API: "api", App: "app", User: name, Endpoint: endpoint}
	r := Request{Scope: scope, Turn: w.blocked[user]}
	d := w.ledger.Take(w.now, r)
	if d.Reason == Reserving {
		w.reserve()
		d = w.ledger.Take(w.now, r)
	}
	w.block(user, d.Bucket)
	if !d.Allowed() {
		return false
	}
	w.granted++
	w.busy++
	w.logf("grant %s -> %s", user, w.state(d.Permit))
	w.send(user, d.Permit)
	return true
}

// block moves a user's demand to the queue of the bucket that denied it.
func (w *world) block(user string, b *Bucket) {
	was := w.blocked[user]
	if was == b {
		return
	}
	w.blocked[user] = b
	for _, b := range []*Bucket{was, b} {
		n := 0
		for _, other := range w.blocked {
			if other == b {
				n++
			}
		}
		if b != nil {
			w.ledger.Queue(b, n)
		}
	}
}

// send lets a caller make its call, or fail to.
func (w *world) send(user string, p *Permit) {
	probe := false
	for _, c := range p.charges {
		probe = probe || c.bucket.available() < 0 || c.bucket.state != Open || c.bucket.quota == 0 || c.bucket.unsure || c.bucket.unrecorded()
	}
	f, life := w.faults, w.ledger
	switch {
	case w.chance(f.dieBefore):
		w.dead++
		w.logf("died g=%v", p.GrantedAt.Sub(epoch))
		return
	case w.chance(f.unsent):
		w.after(w.upTo(f.slowSend), func() { life.Release(w.now, p) })
		return
	}
	w.after(w.upTo(f.slowSend), func() {
		sent := w.now
		w.after(w.trip(), func() {
			t := w.spoil(w.up.arrive(user, w.now))
			w.logf("arrive %s g=%v ok=%v probe=%v told=%+v", user, p.GrantedAt.Sub(epoch), t.ok, probe, t)
			switch {
			case !t.ok && probe:
				w.probes++
			case !t.ok && p.GrantedAt.Before(w.shrunk):
				w.excused++
			case !t.ok:
				w.innocent++
			}
			dies := w.chance(f.dieAfter)
			if dies {
				w.dead++
			}
			w.after(w.trip(), func() {
				if w.up.leave(); !dies {
					w.report(life, p, t, sent, w.now)
				}
			})
		})
	})
}

// report tells the ledger what came back; one that did not grant the call only
// hears of it.
func (w *world) report(life *Ledger, p *Permit, t told, sent, received time.Time) {
	a := Answer{Sent: sent, Received: received}
	if w.chance(w.faults.untimed) {
		a.Sent, a.Received = time.Time{}, time.Time{}
	}
	if !t.ok {
		a.Verdict = Refused
	}
	switch {
	case w.up.bare && !t.ok:
		a.Observations = []Observation{{Blocked: true, Says: true, Per: Parts{User: t.refusing.perUser}, Window: Window{Kind: Calendar, Unit: Day}}}
	case w.up.bare, w.up.mute:
	case !w.chance(w.faults.loseHeaders):
		o := Observation{Quota: t.quota, Remaining: t.remaining, Blocked: !t.ok && t.remaining == 0}
		if !w.chance(w.faults.loseReset) {
			o.Reset = Reset{Known: true, After: t.reset, Epoch: t.epoch}
			if t.epoch != 0 {
				// Both the epoch and the Date are whole seconds.
				o.Reset.After = max(0, t.reset-time.Second/2)
				o.Reset.Slack = 3 * time.Second / 2
			}
		}
		a.Observations = []Observation{o}
	}
	w.busy--
	if w.distort != nil {
		w.distort(p.Scope.User, &a)
	}
	if w.answered != nil {
		w.answered(p, &a)
	}
	deliver := func() {
		if life == w.ledger {
			life.Settle(w.now, p, a)
		} else {
			w.ledger.Observe(w.now, p.Scope, a)
		}
		w.logf("report g=%v %+v -> %s", p.GrantedAt.Sub(epoch), short(a.Observations), w.state(p))
	}
	w.after(w.upTo(w.faults.slowReport), deliver)
	if w.chance(w.faults.duplicate) {
		w.after(w.upTo(w.faults.slowReport), deliver)
	}
}
