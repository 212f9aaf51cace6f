package quota

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// one is the only reservation that is wanted.
func (s *steps) wanted(sec float64) Reservation {
	s.Helper()
	w := s.l.Wanted(at0(sec))
	if len(w) != 1 {
		s.Fatalf("at %v: %d reservations are wanted, want one: %+v", sec, len(w), w)
	}
	return w[0]
}

func (s *steps) takeNow(sec float64) Decision {
	s.l.Advance(at0(sec))
	return s.l.Take(at0(sec), Request{Scope: call})
}

// Nothing is granted before the store has confirmed it, nor more than that; the
// next chunk is asked for when half of the last is used.
func TestReserveBeforeGrant(t *testing.T) {
	s := newSteps(t, daily(2000))
	if w := s.l.Wanted(at0(0)); len(w) != 0 {
		t.Fatalf("wanted before anybody asked: %+v", w)
	}
	if d := s.takeNow(0); d.Reason != Reserving || d.Bucket.Name() != "day" || d.Firm || !d.RetryAt.IsZero() {
		t.Fatalf("%+v, want that it has to be reserved first", d)
	}
	first := s.wanted(0)
	if first.Limit != "day" || first.Key != (Scope{API: "api", App: "app"}) || first.Settled != 0 || first.Quota != 2000 ||
		first.Began != epoch.UnixNano() || first.Reserved < 2 || first.Reserved > 100 {
		t.Fatalf("%+v, want a small part of the quota", first)
	}
	if again := s.wanted(0); again != first {
		t.Errorf("wanted once more: %+v, want the same until it is confirmed", again)
	}
	s.l.Reserved(at0(0), []Reservation{first})
	chunk := first.Reserved
	for i := range chunk {
		if n, early := len(s.l.Wanted(at0(0))), i >= chunk-chunk/2; (n == 1) != early {
			t.Errorf("after %d of %d: %d are wanted", i, chunk, n)
		}
		if d := s.takeNow(0); !d.Allowed() {
			t.Fatalf("call %d of the %d that are confirmed: %v", i, chunk, d.Reason)
		}
	}
	if d := s.takeNow(0); d.Reason != Reserving {
		t.Fatalf("one more than is confirmed: %v", d.Reason)
	}
	second := s.wanted(0)
	if second.Reserved <= chunk {
		t.Errorf("%+v, want the next chunk", second)
	}
	s.l.Reserved(at0(0), []Reservation{second})
	s.l.Reserved(at0(0), []Reservation{first}) // late, and less
	for i := range second.Reserved - chunk {
		if d := s.takeNow(0); !d.Allowed() {
			t.Fatalf("call %d of the second chunk: %v", i, d.Reason)
		}
	}
	if d := s.takeNow(0); d.Reason != Reserving {
		t.Fatalf("one more than both: %v", d.Reason)
	}
}

// The last chunk is no more than the quota, and then nothing more is wanted.
func TestReserveNoMoreThanTheQuota(t *testing.T) {
	s := newSteps(t, daily(3))
	for range 3 {
		s.take(0)
	}
	s.denied(0, Exhausted)
	if w := s.l.Wanted(at0(0)); len(w) != 0 {
		t.Errorf("wanted: %+v", w)
	}
	if got := s.bucketOf("day").reserved; got != 3 {
		t.Errorf("reserved %d of 3", got)
	}
}

// A call of more than a chunk is reserved whole.
func TestReserveABigCall(t *testing.T) {
	s := newSteps(t, daily(200))
	r := Request{Scope: call, Costs: Costs{Requests: 150}}
	if d := s.l.Take(at0(0), r); d.Reason != Reserving {
		t.Fatalf("%v", d.Reason)
	}
	s.l.Reserved(at0(0), s.l.Wanted(at0(0)))
	if d := s.l.Take(at0(0), r); !d.Allowed() {
		t.Fatalf("%v after it was confirmed", d.Reason)
	}
}

