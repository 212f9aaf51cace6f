package quota

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// What it takes to hold very many buckets, and to decide very often.

// A call of which every bucket is known takes nothing of the heap, whatever its
// answer says.
func TestTakeSettleAllocatesNothing(t *testing.T) {
	for name, a := range benchAnswers() {
		once := calls(t, a)
		for range 100 {
			once()
		}
		if n := testing.AllocsPerRun(1_000, once); n != 0 {
			t.Errorf("%s: %v allocations a call, want none", name, n)
		}
	}
}

// fleet is very many buckets, of each of which a call was granted and settled in each
// of so many windows; most is how many bytes one may take of a hundred thousand.
type fleet struct {
	name    string
	windows int
	scope   func(i int) Scope
	per     Parts
	answer  Answer
	most    float64
}

// fleets are those whose answers tell nothing, and those that are told their numbers.
func fleets() []fleet {
	user, endpoint := Parts{User: true, Endpoint: true}, Parts{Endpoint: true}
	told := numbersReset(0, MaxQuota-1, 12*time.Hour)
	return []fleet{
		{"by user", 1, ofUser, user, Answer{}, 310},
		{"by user, told", 1, ofUser, user, told, 340},
		{"by user, second window", 2, ofUser, user, Answer{}, 360},
		{"by user, told, second window", 2, ofUser, user, told, 390},
		{"by endpoint", 1, ofEndpoint, endpoint, Answer{}, 365},
		{"by endpoint, told", 1, ofEndpoint, endpoint, told, 395},
	}
}

// bytes is what the ledger keeps on the heap for each of n buckets.
func (f *fleet) bytes(t testing.TB, n int) float64 {
	// What of a scope lives on is to be the ledger's own.
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rules := &Rules{API: "api", Limits: benchLimits(1)}
	rules.Limits[0].Per = f.per
	l := NewLedger(rules, 1)
	var room Permit
	for day := range f.windows {
		now := epoch.AddDate(0, 0, day)
		for i := range n {
			l.Settle(now, grant(t, l, now, f.scope(i), &room), f.answer)
			if i%1024 == 0 {
				l.Changed()
			}
		}
		l.Changed()
		for l.Advance(now.Add(time.Minute)); len(l.sweeping.left) > 0; {
			l.Advance(now.Add(time.Minute))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if l.size < n {
		t.Fatalf("%d buckets of %d", l.size, n)
	}
	runtime.KeepAlive(l)
	return float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
}

func ofUser(i int) Scope {
	return Scope{API: "api", App: "app", User: fmt.Sprintf("urn:li:person:%08d", i), Endpoint: "GET /v2/connections"}
}

func ofEndpoint(i int) Scope {
	return Scope{API: "api", App: "app", User: "u", Endpoint: fmt.Sprintf("GET /v2/people/%08d", i)}
}

// A bucket takes less than 400 bytes, whatever it was told. One of an endpoint of its
// own has a kin of its own too, one that has seen a window end remembers that.
func TestBucketBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 600 000 buckets")
	}
	for _, f := range fleets() {
		got := f.bytes(t, 100_000)
		t.Logf("%s: %.0f bytes a bucket", f.name, got)
		if got > f.most {
			t.Errorf("%s: %.0f bytes a bucket, want at most %.0f", f.name, got, f.most)
		}
	}
}

// A bucket whose reset an earlier life was told keeps no log, and time has nothing to
// do with it before its window can end.
func TestNoLogWhereAnEarlierLifeWasTold(t *testing.T) {
	key := Scope{API: "api", App: "app"}
	s := newSteps(t, fixed(100, time.Hour)).successor(0, Reservation{
		Limit: "app", Key: key, Quota: 100, Reserved: 20, Settled: 20,
		Began: at0(-600).UnixNano(), Lo: at0(2999).UnixNano(), Hi: at0(3001).UnixNano(),
	})
	b := s.l.find("app", key)
	if b.logged() || !b.still(at(at0(0))) || b.still(at(at0(2999))) {
		t.Errorf("a log: %v, still at first: %v, when its window may end: %v", b.logged(), b.still(at(at0(0))), b.still(at(at0(2999))))
	}
	s.available(0, "app", 80)
}

// The last route is kept no longer than it is right.
func TestRouteIsKept(t *testing.T) {
	l := NewLedger(&Rules{API: "api", Limits: benchLimits(3)}, 1)
	count := func(s Scope, want int) {
		t.Helper()
		if n := len(l.Counted(epoch, s)); n != want {
			t.Errorf("%d buckets count a call of %v, want %d", n, s, want)
		}
	}
	nobodys := call
	nobodys.User = ""
	count(call, 3)
	count(call, 3)
	count(nobodys, 1)
	count(call, 3)
	b := l.gate(at(epoch), call, Parts{User: true})
	count(call, 4)
	l.drop(b)
	count(call, 3)
	l.Adopt(epoch, &Rules{API: "api", Limits: benchLimits(2)})
	count(call, 2)
}

// What is learned of callers, endpoints and limits is bounded.
func TestWhatIsLearnedIsBounded(t *testing.T) {
	s := newSteps(t, daily(100))
	s.take(0)
	b := s.bucketOf("day")
	for i := range maxEstimates + 1 {
		name := fmt.Sprint(i)
		b.learned(name).told(1, 1)
		b.weightOf(name).cost = 2
		if n := i%maxEstimates + 1; len(b.costs) != n || len(b.weights) != n {
			t.Fatalf("%d costs and %d weights of %d endpoints", len(b.costs), len(b.weights), i+1)
		}
	}
	for i := range maxStandings + 1 {
		b.doubt().fellBy, b.doubt().exposed = fmt.Sprint(i), 1
		s.l.strike(b)
		if n := i%maxStandings + 1; len(s.l.standings) != n {
			t.Fatalf("%d standings of %d callers", len(s.l.standings), i+1)
		}
	}
	for i := range 2 * maxBare {
		scope := member(i)
		s.l.noteBare(&answerState{scope: &scope})
	}
	if len(s.l.bare) != maxBare {
		t.Errorf("%d calls that were refused without a word are told apart", len(s.l.bare))
	}
}

// Of limits that are told without their scope as many are told apart as can be told;
// those of which none came to be make room.
func TestClaimsAreBounded(t *testing.T) {
	l := NewLedger(&Rules{API: "api"}, 1)
	claim := func(n int) *claim { return l.newClaim(&Observation{Limit: fmt.Sprint(n)}) }
	for i := range maxClaims {
		if c := claim(i); i%2 == 0 {
			c.candidate(Parts{}).rule = &Limit{}
		}
	}
	for i := range maxClaims {
		c := claim(maxClaims + i)
		if (c != nil) != (i < maxClaims/2) || len(l.claims) != maxClaims/2+min(i+1, maxClaims/2) {
			t.Fatalf("one more: %v, of %d", c, len(l.claims))
		}
		if c != nil {
			c.candidate(Parts{User: true}).rule = &Limit{}
		}
	}
}

// The cache of plans is bounded.
func TestPlansAreBounded(t *testing.T) {
	s := newSteps(t, daily(5))
	for i := range maxPlans + 10 {
		s.l.Check(at0(0), Request{Scope: Scope{API: "api", App: "app", Endpoint: fmt.Sprint(i)}})
	}
	if n := len(s.l.plans); n > maxPlans {
		t.Errorf("%d plans are kept", n)
	}
}
