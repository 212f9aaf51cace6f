package quota

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// layout is what an upstream counts, of which it tells one set of headers: always
// those of the bucket that is closest to its end.
type layout struct {
	limits           []trueLimit
	users, endpoints int
	workers          int     // calls in flight at most
	lag              float64 // share of answers that tell of 5 less than were used
}

const aWindow = 10 * time.Second

func tens(quota int64, perUser, perEndpoint bool) trueLimit {
	return trueLimit{quota: quota, period: aWindow, perUser: perUser, perEndpoint: perEndpoint}
}

func perApp(quota int64) trueLimit      { return tens(quota, false, false) }
func perUser(quota int64) trueLimit     { return tens(quota, true, false) }
func perEndpoint(quota int64) trueLimit { return tens(quota, false, true) }
func perBoth(quota int64) trueLimit     { return tens(quota, true, true) }

// callerOf is the user and the endpoint of a caller's name: "u1" or "u1 /path".
func callerOf(name string) (user, endpoint string) {
	user, endpoint, _ = strings.Cut(name, " ")
	return user, "GET " + cmp.Or(endpoint, "/")
}

// play lets a fleet that always wants more call such an upstream, of which nothing
// is configured.
func (y layout) play(seed uint64, windows int) *world {
	up := &upstream{limits: y.limits, lag: 5}
	w := newWorld(seed, epoch.Add(3*time.Second), up, &Rules{API: "api", SendWithin: 2 * time.Second}, faults{rtt: 100 * time.Millisecond})
	up.lagging = func() bool { return w.chance(y.lag) }
	w.workers = y.workers
	for u := range y.users {
		for e := range y.endpoints {
			w.want(fmt.Sprintf("u%d /e%d", u, e), 1<<20)
		}
	}
	w.run(epoch.Add(time.Duration(windows) * aWindow))
	return w
}

// used is the share of a limit's quota that was used in each window after the
// fifth: of all of them together, when there are many buckets.
func (w *world) used(from int) float64 {
	var sum int64
	complete := w.up.history[min(from, len(w.up.history)):]
	for _, n := range complete {
		sum += n
	}
	return float64(sum) / float64(int64(len(complete))*w.up.limits[0].quota)
}

// standsFor is the parts that nothing contradicts of each quota that was told, as
// far as limits were made for them.
func (l *Ledger) standsFor() (list []string) {
	for _, rule := range l.told {
		list = append(list, fmt.Sprint(rule.Quota, " ", rule.Per))
	}
	slices.Sort(list)
	return list
}

// Trial 14: one set of headers, always of the tightest bucket, nothing configured.
// Whose they are is found out by how the numbers move, from the safe side.
func TestTrialTightestHeaders(t *testing.T) {
	long(t)
	for name, tc := range map[string]struct {
		layout
		stands []string
		used   float64
	}{
		"app 300, user 40":              {layout{[]trueLimit{perApp(300), perUser(40)}, 12, 1, 12, 0}, []string{"300 app", "40 app+user"}, 0.97},
		"app 300, user 40, 3 endpoints": {layout{[]trueLimit{perApp(300), perUser(40)}, 12, 3, 12, 0}, []string{"300 app", "40 app+user"}, 0.97},
		"app 300, user 40, lag":         {layout{[]trueLimit{perApp(300), perUser(40)}, 12, 3, 12, 0.1}, []string{"300 app", "40 app+user"}, 0.97},
		"both 100":                      {layout{[]trueLimit{perApp(100), perUser(100)}, 12, 1, 24, 0}, []string{"100 app"}, 1},
		"both 100, lag":                 {layout{[]trueLimit{perApp(100), perUser(100)}, 12, 3, 24, 0.1}, []string{"100 app"}, 1},
		"user 40":                       {layout{[]trueLimit{perUser(40)}, 12, 3, 24, 0}, []string{"40 app+user"}, 0.99},
		"user 40, lag":                  {layout{[]trueLimit{perUser(40)}, 12, 3, 24, 0.1}, []string{"40 app+user"}, 0.99},
		"user 40, endpoint 40":          {layout{[]trueLimit{perEndpoint(40), perUser(40)}, 12, 3, 24, 0}, []string{"40 app+endpoint", "40 app+user"}, 0.9},
		"endpoint 100":                  {layout{[]trueLimit{perEndpoint(100)}, 12, 3, 24, 0}, []string{"100 app+endpoint"}, 0.99},
		"both parts 20":                 {layout{[]trueLimit{perBoth(20)}, 12, 3, 24, 0}, []string{"20 app+user+endpoint"}, 0.99},
		"four that nest":                {layout{[]trueLimit{perApp(300), perEndpoint(150), perUser(40), perBoth(20)}, 12, 3, 12, 0}, nil, 0.13},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				w := tc.play(seed, 15)
				if w.innocent+w.probes > tc.workers {
					t.Errorf("%d of %d calls refused, and %d probes", w.innocent, w.granted, w.probes)
				}
				if used := w.used(5 * w.perWindow()); used < tc.used {
					t.Errorf("%.3f of the quota is used, want %v", used, tc.used)
				}
				if stands := w.ledger.standsFor(); tc.stands != nil && !slices.Equal(stands, tc.stands) {
					t.Errorf("%v stand, want %v", stands, tc.stands)
				}
			}
		})
	}
}