// What the store confirms of a window that has ended is no word on this one; what
// it says of buckets that nobody knows is ignored.
func TestConfirmationOfAnEarlierWindow(t *testing.T) {
	s := newSteps(t, daily(1000))
	s.takeNow(0)
	old := s.wanted(0)
	s.l.Reserved(at0(0), []Reservation{old})
	next := 13 * 3600.0
	if d := s.takeNow(next); d.Reason != Reserving {
		t.Fatalf("%v by what was reserved of the day before", d.Reason)
	}
	s.l.Reserved(at0(next), []Reservation{old, {Limit: "none", Reserved: 9}, {Limit: "day", Key: Scope{API: "other"}, Reserved: 9}})
	if d := s.takeNow(next); d.Reason != Reserving {
		t.Fatalf("%v by the confirmation of the day before", d.Reason)
	}
	r := s.wanted(next)
	if r.Began == old.Began || r.Reserved > 10 {
		t.Errorf("%+v, want a window of its own", r)
	}
	s.l.Reserved(at0(next), []Reservation{r})
	if d := s.takeNow(next); !d.Allowed() {
		t.Errorf("%v", d.Reason)
	}
}

// What is settled is written before a crash could waste more than a chunk of it.
func TestSettledIsWritten(t *testing.T) {
	s := newSteps(t, daily(100))
	var calls []*Permit
	for range 8 {
		calls = append(calls, s.take(0))
	}
	s.confirm(0)
	for _, p := range calls {
		s.settle(0, p, Answer{})
	}
	s.confirm(0) // with nobody asking for more
	if got := s.bucketOf("day").settled; got < 8-5 {
		t.Errorf("8 are settled, and the store was told of %d", got)
	}
	s.settle(0, s.take(0), each(numbers(90, 80), "day"))
	if w := s.wanted(0); w.Quota != 90 {
		t.Errorf("another quota is told, and %+v is written", w)
	}
}

// successor is a ledger of the same rules that takes over the records.
func (s *steps) successor(sec float64, records ...Reservation) *steps {
	next := &steps{s.T, NewLedger(s.l.rules, 2), map[recordID]Reservation{}}
	next.l.Restore(at0(sec), records)
	return next
}

// records is what a store would have: what was confirmed last of each bucket.
func (s *steps) records(sec float64) []Reservation {
	s.l.Reserved(at0(sec), s.l.Wanted(at0(sec)))
	var records []Reservation
	for b := range s.l.Buckets(Scope{}) {
		if b.stored() {
			r := b.reservation(at(at0(sec)))
			r.Reserved, r.Settled = b.reserved, b.settled
			records = append(records, r)
		}
	}
	return records
}

// After a crash, of what was reserved and not settled permits may still be sent:
// it is closed until they have lapsed, then spent without evidence, until an
// answer to a later call covers it.
func TestRestoreGhosts(t *testing.T) {
	s := newSteps(t, daily(100))
	for range 10 {
		s.settle(0, s.take(0), Answer{})
	}
	for range 4 {
		s.take(0)
	}
	records := s.records(0)
	r := records[0]
	if r.Settled != 10 && r.Settled != 5 || r.Reserved < 14 {
		t.Fatalf("%+v", r)
	}
	s = s.successor(1, records...)
	ghosts := r.Reserved - r.Settled
	left := 100 - r.Reserved
	s.available(1, "day", left)
	if b := s.bucketOf("day"); b.o != ghosts || b.n != r.Settled || b.m != 100-r.Settled {
		t.Fatalf("o %d, n %d, m %d of %+v", b.o, b.n, b.m, r)
	}
	if wake := s.l.Wake(at0(1)); !wake.Equal(at0(4)) {
		t.Errorf("wakes at %v, want when the ghosts have lapsed", wake.Sub(epoch))
	}
	s.available(3.999, "day", left)
	early := s.take(3.999)
	if b := s.bucketOf("day"); b.o != ghosts+1 {
		t.Fatalf("o %d just before the ghosts lapse", b.o)
	}
	s.available(4, "day", left-1)
	b := s.bucketOf("day")
	if b.o != 1 || b.a-b.aCov != ghosts || b.lapsed() != ghosts {
		t.Fatalf("o %d, uncovered %d, lapsed %d: want the ghosts spent", b.o, b.a-b.aCov, b.lapsed())
	}
	// Its call was granted before the ghosts lapsed: it covers none of them.
	s.settle(5, early, numbers(100, 89))
	s.available(5, "day", min(89-ghosts, 100-r.Settled-1))
	s.settle(6.5, s.take(6), numbers(100, 88))
	s.available(7, "day", min(88, 100-r.Settled-2))
	if b.a != b.aCov || b.lapsed() != 0 {
		t.Errorf("a %d, covered %d, lapsed %d: want all covered", b.a, b.aCov, b.lapsed())
	}
}

