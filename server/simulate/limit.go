package simulate

import (
	"fmt"
	"time"
)

// Limit is one quota that the upstream enforces, in fixed windows, for each
// application and, where it says so, each user and each endpoint apart.
type Limit struct {
	// Name is how the books call it; required, and different for each limit.
	Name string
	// PerUser and PerEndpoint count each user and each endpoint apart. A limit
	// that counts by user does not count a call that is made for none.
	PerUser, PerEndpoint bool
	// Quota is the calls a window; at least 1.
	Quota int64
	// Period is the length of a window; more than 0.
	Period time.Duration
	// FirstUse makes a bucket's window begin with the first call that it counts
	// after its last window. Otherwise windows follow each other without a gap,
	// and one of them begins at Phase after the Unix epoch.
	FirstUse bool
	// Phase moves the windows; it means nothing with FirstUse.
	Phase time.Duration
}

// validate reports the first field that cannot be enforced.
func (l Limit) validate() error {
	switch {
	case l.Name == "":
		return fmt.Errorf("limit: name: %q: name each limit", l.Name)
	case l.Quota < 1:
		return fmt.Errorf("limit %s: quota: %d: at least 1", l.Name, l.Quota)
	case l.Period <= 0:
		return fmt.Errorf("limit %s: period: %v: more than 0", l.Name, l.Period)
	}
	return nil
}

// key is the bucket in which the limit counts the call; ok is false when it
// does not count it.
func (l Limit) key(c Call) (key Call, ok bool) {
	key = Call{App: c.App}
	if l.PerUser {
		key.User = c.User
	}
	if l.PerEndpoint {
		key.Endpoint = c.Endpoint
	}
	return key, !l.PerUser || c.User != ""
}

// begins is when the window that holds now begins, for a window that opens now:
// by integers, so that each one begins exactly when the last one ends.
func (l Limit) begins(now time.Time) time.Time {
	if l.FirstUse {
		return now
	}
	into := time.Duration((now.UnixNano() - int64(l.Phase)) % int64(l.Period))
	if into < 0 {
		into += l.Period
	}
	return now.Add(-into)
}