// perWindow is how many buckets of the first limit there are.
func (w *world) perWindow() int {
	n := 0
	for key := range w.up.windows {
		if strings.HasPrefix(key, "0") {
			n++
		}
	}
	return n
}

// Why a bucket is closed, or counts as it does, is shown in a few words.
func TestWhoseIsShown(t *testing.T) {
	shown := func(s *steps, b *Bucket, want string) {
		t.Helper()
		if got := s.l.Status(at0(1), b).Whose; got != want {
			t.Errorf("%s of %v: %q, want %q", b.Name(), b.Key(), got, want)
		}
	}
	s := newSteps(t)
	s.settle(0.1, s.take(0), numbersReset(100, 99, 30*time.Second))
	shown(s, s.bucketOf("told-100"), "not contradicted by 1 answers")
	s.settle(0.3, s.take(0.2), refused(numbersReset(100, 0, 30*time.Second)))
	shown(s, s.bucketOf("told-100"), "said by the response")
	s.settle(0.5, s.takeFor(70, call), Answer{Observations: []Observation{{Limit: "hourly", Says: true, Per: Parts{User: true}, Quota: 9, Remaining: 5}}})
	shown(s, s.bucketOf("hourly"), "said by the response") // no claim is of it

	s = newSteps(t, daily(1))
	s.settle(0.1, s.take(0), refused(Answer{}))
	shown(s, s.bucketOf("day"), "predicted empty")

	s = newSteps(t, daily(1000))
	for i, want := range []string{"one user hit: are others served?", "2 users hit and nobody served"} {
		s.settle(float64(i)/10, s.takeFor(float64(i)/10, userScope(fmt.Sprint("u", i))), wait(20*time.Second))
		shown(s, s.gateOf(call.Only(Parts{})), want)
	}
	shown(s, s.gateOf(userScope("u0").Only(Parts{User: true})), "only this user hit")
}

// Fault 46: a refusal without a word, of each user in turn, closes the application
// for a minute at most, however long they are told to wait; one alone never does.
func TestBareRefusalNeverLocksTheApplication(t *testing.T) {
	const day = 24 * time.Hour
	s := newSteps(t, daily(1000))
	s.settle(0.1, s.takeFor(0, userScope("u1")), wait(day))
	s.settle(0.3, s.takeFor(0.2, userScope("u2")), Answer{}) // others are served
	if app := s.gateOf(call.Only(Parts{})); app.state == Cooling {
		t.Errorf("one refusal closes the application until %v", app.until.time())
	}
	s = newSteps(t, daily(1000))
	for i := range 4 {
		sec := float64(i) * 70
		s.settle(sec+0.1, s.takeFor(sec, userScope(fmt.Sprint("u", i))), wait(day))
		if app := s.gateOf(call.Only(Parts{})); app.state == Cooling && app.until.sub(at(at0(sec))) > 2*time.Minute {
			t.Errorf("%v closes the application for %v", i, app.until.sub(at(at0(sec))))
		}
	}
}

// Property S7: whichever way the answers of one window are ordered, the same
// candidates stand. And a true one is never contradicted by nodes that do not lag.
func TestPropertyWitnessesIgnoreOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quota := rapid.Int64Range(1, 200).Draw(t, "quota")
		uses := rapid.SliceOfN(rapid.Int64Range(0, quota), 1, 80).Draw(t, "uses")
		contradicted := func(uses []int64) (ever bool) {
			var w witness
			for _, used := range uses {
				w.hear(&sighting{quota: quota, used: used, end: span{1000, 2000}, sure: true})
				ever = ever || w.contradicts(quota, max(1, quota/10))
			}
			return ever
		}
		if a, b := contradicted(uses), contradicted(rapid.Permutation(uses).Draw(t, "order")); a != b {
			t.Fatalf("contradicted: %v in one order, %v in another", a, b)
		}
		all := make([]int64, quota)
		for i := range all {
			all[i] = int64(i) + 1
		}
		seen := rapid.Permutation(all).Draw(t, "answers")
		if contradicted(seen[:rapid.IntRange(0, len(seen)).Draw(t, "heard")]) {
			t.Fatal("a true bucket is contradicted by its own answers")
		}
	})
}