// A restart in mid-window grants no more than what is left of the window, and a
// window that ended while nobody was there is a new one.
func TestPropertyRestartNeverOverGrants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quota := int64(rapid.IntRange(1, 120).Draw(t, "quota"))
		d := dice(splitscatter(rapid.Uint64().Draw(t, "seed")))
		rules := &Rules{API: "api", SendWithin: 2 * time.Second, Limits: []Limit{daily(quota)}}
		now, granted := epoch, int64(0)
		store := map[recordID]Reservation{}
		for life := range 1 + d.roll(4) {
			l := NewLedger(rules, uint64(life))
			if life > 0 {
				records := make([]Reservation, 0, len(store))
				for _, r := range store {
					records = append(records, r)
				}
				l.Restore(now, records)
			}
			d = dice(splitscatter(uint64(d)))
			granted += live(l, &now, d, store)
			granted -= int64(l.family("day").tally.Probes)
			if granted > quota {
				t.Fatalf("%d granted of %d by life %d", granted, quota, life)
			}
		}
	})
}

func splitscatter(seed uint64) uint64 {
	s := splitmix(seed)
	return uint64(s.next())
}

// live grants some calls and reports some, with a store that confirms some of what
// it has written; then it dies. It returns how many it granted.
func live(l *Ledger, now *time.Time, d dice, store map[recordID]Reservation) (granted int64) {
	permits := []*Permit{}
	for range d.roll(60) {
		d = dice(splitscatter(uint64(d)))
		*now = now.Add(d.ms(500))
		l.Advance(*now)
		for _, r := range l.Wanted(*now) {
			switch d.roll(4) {
			case 0: // lost on the way to the store
			case 1: // written, and nobody heard
				merge(store, r)
			default:
				merge(store, r)
				l.Reserved(*now, []Reservation{r})
			}
		}
		for range d.roll(8) {
			if got := l.Take(*now, Request{Scope: call}); got.Allowed() {
				granted++
				permits = append(permits, got.Permit)
			}
		}
		if len(permits) > 0 && d.roll(2) == 0 {
			p := permits[d.roll(uint64(len(permits)))]
			l.Settle(*now, p, Answer{})
		}
	}
	return granted
}

// merge keeps the greater of each number, as a store does.
func merge(store map[recordID]Reservation, r Reservation) {
	id := recordID{r.Limit, r.Key}
	if old, ok := store[id]; ok && old.Began == r.Began {
		r.Reserved, r.Settled = max(r.Reserved, old.Reserved), max(r.Settled, old.Settled)
	}
	store[id] = r
}

// A window that has ended since is a new one: what was reserved of it may still
// be sent in this.
func TestRestoreOfAnEndedWindow(t *testing.T) {
	s := newSteps(t, daily(100))
	for range 20 {
		s.settle(0, s.take(0), Answer{})
	}
	s.take(0)
	records := s.records(0)
	next := s.successor(12*3600+2, records...)
	next.available(12*3600+2, "day", 100-(records[0].Reserved-records[0].Settled))
	// Long after, nothing of it can be on its way.
	next = s.successor(48*3600, records...)
	next.take(48 * 3600)
	next.available(48*3600, "day", 99)
}

