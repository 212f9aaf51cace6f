package simulate

import (
	"slices"
	"time"
)

// rule is a limit that is enforced.
type rule struct {
	Limit
	perUser, perEndpoint bool
	zone                 *time.Location
	skew                 time.Duration
	// quota is the present one.
	quota int64
	// remember is how many of the last charges matter to nodes that lag.
	remember int
	// buckets are all of them, in the order in which they were first used.
	buckets []*bucket
	// sentence is what the body of a refusal says.
	sentence string
}

// newRule takes a limit that was checked.
func newRule(l Limit, skew time.Duration) *rule {
	zone, err := time.LoadLocation(l.Window.Zone)
	if err != nil {
		zone = time.UTC
	}
	return &rule{
		Limit: l, quota: l.Quota, zone: zone, skew: skew, sentence: sentence(l),
		perUser: slices.Contains(l.Per, "user"), perEndpoint: slices.Contains(l.Per, "endpoint"),
	}
}

// slice is how long the books' slices of limits without windows are, at least.
const slice = 10 * time.Second

// bounds are those of the window, or the slice of the books, that holds now by
// the upstream's clock, for one that opens now.
func (r *rule) bounds(now int64) (began, ends int64) {
	w := r.Window
	switch {
	case w.From == FirstUse:
		return now, now + int64(w.Fixed)
	case w.Calendar != "":
		return r.calendar(now)
	case w.Fixed+w.Counter > 0:
		return aligned(now, int64(w.Fixed+w.Counter), int64(w.Phase))
	default:
		return aligned(now, int64(r.sliced()), 0)
	}
}

// sliced is the length of the books' slices: a sliding window's own, and enough
// periods of a token bucket to make its burst small.
func (r *rule) sliced() time.Duration {
	switch w := r.Window; {
	case w.Sliding > 0:
		return w.Sliding
	case w.Refill > slice:
		return w.Refill
	case w.Refill > 0:
		return (slice + w.Refill - 1).Truncate(w.Refill)
	}
	return slice
}

// aligned is by integers, so that each window begins exactly when the last one
// ends.
func aligned(now, period, phase int64) (began, ends int64) {
	into := (now - phase) % period
	if into < 0 {
		into += period
	}
	return now - into, now - into + period
}

func (r *rule) calendar(now int64) (began, ends int64) {
	t := time.Unix(0, now+int64(r.skew)).In(r.zone)
	y, m, d := t.Date()
	var from, to time.Time
	switch r.Window.Calendar {
	case "hour":
		from = t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
		to = from.Add(time.Hour)
	case "day":
		from, to = time.Date(y, m, d, 0, 0, 0, 0, r.zone), time.Date(y, m, d+1, 0, 0, 0, 0, r.zone)
	case "week":
		d -= (int(t.Weekday()) + 6) % 7
		from, to = time.Date(y, m, d, 0, 0, 0, 0, r.zone), time.Date(y, m, d+7, 0, 0, 0, 0, r.zone)
	default:
		from, to = time.Date(y, m, 1, 0, 0, 0, 0, r.zone), time.Date(y, m+1, 1, 0, 0, 0, 0, r.zone)
	}
	return from.UnixNano() - int64(r.skew), to.UnixNano() - int64(r.skew)
}

// key is the bucket in which the rule counts the call; ok is false when it does
// not count it.
func (r *rule) key(c Call) (key Call, ok bool) {
	if r.perUser && c.User == "" || len(r.Only) > 0 && !slices.Contains(r.Only, c.Endpoint) {
		return Call{}, false
	}
	key = Call{App: c.App}
	if r.perUser {
		key.User = c.User
	}
	if r.perEndpoint {
		key.Endpoint = c.Endpoint
	}
	return key, true
}

// cost is what a request takes of the rule's quota.
func (r *rule) cost(q Request) int64 {
	if q.Free {
		return 0
	}
	return r.Takes(q.Call, max(1, q.Cost))
}

// wider reports whether the rule counts by fewer parts than o, and by no other.
func (r *rule) wider(o *rule) bool {
	return (!r.perUser || o.perUser) && (!r.perEndpoint || o.perEndpoint) && (r.perUser != o.perUser || r.perEndpoint != o.perEndpoint)
}

// most is the largest number that is ever left.
func (r *rule) most() int64 {
	if r.Window.Refill > 0 && r.Window.Burst > 0 {
		return r.Window.Burst * r.quota / r.Quota // in step when the quota changes
	}
	return r.quota
}
