package simulate

import "time"

// Limit is one quota that the upstream enforces, for each application and, where
// it says so, each user and each endpoint apart.
type Limit struct {
	// Name is how the books call it; required, and different for each limit.
	Name string `yaml:"name"`
	// Per is by which parts of a call it counts: "app", which is always one of
	// them, "user" and "endpoint". A limit that counts by user does not count a
	// call that is made for none.
	Per []string `yaml:"per"`
	// Quota is the units a window; at least 1.
	Quota int64 `yaml:"quota"`
	// Window is over what time they are counted.
	Window Shape `yaml:"window"`
	// Unit is what is counted: "requests", of which a call is one, or another, of
	// which it takes its cost. Empty is requests.
	Unit string `yaml:"unit"`
	// Weights is how many requests a call takes of a limit that counts them, by its
	// endpoint; one where it has none. Nobody tells callers.
	Weights map[string]int64 `yaml:"weights"`
	// Only is the endpoints that it counts; empty is all.
	Only []string `yaml:"only"`
	// Used is the units of each bucket that somebody took before its first call.
	Used int64 `yaml:"used"`
}

// Requests is the unit of which a call takes one, unless it weighs more.
const Requests = "requests"

// Takes is what a call takes of the limit that costs so much in the scenario's unit.
func (l *Limit) Takes(c Call, cost int64) int64 {
	if l.Unit != "" && l.Unit != Requests {
		return cost
	}
	if weight, ok := l.Weights[c.Endpoint]; ok {
		return weight
	}
	return 1
}

// Shape is the time over which a limit counts. Exactly one of Fixed, Calendar,
// Sliding, Counter, Refill and Concurrent is given.
type Shape struct {
	// Fixed is the length of windows that follow each other without a gap, one of
	// which begins at Phase after the Unix epoch. With From "first_use" a bucket's
	// window begins with the first call that it counts after its last window.
	Fixed time.Duration `yaml:"fixed"`
	Phase time.Duration `yaml:"phase"`
	From  string        `yaml:"from"`
	// Calendar is "hour", "day", "week" (from Monday) or "month" in Zone, by the
	// upstream's clock; an empty zone is UTC.
	Calendar string `yaml:"calendar"`
	Zone     string `yaml:"zone"`
	// Sliding counts each call for so long after it, exactly.
	Sliding time.Duration `yaml:"sliding"`
	// Counter is a sliding window made of two fixed ones: the last one's count,
	// weighted by how much of it the sliding window still covers, and this one's.
	Counter time.Duration `yaml:"counter"`
	// Refill is a token bucket, or GCRA: the quota comes back evenly over this
	// time, up to Burst; 0 is the quota.
	Refill time.Duration `yaml:"refill"`
	Burst  int64         `yaml:"burst"`
	// Concurrent counts the calls that the upstream is busy with.
	Concurrent bool `yaml:"concurrent"`
}

// FirstUse is the From of windows that begin with a call.
const FirstUse = "first_use"