// Windows that are not stored are waited out after a restart: what they granted
// before nobody knows.
func TestRestoreHoldsUnstoredWindows(t *testing.T) {
	s := newSteps(t, fixed(5, 10*time.Second), daily(100))
	s = s.successor(0)
	d := s.takeNow(0)
	if d.Reason != Exhausted || !d.Firm || d.Bucket.Name() != "app" {
		t.Fatalf("%+v, want the log held", d)
	}
	s.retryAt(d, 2+1+10)
	if d := s.try(12.999, call); d.Reason != Exhausted {
		t.Fatalf("at 12.999: %v", d.Reason)
	}
	s.take(13)
}

// Stored windows are served at once after a restart.
func TestRestoreServesStoredWindows(t *testing.T) {
	s := newSteps(t, daily(100)).successor(0)
	s.take(0)
}

// Of two records of one bucket the window that began last counts.
func TestRestoreTheNewestWindow(t *testing.T) {
	key := Scope{API: "api", App: "app"}
	old := Reservation{Limit: "day", Key: key, Began: at0(-86400).UnixNano(), Reserved: 90, Settled: 90, Quota: 100}
	now := Reservation{Limit: "day", Key: key, Began: at0(-600).UnixNano(), Lo: at0(43198.5).UnixNano(), Hi: at0(43201.5).UnixNano(), Reserved: 20, Settled: 20, Quota: 100}
	for _, records := range [][]Reservation{{old, now}, {now, old}} {
		s := newSteps(t, daily(100)).successor(0, records...)
		s.available(0, "day", 80)
	}
}

// Records that make no sense, whoever wrote them, never give more than there is
// and never close a bucket for good.
func TestRestoreGarbage(t *testing.T) {
	key := Scope{API: "api", App: "app"}
	const most = 1<<63 - 1
	for name, r := range map[string]Reservation{
		"zero":                {},
		"of no limit":         {Limit: "none", Key: key, Reserved: 5},
		"of another key":      {Limit: "day", Key: Scope{API: "api", App: "app", User: "u"}, Reserved: 5},
		"negative":            {Limit: "day", Key: key, Reserved: -50, Settled: -50},
		"settled negative":    {Limit: "day", Key: key, Reserved: 0, Settled: -50},
		"settled is more":     {Limit: "day", Key: key, Reserved: 1, Settled: 90},
		"more than quota":     {Limit: "day", Key: key, Reserved: 900, Settled: 5},
		"the most":            {Limit: "day", Key: key, Reserved: most, Settled: most},
		"the least":           {Limit: "day", Key: key, Reserved: -most - 1, Settled: -most - 1},
		"the most, the least": {Limit: "day", Key: key, Reserved: most, Settled: -most - 1},
		"times of the past":   {Limit: "day", Key: key, Began: -1, Lo: -9, Hi: -5, Reserved: 5},
		"ends before begins":  {Limit: "day", Key: key, Began: epoch.UnixNano(), Lo: 9, Hi: 5, Reserved: 5},
		"negative quota":      {Limit: "day", Key: key, Quota: -1, Reserved: 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, daily(100)).successor(0, r)
			granted := 0
			for range 300 {
				if s.try(0, call).Allowed() {
					granted++
				}
			}
			if granted > 100 {
				t.Errorf("%d granted of 100", granted)
			}
			s.take(40 * 3600)
		})
	}
}

// What was learned of a limit that is not configured survives: a restart asks
// nobody again, and gives no more than was left.
func TestRestoreWhatWasLearned(t *testing.T) {
	for name, limits := range map[string][]Limit{
		"nothing is configured": nil,
		"learn":                 {{Name: "hour", Window: Window{Kind: Calendar, Unit: Hour}}},
		"learn the window too":  {{Name: "hour"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteps(t, limits...)
			s.settle(0.1, s.take(0), numbersReset(50, 40, time.Hour))
			s.take(1)
			s = s.successor(2, s.records(1)...)
			if got := len(s.records(2)); got == 0 {
				t.Fatal("nothing was restored")
			}
			granted := 0
			for range 100 {
				if s.try(6, call).Allowed() {
					granted++
				}
			}
			if granted > 39 || granted < 30 {
				t.Errorf("%d granted of the 39 that were left", granted)
			}
		})
	}
}