// A few answers of many tell of a limit that there is not: once more has passed than
// it has, none of them is believed, until the upstream refuses a call on its account.
func TestLimitThatMorePassesThanItHas(t *testing.T) {
	s := newSteps(t, fixed(200, 20*time.Second))
	var flying []*Permit
	for range 30 {
		flying = append(flying, s.take(0))
	}
	within := func(quota, remaining int64) Answer { return numbersReset(quota, remaining, 15*time.Second) }
	s.settle(1, flying[0], within(20, 12))
	if names := s.names(call); !slices.Equal(names, []string{"app", "told-20"}) {
		t.Fatalf("counted by %v", names)
	}
	s.denied(1.1, Exhausted)
	for i, p := range flying[1:21] {
		s.settle(2, p, within(200, int64(190-i)))
	}
	if names := s.names(call); !slices.Equal(names, []string{"app"}) {
		t.Fatalf("after 21 calls that a limit of 20 let pass: counted by %v", names)
	}
	s.settle(2.1, flying[21], within(20, 0))
	if names := s.names(call); !slices.Equal(names, []string{"app"}) {
		t.Errorf("told of again: counted by %v", names)
	}
	s.settle(2.2, s.take(2.1), refused(within(20, 0)))
	if names := s.names(call); !slices.Equal(names, []string{"app", "told-20"}) {
		t.Errorf("refused on its account: counted by %v", names)
	}
	s.denied(2.3, CoolingDown)
}

// As many as a told limit has may pass, whatever else is told of meanwhile.
func TestToldLimitHoldsItsOwn(t *testing.T) {
	s := newSteps(t, fixed(200, 20*time.Second))
	s.settle(1, s.take(0), numbersReset(20, 19, 15*time.Second))
	for i := range 19 {
		s.settle(2, s.take(1.5), numbersReset(200, int64(190-i), 15*time.Second))
	}
	s.denied(2.1, Exhausted)
}

// Of a limit that the upstream names, what it says of one of another name is no news,
// though both count the same calls.
func TestNamedLimitsAreApart(t *testing.T) {
	s := newSteps(t)
	own := numbersReset(10, 8, 10*time.Minute)
	own.Observations[0].Limit = "route"
	s.settle(0.1, s.take(0), own)
	global := Answer{Verdict: Refused, RetryAfter: time.Minute, Observations: []Observation{{Limit: "global", Says: true, Remaining: Unknown, Blocked: true}}}
	s.settle(1, s.take(1), global)
	if d := s.denied(2, CoolingDown); d.Bucket.Name() != "global" {
		t.Errorf("held back by %s", d.Bucket.Name())
	}
	s.retryAt(s.denied(2, CoolingDown), 61)
	if b := s.bucketOf("route"); b.state != Open || b.quota != 10 {
		t.Errorf("the other limit is %v, of %d", b.state, b.quota)
	}
}

// Whose a refusal without a word may be where calls of many users and endpoints are
// made: of the first group, unless only the second is closed already, or only the first
// has been served since it was last refused.
func TestWhomARefusalMeans(t *testing.T) {
	const long = trusted
	for name, tc := range map[string]struct {
		oneShut, otherShut       bool
		oneCleared, otherCleared bool
		ago                      time.Duration
		other                    bool
	}{
		"nobody is closed":             {},
		"the first is":                 {oneShut: true},
		"only the second is":           {otherShut: true, other: true},
		"both are":                     {oneShut: true, otherShut: true},
		"the first was served":         {oneCleared: true, other: true},
		"long ago":                     {oneCleared: true, ago: long},
		"both were":                    {oneCleared: true, otherCleared: true},
		"both closed, one was served":  {oneShut: true, otherShut: true, oneCleared: true, other: true},
		"only what is closed was":      {oneShut: true, oneCleared: true},
		"only the second was served":   {otherCleared: true},
		"the second is closed, served": {otherShut: true, otherCleared: true, other: true},
	} {
		l := NewLedger(&Rules{API: "api"}, 1)
		l.bareOfMany = true
		now := at(epoch).add(time.Hour)
		one, other := l.gate(now, call, Parts{User: true}), l.gate(now, call, Parts{Endpoint: true})
		set := func(b *Bucket, shut, cleared bool) {
			b.closure, b.doubt().governor = &closure{began: now.add(-tc.ago), cleared: cleared}, &governor{}
			if shut {
				b.state = Cooling
			}
		}
		set(one, tc.oneShut, tc.oneCleared)
		set(other, tc.otherShut, tc.otherCleared)
		s := &answerState{scope: &call}
		s.now = now
		if got := l.whom(s, Parts{User: true}, Parts{Endpoint: true}); got != one && got != other || (got == other) != tc.other {
			t.Errorf("%s: %v is held", name, got.Key())
		}
		if (one.governor() == nil) != tc.other || other.governor() == nil {
			t.Errorf("%s: it is held to a rate no more: %v, %v", name, one.governor() == nil, other.governor() == nil)
		}
		if tc.other && one.cleared {
			t.Errorf("%s: the next refusal is not its own either", name)
		}
	}
}
