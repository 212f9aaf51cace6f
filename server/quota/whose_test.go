package quota

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
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
