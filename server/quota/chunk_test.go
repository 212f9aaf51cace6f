package quota

import (
	"math"
	"testing"
)

// grantFor takes n permits at even distances within seconds, and has the store
// confirm what is wanted after each.
func (s *steps) grantFor(from, seconds float64, n int) {
	s.Helper()
	for i := range n {
		at := from + seconds*float64(i)/float64(n)
		s.l.Advance(at0(at))
		if d := s.l.Take(at0(at), Request{Scope: call}); d.Reason == Reserving {
			s.confirm(at)
			d = s.l.Take(at0(at), Request{Scope: call})
			if !d.Allowed() {
				s.Fatalf("call %d: %v", i, d.Reason)
			}
		}
		s.confirm(at)
	}
}

// A chunk is what is granted in a tenth of a second, within a twentieth of the
// quota: that is what a crash wastes.
func TestChunkFollowsThePace(t *testing.T) {
	for _, tt := range []struct {
		name        string
		perSecond   int
		least, most int64
	}{
		{"a call a second", 1, 1, 1},
		{"a hundred a second", 100, 5, 20},
		{"a thousand a second", 1_000, 50, 200},
		{"more than a chunk can hold", 20_000, 500, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const quota = 10_000
			s := newSteps(t, daily(quota))
			s.grantFor(0, 0.2, 4_000) // a rush before: its chunk is not kept
			s.grantFor(10, 1_000/float64(tt.perSecond), 1_000)
			b := s.bucketOf("day")
			if got := b.chunk(); got < tt.least || got > tt.most {
				t.Errorf("a chunk is %d, want %d to %d", got, tt.least, tt.most)
			}
			if ahead := b.reserved - b.spent(); ahead < 0 || ahead > 2*tt.most {
				t.Errorf("%d are reserved ahead with a chunk of %d", ahead, b.chunk())
			}
		})
	}
}

// Those who wait at a bucket when it is reserved are reserved for.
func TestChunkHasRoomForTheQueue(t *testing.T) {
	s := newSteps(t, daily(1_000))
	s.takeNow(0)
	b := s.bucketOf("day")
	for _, tt := range []struct {
		queued int32
		cost   int64
		want   int64
	}{{0, 1, 10}, {1, 1, 10}, {20, 1, 20}, {1_000, 1, 20}, {30, 3, 50}, {2, 700, 700}, {math.MaxInt32, 1 << 40, 1 << 40}} {
		b.queued = tt.queued
		b.wants(tt.cost)
		if got := b.wanted(); got != tt.want {
			t.Errorf("%d wait for %d each: %d is reserved, want %d", tt.queued, tt.cost, got, tt.want)
		}
	}
}

// The last word of an owner that stops has nothing ahead: what the next owner can
// grant is what this one could, to the unit; also with permits on their way, and
// also where a reservation was never confirmed.
func TestFinalWastesNothing(t *testing.T) {
	s := newSteps(t, daily(1_000))
	s.grantFor(0, 1, 300)
	s.settle(2.1, s.take(2), Answer{})
	s.take(8)
	s.take(8)
	b := s.bucketOf("day")
	if b.reserved <= b.spent() {
		t.Fatalf("%d reserved, %d spent: nothing would be wasted anyhow", b.reserved, b.spent())
	}
	records := s.l.Final(at0(8.5))
	if len(records) != 1 || !records[0].Final || records[0].Reserved != 303 || records[0].Settled != 301 {
		t.Fatalf("got %+v", records)
	}
	next := NewLedger(s.l.rules, 1)
	next.Restore(at0(9), records)
	for range 1_000 - 303 {
		d := next.Take(at0(9), Request{Scope: call})
		if d.Reason == Reserving {
			next.Reserved(at0(9), next.Wanted(at0(9)))
			d = next.Take(at0(9), Request{Scope: call})
		}
		if !d.Allowed() {
			t.Fatalf("%v", d.Reason)
		}
	}
	if d := next.Take(at0(9), Request{Scope: call}); d.Reason != Exhausted {
		t.Errorf("one more: %v", d.Reason)
	}
	if d := next.Take(at0(9+24*3600), Request{Scope: call}); d.Reason != Reserving {
		t.Errorf("the next day: %v", d.Reason)
	}
}

// What was reserved and is not spent any more is said to be free in the last word.
func TestFinalFreesWhatWasGivenBack(t *testing.T) {
	s := newSteps(t, daily(1_000))
	s.released(1, s.take(0))
	if s.bucketOf("day").reserved == 0 {
		t.Fatal("nothing was reserved")
	}
	if r := s.l.Final(at0(2)); len(r) != 1 || !r[0].Final || r[0].Reserved != 0 {
		t.Errorf("got %+v", r)
	}
}
