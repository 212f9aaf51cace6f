package quota

import (
	"fmt"
	"testing"
	"time"
)

// What an upstream closes for a while, and how it says so. Twelve callers at a time
// call for four users at three endpoints.
const (
	closedAt, openAt = 20 * time.Second, 140 * time.Second
	atATime          = 12
	aRoundTrip       = 100 * time.Millisecond
)

// closes reports whether the truth concerns a call.
func closes(truth, user, endpoint string) bool {
	return truth == "application" || truth == "user" && user == "u1" || truth == "endpoint" && endpoint == "GET /e1"
}

// saying is what refusals say, and how many calls each group of calls may send
// meanwhile: one for each back-off, and one that asks whether others are served. Of
// those that are not concerned at least such a share is served.
type saying struct {
	say    func(a *Answer)
	asks   int
	others float64
	// own says that it is taken for the upstream's own overload, which is held for each
	// endpoint. That it is really one user's shows only once others are served there.
	own bool
}

func sayings() map[string]saying {
	const backoffs = 7 // 1, 2, 4, 8, 16, 32 and 60 s
	spare := []Observation{{Quota: 1e6, Remaining: 9e5, Reset: Reset{Known: true, After: 12 * time.Hour}}}
	return map[string]saying{
		"nothing":                   {func(*Answer) {}, 1 + backoffs, 0.95, false},
		"Retry-After":               {func(a *Answer) { a.RetryAfter = 20 * time.Second }, 1 + int((openAt-closedAt)/(20*time.Second)), 0.95, false},
		"503":                       {func(a *Answer) { a.Verdict = Overloaded }, 3 + backoffs, 0.8, true},
		"429 with numbers to spare": {func(a *Answer) { a.Observations = spare }, 3 + backoffs, 0.8, true},
	}
}

// Fault 46: refusals that do not say whose they are. Of each group of calls that is
// concerned no more are refused than were in flight when the first was heard of, and
// then one for each back-off; the others go on being served. The upstream's own
// overload is held for each endpoint.
func TestFault46WhoseRefusalNobodySays(t *testing.T) {
	long(t)
	for name, y := range sayings() {
		for _, truth := range []string{"application", "user", "endpoint"} {
			for _, limits := range [][]Limit{nil, {daily(1e6)}} {
				t.Run(fmt.Sprint(name, ", ", truth, ", ", len(limits), " limits"), func(t *testing.T) {
					r := refusedFor(truth, y.own, limits, y.say)
					t.Log(*r)
					for group, n := range r.later {
						if in := r.inFlight[group]; in == 0 || in > atATime || n > y.asks {
							t.Errorf("%s: %d were in flight, and %d more were refused, want 1 to %d and at most %d", group, in, n, atATime, y.asks)
						}
					}
					most, share := float64((openAt-closedAt)/aRoundTrip*atATime), y.others
					if y.own && truth == "user" {
						share = 0.3 // an endpoint is closed for longer each time that it is this user's call that probes
					}
					if len(r.later) == 0 || truth != "application" && float64(r.others) < most*share {
						t.Errorf("%d others were served, want %v of %v", r.others, share, most)
					}
				})
			}
		}
	}
}

// refusals is what came of such a time: calls that were in flight when the first
// refusal of their group was heard of, those that went later by their group, and the
// others that were served.
type refusals struct {
	others          int
	inFlight, later map[string]int
}

// refusedFor plays it; each says that an endpoint's calls are a group. Who happens to
// probe makes a difference: by some seeds it is the one user who is refused, again
// and again, and fewer of the others are served.
func refusedFor(truth string, each bool, limits []Limit, say func(*Answer)) *refusals {
	r := &refusals{inFlight: make(map[string]int), later: make(map[string]int)}
	up := &upstream{mute: true, limits: []trueLimit{{quota: 1e6, period: day}}}
	w := newWorld(1, epoch, up, &Rules{API: "api", SendWithin: 2 * time.Second, Limits: limits}, faults{rtt: aRoundTrip})
	shut := func() bool { now := w.now.Sub(epoch); return closedAt <= now && now < openAt }
	group := func(endpoint string) string {
		if each {
			return endpoint
		}
		return truth
	}
	heard := make(map[string]time.Time)
	up.closed = func(caller string) bool {
		user, endpoint := callerOf(caller)
		return shut() && closes(truth, user, endpoint)
	}
	w.answered = func(p *Permit, a *Answer) {
		g := group(p.Scope.Endpoint)
		switch first := heard[g]; {
		case a.Verdict == Passed && shut() && !closes(truth, p.Scope.User, p.Scope.Endpoint):
			r.others++
		case a.Verdict == Passed:
			return
		case first.IsZero():
			heard[g] = w.now
			fallthrough
		case p.GrantedAt.Before(first):
			r.inFlight[g]++
		default:
			r.later[g]++
		}
		if a.Verdict == Refused {
			say(a)
		}
	}
	w.workers = atATime
	for i := range 12 {
		w.want(fmt.Sprintf("u%d /e%d", i%4, i%3), 1<<20)
	}
	w.check = func() { // none always comes first
		w.rng.Shuffle(len(w.users), func(i, j int) { w.users[i], w.users[j] = w.users[j], w.users[i] })
	}
	w.run(epoch.Add(openAt + 10*time.Second))
	return r
}
