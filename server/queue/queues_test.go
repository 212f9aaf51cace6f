package queue_test

import (
	"slices"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/queue"
	"github.com/quotabroker/quotabroker/server/quota"
)

// t0 is the beginning of a window of 10 s.
var t0 = time.Unix(1_700_000_000, 0)

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// hall is a host in which everybody waits for ever.
type hall struct {
	queues  *queue.Queues[string]
	ledger  *quota.Ledger
	places  map[string]*queue.Place[string]
	granted []string
	permits map[string]*quota.Permit
	blocked int
}

func (h *hall) Decide(_ time.Time, p *queue.Place[string], d quota.Decision) bool {
	if d.Allowed() {
		h.granted = append(h.granted, p.Who)
		h.permits[p.Who] = d.Permit
	}
	return !d.Allowed()
}

func (h *hall) Ends(d quota.Decision) bool { return d.Reason == quota.TooLarge }

func (h *hall) Blocked(time.Time, *queue.Queue[string], quota.Decision) { h.blocked++ }

// newHall has limits of aligned windows of 10 s, and its ledger.
func newHall(limits ...quota.Limit) *hall {
	h := newClosed(limits...)
	h.queues.Begin(h.ledger)
	return h
}

// newClosed is a hall whose queues have no ledger yet.
func newClosed(limits ...quota.Limit) *hall {
	h := &hall{places: map[string]*queue.Place[string]{}, permits: map[string]*quota.Permit{}}
	h.queues = queue.New(h)
	for i := range limits {
		limits[i].Window = quota.Window{Kind: quota.Fixed, Period: 10 * time.Second, Aligned: true}
		limits[i].Provenance = quota.Configured
	}
	h.ledger = quota.NewLedger(&quota.Rules{API: "x", Limits: limits}, 1)
	return h
}

// come has a call of a user try, at an instant and with its cost.
func (h *hall) come(now time.Time, who, user string, cost int64) {
	scope := quota.Scope{API: "x", User: user}
	p := h.queues.Enter(who, scope, quota.Costs{quota.Requests: cost}, now)
	h.places[who] = &p
	h.queues.Try(now, &p)
	h.step(now)
}

// step lets whoever can go go, with a store that answers at once.
func (h *hall) step(now time.Time) {
	h.ledger.Advance(now)
	h.queues.Serve(now)
	for range 3 {
		h.ledger.Reserved(now, h.ledger.Wanted(now))
		h.queues.Serve(now)
	}
}

func (h *hall) want(t *testing.T, who ...string) {
	t.Helper()
	if !slices.Equal(h.granted, who) {
		t.Errorf("granted %q, want %q", h.granted, who)
	}
}

var (
	app  = quota.Limit{Name: "app", Quota: 3}
	user = quota.Limit{Name: "user", Quota: 2, Per: quota.Parts{User: true}}
)

func TestWithoutALedgerAllWait(t *testing.T) {
	h := newClosed(app)
	h.queues.Try(at(2), place(h, "second", 2))
	h.queues.Try(at(2), place(h, "first", 1))
	h.queues.Serve(at(3))
	if n := h.queues.Of(nil).Len(); n != 2 || h.granted != nil {
		t.Fatalf("%d wait and %q are granted", n, h.granted)
	}
	for _, p := range h.queues.Begin(h.ledger) {
		if p.At() != nil {
			t.Errorf("%s still stands somewhere", p.Who)
		}
		h.queues.Try(at(3), p)
	}
	h.step(at(3))
	h.want(t, "first", "second")
}

// place is a call that came at a second and has not tried yet.
func place(h *hall, who string, came float64) *queue.Place[string] {
	p := h.queues.Enter(who, quota.Scope{API: "x"}, nil, at(came))
	return &p
}

func TestFirstComeFirstServed(t *testing.T) {
	h := newHall(app)
	for i, who := range []string{"a", "b", "c", "d", "e"} {
		h.come(at(float64(i)), who, "", 1)
	}
	h.want(t, "a", "b", "c")
	h.queues.Leave(h.places["d"])
	h.come(at(5), "f", "", 1)
	h.step(at(12))
	h.want(t, "a", "b", "c", "e", "f")
	if h.queues.Len() != 0 {
		t.Errorf("%d queues are left", h.queues.Len())
	}
}

// A large call is not overtaken by small ones that came later.
func TestNobodyIsOvertaken(t *testing.T) {
	h := newHall(app)
	h.come(at(0), "a", "", 1)
	h.come(at(1), "large", "", 3)
	h.come(at(2), "small", "", 1)
	h.want(t, "a")
	h.step(at(12))
	h.want(t, "a", "large")
	h.step(at(22))
	h.want(t, "a", "large", "small")
}

// A call that moves on to another bucket is held back there by those who came
// before it, and not by those who came after.
func TestItKeepsItsPlaceElsewhere(t *testing.T) {
	h := newHall(quota.Limit{Name: "app", Quota: 4}, user)
	for i, who := range []string{"u1", "u2", "u3"} {
		h.come(at(float64(i)), who, "u", 1) // the third waits at the user's bucket
	}
	h.come(at(3), "v1", "v", 1)
	h.come(at(4), "v2", "v", 1)
	h.come(at(5), "w1", "w", 1) // waits at the application's
	h.ledger.Release(at(5.5), h.permits["u1"])
	h.step(at(5.5))
	h.want(t, "u1", "u2", "v1", "v2", "u3")
	if q := h.places["w1"].At(); q == nil || q.Bucket().Name() != "app" {
		t.Error("the call of w does not wait at the application's bucket")
	}
}

// Of several buckets that open at the same instant, those who stand longest go
// first, whatever the order in which the ledger names them.
func TestTheOldestOfSeveralQueuesGoesFirst(t *testing.T) {
	want := []string{"b2", "d2", "a2", "c2"}
	for range 20 {
		h := newHall(quota.Limit{Name: "user", Quota: 1, Per: quota.Parts{User: true}})
		for i, who := range []string{"a", "b", "c", "d"} {
			h.come(at(float64(i)/10), who, who, 1)
		}
		h.granted = nil
		for i, who := range want {
			h.come(at(float64(1+i)), who, who[:1], 1)
		}
		h.step(at(12))
		h.want(t, want...)
	}
}

func TestTheHostHearsWhatTheFirstOneLearns(t *testing.T) {
	h := newHall(app)
	for i, who := range []string{"a", "b", "c"} {
		h.come(at(float64(i)), who, "", 3)
	}
	h.queues.Leave(h.places["b"]) // c is the first now, and learns when it can go
	h.step(at(3))
	h.ledger.Release(at(4), h.permits["a"])
	h.come(at(4), "d", "", 1)
	h.want(t, "a", "c")
	heard := h.blocked
	if heard == 0 {
		t.Error("nobody heard how long c has to wait")
	}
	h.step(at(5))
	if h.blocked != heard {
		t.Error("heard once more that d has to wait until the same instant")
	}
}
