package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// shadowed opens a broker with one API in shadow mode.
func shadowed(t testing.TB, c broker.Config, limits ...quota.Limit) *bench {
	a := api(limits...)
	a.Shadow = true
	c.APIs = map[string]broker.API{"api": a}
	return open(t, c, limits...)
}

// score is the one score that there is.
func (b *bench) score() broker.Score {
	b.t.Helper()
	list := b.Scores("")
	if len(list) != 1 || list[0].API != "api" {
		b.t.Fatalf("scores: %+v, want that of the API", list)
	}
	return list[0]
}

// trueQuota is an upstream that takes so many calls a window of ten seconds, and
// says nothing but 429.
type trueQuota struct {
	quota int64
	taken map[int]int64
}

func (u *trueQuota) serve(since time.Duration) int {
	w := int(since / (10 * time.Second))
	if u.taken[w] >= u.quota {
		return 429
	}
	u.taken[w]++
	return 200
}

// Two windows of an API whose limit is configured right, too low and too high,
// with twice the demand that it allows: the score says which, and every call was
// made.
func TestShadowScore(t *testing.T) {
	for _, tt := range []struct {
		name       string
		configured int64
		safe       bool
		advice     string
		check      func(broker.ShadowCounts) bool
	}{
		{"right", 100, true, "safe to switch on", func(c broker.ShadowCounts) bool {
			return c.GrantedTaken+c.HeldAtTurn == 200 && c.HeldRefused == 200 && c.Wrong() == 0
		}},
		{"a fifth too low", 80, false, "not safe yet: the broker would have held back 40 of the 200 calls that the upstream took: limit app is configured too low", func(c broker.ShadowCounts) bool {
			return c.HeldTaken == 40 && c.GrantedRefused == 0 && c.HeldRefused == 200
		}},
		{"a fifth too high", 120, false, "not safe yet: the upstream refused ", func(c broker.ShadowCounts) bool {
			return c.GrantedRefused > 0 && c.GrantedRefused < 20 && c.HeldTaken == 0
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := shadowed(t, broker.Config{}, every("app", perApp, tt.configured, 10*time.Second))
				u := trueQuota{100, map[int]int64{}}
				for range 2 * 200 {
					b.report(b.granted(ask("u1")), response(u.serve(b.since())))
					time.Sleep(50 * time.Millisecond)
				}
				s := b.score()
				safe, advice := s.Advice()
				if s.Calls() != 400 || !tt.check(s.ShadowCounts) {
					t.Errorf("counts %+v", s.ShadowCounts)
				}
				if safe != tt.safe || !strings.HasPrefix(advice, tt.advice) {
					t.Errorf("advice %q, safe %v", advice, safe)
				}
			})
		})
	}
}

// Who is denied and who would wait gets a permit at once, with the denial beside
// it; and a call that can never be made is an error still.
func TestShadowHoldsNobodyBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := shadowed(t, broker.Config{}, every("app", perApp, 2, time.Hour))
		for i := range 5 {
			r := patient("u1", time.Minute)
			r.RequestID = fmt.Sprint("r", i)
			a := b.granted(r)
			if a.Permit.ID == "" || a.Waited != 0 {
				t.Fatalf("call %d: %+v", i, a)
			}
			if i < 2 && a.Shadowed != nil {
				t.Errorf("call %d would have been denied: %+v", i, a.Shadowed)
			}
			if i >= 2 && (a.Shadowed == nil || a.Shadowed.Reason != "QUOTA_EXHAUSTED" || a.Shadowed.Bucket.Limit != "app" || a.Shadowed.RetryAfter <= 0) {
				t.Errorf("call %d: %+v", i, a.Shadowed)
			}
			if again := b.granted(r); again.Permit.ID != a.Permit.ID || (again.Shadowed == nil) != (a.Shadowed == nil) {
				t.Errorf("call %d again: %+v", i, again)
			}
		}
		if a := b.granted(dry("u1")); a.Shadowed == nil || a.Permit.ID != "" {
			t.Errorf("a dry run: %+v", a)
		}
		large := ask("u1")
		large.Costs = quota.Costs{quota.Requests: 3}
		var bad *quota.FieldError
		if _, err := b.Acquire(t.Context(), large); !isField(err, &bad, "costs.requests") {
			t.Errorf("a call that is larger than the limit: %v", err)
		}
		if _, _, _, waiting := broker.Kept(b.Broker); waiting != 0 {
			t.Errorf("%d calls wait", waiting)
		}
	})
}

