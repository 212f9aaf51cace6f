package quota

import (
	"testing"
	"time"
)

// Who does not wait yet stands behind those who do, at each bucket of its call.
func TestQueueComesFirst(t *testing.T) {
	user := daily(100)
	user.Name, user.Per = "user", Parts{User: true}
	s := newSteps(t, daily(1000), user)
	s.mustAsk(0, Request{Scope: call})
	day, mine := s.bucketOf("day"), s.bucketOf("user")
	s.l.Queue(day, 2)
	if d := s.ask(0, Request{Scope: call}); d.Reason != Queued || d.Bucket != day {
		t.Errorf("a newcomer: %v", d.Reason)
	}
	s.mustAsk(0, Request{Scope: call, Turn: day})
	s.l.Queue(mine, 1)
	if d := s.ask(0, Request{Scope: call, Turn: day}); d.Reason != Queued || d.Bucket != mine {
		t.Errorf("the head of another queue: %v", d.Reason)
	}
	s.l.Queue(mine, 0)
	s.l.Queue(day, 0)
	s.mustAsk(0, Request{Scope: call})
}

// A bucket with a queue opens for what its head wants, whoever comes behind.
func TestQueueOpensForItsHead(t *testing.T) {
	s := newSteps(t, daily(10))
	s.mustAsk(0, Request{Scope: call, Costs: Costs{Requests: 8}})
	day := s.bucketOf("day")
	head := Request{Scope: call, Costs: Costs{Requests: 5}, Turn: day}
	s.ask(0, head)
	s.l.Queue(day, 1)
	s.ask(0, head)
	if d := s.ask(0, Request{Scope: call}); d.Reason != Queued {
		t.Fatal(d.Reason)
	}
	s.l.Opened()
	if s.l.Advance(at0(1)); len(s.l.Opened()) != 0 {
		t.Error("opened for a head that wants 5, with 2 left")
	}
}

// A bucket with a queue is opened by what may let its head go, and by that only.
func TestOpened(t *testing.T) {
	s := newSteps(t, daily(1))
	p := s.take(0)
	day := s.bucketOf("day")
	s.denied(0, Exhausted)
	s.l.Queue(day, 1)
	s.l.Advance(at0(1))
	if opened := s.l.Opened(); len(opened) != 0 {
		t.Errorf("opened %v, and nothing happened", opened)
	}
	s.released(2, p)
	if opened := s.l.Opened(); len(opened) != 1 || opened[0] != day {
		t.Errorf("opened %v by a permit that is given back", opened)
	}
	if opened := s.l.Opened(); len(opened) != 0 {
		t.Errorf("opened %v once more", opened)
	}
}

// What waits for the store is opened when the store has confirmed.
func TestReservedOpensTheQueue(t *testing.T) {
	s := newSteps(t, daily(200))
	d := s.takeNow(0)
	s.l.Queue(d.Bucket, 1)
	s.l.Opened()
	s.l.Reserved(at0(0), s.l.Wanted(at0(0)))
	if opened := s.l.Opened(); len(opened) != 1 || opened[0] != d.Bucket {
		t.Errorf("opened %v", opened)
	}
	if d := s.l.Take(at0(0), Request{Scope: call, Turn: d.Bucket}); !d.Allowed() {
		t.Errorf("%v", d.Reason)
	}
}

// Whoever looks at a bucket turns its window when that is due. The one who waits
// there has not been told: the ledger wakes at once.
func TestLookingLosesNoWakeUp(t *testing.T) {
	const turn = 12*3600 + 1.5
	s := newSteps(t, daily(1))
	s.settle(0.1, s.take(0), Answer{})
	b := s.denied(1, Exhausted).Bucket
	s.l.Queue(b, 1)
	if wake := s.l.Wake(at0(1)); !wake.Equal(at0(turn)) {
		t.Fatalf("wakes at %v, want when the window turns", wake.Sub(epoch))
	}
	s.l.Status(at0(turn), b)
	for range 2 {
		if wake := s.l.Wake(at0(turn)); !wake.Equal(at0(turn)) {
			t.Errorf("wakes at %v, want at once", wake)
		}
	}
	s.l.Advance(at0(turn))
	if opened := s.l.Opened(); len(opened) != 1 || opened[0] != b {
		t.Errorf("opened %v", opened)
	}
	// What stands between the call and its grant now is the store.
	if d := s.l.Take(at0(turn), Request{Scope: call, Turn: b}); d.Reason != Reserving {
		t.Errorf("%v", d.Reason)
	}
	if wake := s.l.Wake(at0(turn)); !wake.IsZero() {
		t.Errorf("wakes at %v, though it is the store that is waited for", wake.Sub(epoch))
	}
}

// A waiter at a bucket that is waited out is woken when that is over.
func TestRestoreWakesWaiters(t *testing.T) {
	s := newSteps(t, fixed(5, 10*time.Second)).successor(0)
	d := s.takeNow(0)
	s.l.Queue(d.Bucket, 1)
	if wake := s.l.Wake(at0(0)); !wake.Equal(at0(13)) {
		t.Errorf("wakes at %v, want at the end of the hold", wake.Sub(epoch))
	}
	if s.l.Advance(at0(12.9)); len(s.l.Opened()) != 0 {
		t.Error("opened early")
	}
	if s.l.Advance(at0(13)); len(s.l.Opened()) != 1 {
		t.Error("not opened when the hold ended")
	}
}