// A refusal closes the bucket for the score, and for nobody else: no revocation,
// no advice to wait.
func TestShadowRevokesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := shadowed(t, broker.Config{}, every("app", perApp, 100, time.Hour))
		w := b.watch(quota.Scope{})
		b.next(w)
		a, unsent := b.granted(ask("u1")), b.granted(ask("u1"))
		b.next(w)
		if rep := b.report(a, response(429, "limit", "100", "remaining", "0", "reset", "600")); rep.Retry.Advised {
			t.Errorf("advice %+v", rep.Retry)
		}
		if c := b.next(w); len(c.Revocations) != 0 || len(c.Quotas) == 0 || c.Quotas[0].State != quota.Cooling {
			t.Errorf("changes %+v", c)
		}
		next := b.granted(ask("u1"))
		if next.Shadowed == nil || next.Shadowed.Reason != "COOLING_DOWN" {
			t.Errorf("after a 429: %+v", next.Shadowed)
		}
		b.report(unsent, response(429))
		b.report(next, response(429))
		s := b.score()
		if want := (broker.ShadowCounts{GrantedRefused: 2, HeldRefused: 1}); s.ShadowCounts != want {
			t.Errorf("counts %+v, want %+v", s.ShadowCounts, want)
		}
		if len(s.Limits) != 1 || s.Limits[0].Limit != "app" {
			t.Errorf("limits %+v", s.Limits)
		}
	})
}

// What has no answer, what the upstream protects itself by, and what was not sent
// says nothing of a decision.
func TestShadowCountsAnswersOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := shadowed(t, broker.Config{}, every("app", perApp, 100, time.Hour), every("user", perUser, 50, time.Hour))
		b.report(b.granted(ask("u1")), response(503))
		b.release(b.granted(ask("u1")))
		if _, err := b.Report(t.Context(), broker.ReportRequest{PermitID: b.granted(ask("u1")).Permit.ID, Caller: "svc", Result: broker.Lost}); err != nil {
			t.Fatal(err)
		}
		if list := b.Scores(""); len(list) != 0 {
			t.Fatalf("scores %+v", list)
		}
		time.Sleep(time.Minute)
		b.report(b.granted(ask("u1")), response(200))
		time.Sleep(time.Minute)
		s := b.score()
		if s.KeptFor != time.Minute || s.Calls() != 1 {
			t.Errorf("score %+v", s)
		}
		for i, name := range []string{"app", "user"} {
			if l := s.Limits[i]; l.Limit != name || l.GrantedTaken != 1 {
				t.Errorf("limits %+v: a call counts at each limit that counts it", s.Limits)
			}
		}
		if len(b.Scores("other")) != 0 || len(b.Scores("api")) != 1 {
			t.Error("a score is listed by its API's name")
		}
	})
}

// Only the store can hold a call of shadow mode up, and the score outlives the
// application that made it.
func TestShadowAndTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := &faulty{Store: memory.New()}
		b := shadowed(t, broker.Config{Store: store, MaxShards: 1}, every("app", perApp, 40, time.Hour))
		b.report(b.granted(ask("u1")), response(200))
		store.set(nil, 30*time.Millisecond)
		var calls []*call
		for i := range 60 {
			calls = append(calls, b.begin(fmt.Sprint("call ", i), ask("u1")))
		}
		shadows := 0
		for _, c := range calls {
			e := c.ended()
			if e.err != nil || e.Denied != nil || e.Permit.ID == "" {
				t.Fatalf("%s: %+v, %v", c.name, e.Denied, e.err)
			}
			if e.Shadowed != nil {
				shadows++
			}
		}
		if shadows != 60-39 {
			t.Errorf("%d would have been held back, want 21 of 60 beside the 39 that remained", shadows)
		}
		if _, _, _, waiting := broker.Kept(b.Broker); waiting != 0 {
			t.Errorf("%d calls still wait", waiting)
		}
		for _, c := range calls {
			b.report(c.end.Acquired, response(200))
		}
		time.Sleep(2 * time.Hour)
		other := ask("u1")
		other.Scope.App = "another"
		b.granted(other) // there is room for one application only
		if s := b.score(); s.GrantedTaken != 40 || s.HeldTaken != 21 {
			t.Errorf("counts %+v of an application that is gone", s.ShadowCounts)
		}
	})
}

func TestAdvice(t *testing.T) {
	limits := func(name string, c broker.ShadowCounts) broker.Score {
		return broker.Score{API: "api", ShadowCounts: c, Limits: []broker.LimitScore{
			{Limit: "other", ShadowCounts: broker.ShadowCounts{GrantedTaken: c.GrantedTaken}}, {Limit: name, ShadowCounts: c},
		}}
	}
	for _, tt := range []struct {
		name  string
		score broker.Score
		safe  bool
		want  string
	}{
		{"nothing", broker.Score{}, false, "too early to say: 0 calls, of 100 that it takes"},
		{"few", limits("app", broker.ShadowCounts{GrantedTaken: 99}), false, "too early to say: 99 calls, of 100 that it takes"},
		{"enough", limits("app", broker.ShadowCounts{GrantedTaken: 99, HeldRefused: 1}), true, "and spared 1 call a 429"},
		{"one in a hundred", limits("app", broker.ShadowCounts{GrantedTaken: 99, HeldTaken: 1}), true, "held back 1 of the 100 calls"},
		{"two in a hundred", limits("app", broker.ShadowCounts{GrantedTaken: 98, HeldTaken: 2}), false, "limit app is configured too low"},
		{"few and wrong", limits("app", broker.ShadowCounts{GrantedTaken: 8, HeldTaken: 2}), false, "limit app is configured too low"},
		{"late at the turn", limits("app", broker.ShadowCounts{GrantedTaken: 50, HeldAtTurn: 50}), true, "held back 0 of the 100"},
		{"one refused", limits("app", broker.ShadowCounts{GrantedTaken: 9999, GrantedRefused: 1}), false, "refused 1 call that the broker would have granted: limit app is configured too high"},
		{"told less", broker.Score{ShadowCounts: broker.ShadowCounts{GrantedTaken: 100}, Limits: []broker.LimitScore{{Limit: "app", Configured: 120, Told: 100}}}, true,
			"limit app is configured too high: the upstream tells 100 and not 120"},
		{"refused by nobody knows whom", limits("", broker.ShadowCounts{GrantedTaken: 9, GrantedRefused: 2}), false, "or missing, and nothing says which"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if safe, got := tt.score.Advice(); safe != tt.safe || !strings.Contains(got, tt.want) {
				t.Errorf("safe %v: %q, want %v: %q", safe, got, tt.safe, tt.want)
			}
		})
	}
}

// namingDialect says of which limit the numbers are.
type namingDialect struct{ plainDialect }

func (d namingDialect) Read(r dialect.Response) dialect.Reading {
	reading := d.plainDialect.Read(r)
	for i := range reading.Answer.Observations {
		reading.Answer.Observations[i].Limit = "app"
	}
	return reading
}

// An upstream that tells its limit corrects one that is configured too high; the
// score says so.
func TestShadowSeesWhatIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := api(every("app", perApp, 120, time.Hour))
		a.Shadow, a.Dialect = true, namingDialect{}
		b := open(t, broker.Config{APIs: map[string]broker.API{"api": a}})
		for i := range 100 {
			b.report(b.granted(ask("u1")), response(200, "limit", "100", "remaining", fmt.Sprint(99-i)))
		}
		b.report(b.granted(ask("u1")), response(429, "limit", "100", "remaining", "0"))
		s := b.score()
		if l := s.Limits[0]; l.Configured != 120 || l.Told != 100 || s.HeldRefused != 1 || s.Wrong() != 0 {
			t.Errorf("score %+v", s)
		}
	})
}

// A score is of one configuration: when limits are configured anew it begins
// anew, and what was granted before counts no more. When shadow mode ends, it ends.
func TestShadowScoreOfANewConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := shadowed(t, broker.Config{}, every("app", perApp, 1, time.Hour))
		configure := func(quota int64, shadow bool) {
			t.Helper()
			a := api(every("app", perApp, quota, time.Hour))
			a.Shadow = shadow
			if err := b.Reconfigure(map[string]broker.API{"api": a}, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		b.report(b.granted(ask("u1")), response(200))
		late := b.granted(ask("u1"))
		b.report(b.granted(ask("u1")), response(200))
		if s := b.score(); s.HeldTaken != 1 || s.GrantedTaken != 1 {
			t.Fatalf("counts %+v", s.ShadowCounts)
		}
		configure(1, true) // nothing changed
		if s := b.score(); s.Calls() != 2 {
			t.Errorf("counts %+v after a configuration that is the same", s.ShadowCounts)
		}
		configure(10, true)
		b.report(late, response(200))
		if s := b.score(); s.Calls() != 0 || s.KeptFor != time.Second || len(s.Limits) != 0 {
			t.Errorf("score %+v of a new configuration", s)
		}
		b.report(b.granted(ask("u1")), response(200))
		if s := b.score(); s.GrantedTaken != 1 || s.Calls() != 1 {
			t.Errorf("counts %+v", s.ShadowCounts)
		}
		configure(1, false)
		if list := b.Scores(""); len(list) != 0 {
			t.Errorf("scores %+v after shadow mode", list)
		}
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
	})
}

// Who waits when shadow mode begins waits no longer.
func TestShadowBegins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		limit := every("app", perApp, 1, time.Hour)
		b := open(t, broker.Config{}, limit)
		time.Sleep(58 * time.Minute)
		b.granted(ask("u1"))
		waits := b.begin("waits", patient("u1", 4*time.Minute))
		time.Sleep(3 * time.Second)
		if !waits.running() {
			t.Fatal("it does not wait")
		}
		a := api(limit)
		a.Shadow = true
		if err := b.Reconfigure(map[string]broker.API{"api": a}, nil); err != nil {
			t.Fatal(err)
		}
		if got := waits.grantedAt(t, 58*time.Minute+3*time.Second); got.Shadowed == nil || got.Waited != 3*time.Second {
			t.Errorf("got %+v", got)
		}
	})
}

// Other APIs of the broker are held back as ever.
func TestShadowIsPerAPI(t *testing.T) {
	bubble(t, func(t *testing.T) {
		limit := every("app", perApp, 1, time.Hour)
		a := api(limit)
		a.Shadow = true
		b := open(t, broker.Config{APIs: map[string]broker.API{"api": api(limit), "shadow": a}})
		b.granted(ask("u1"))
		b.denied("QUOTA_EXHAUSTED", ask("u1"))
		r := ask("u1")
		r.Scope.API = "shadow"
		b.granted(r)
		b.granted(r)
		synctest.Wait()
	})
}
