package quota

import "time"

// The tests' upstream shares no code with the model that it judges. It counts
// what arrives in its own true windows and refuses what is too much.

// trueLimit is one limit of the upstream.
type trueLimit struct {
	quota    int64
	period   time.Duration
	phase    time.Duration // of aligned windows
	firstUse bool          // windows begin at the first call after the last
	perUser  bool
	// perEndpoint counts each endpoint apart.
	perEndpoint bool
}

// passage is a call that was taken, and what it took.
type passage struct {
	at   time.Time
	cost int64
}

type trueWindow struct {
	ends  time.Time
	count int64
	taken int64 // by others, of count
	seen  int
}

type upstream struct {
	meter    meter // instead of limits
	limits   []trueLimit
	windows  map[string]*trueWindow
	rounding rounding
	epoch    bool
	// An answer of a bare one tells only which limit it refuses for, of a mute nothing.
	bare, mute bool
	refused    int
	counted    int
	// weight is what a call to an endpoint takes; nil is one. What is refused takes
	// as much where wasteful. passed and refusedAt are when each call was.
	weight   func(endpoint string, now time.Time) int64
	wasteful bool
	// closed says that calls of a caller are refused whatever is left; nil is no.
	closed    func(caller string) bool
	passed    []passage
	refusedAt []time.Time
	history   []int64 // counts of the first limit's complete windows
	taken     []int64 // what others took of each of these
	lag       int64   // how much too low the use is that lagging tells of: some nodes lag
	lagging   func() bool
	told      []int64 // what remained after each call
	// dateAhead is how far the clock that writes Date is ahead of the limiter's.
	dateAhead time.Duration
	ahead     time.Duration // its clock, of ours
}

func (u *upstream) window(i int, caller string, now time.Time) *trueWindow {
	l := u.limits[i]
	key := string(rune('0' + i))
	user, endpoint := callerOf(caller)
	if l.perUser {
		key += user
	}
	if l.perEndpoint {
		key += endpoint
	}
	w := u.windows[key]
	if w == nil {
		w = &trueWindow{}
		u.windows[key] = w
	}
	if !now.Before(w.ends) {
		if w.seen++; i == 0 && w.seen > 2 {
			u.history = append(u.history, w.count) // the first may be cut short
			u.taken = append(u.taken, w.taken)
		}
		w.count, w.taken = 0, 0
		if l.firstUse {
			w.ends = now.Add(l.period)
		} else {
			into := (now.UnixNano() - int64(l.phase)) % int64(l.period)
			w.ends = now.Add(l.period - time.Duration(into))
		}
	}
	return w
}

// told is what the answer's one set of headers says.
type told struct {
	quota, remaining int64
	reset            time.Duration // of the told limit, rounded
	epoch            int64
	ok               bool
	refusing         trueLimit // the first that is spent
}

// arrive counts a call, or refuses it and counts nothing, and says the state of
// the limit that is closest to its end.
func (u *upstream) arrive(user string, now time.Time) told {
	now = now.Add(u.ahead)
	if u.meter != nil {
		return u.arriveAt(user, now)
	}
	ok, cost := u.closed == nil || !u.closed(user), u.cost(user, now)
	var refusing trueLimit
	for i, l := range u.limits {
		if ok && u.window(i, user, now).count+cost > l.quota {
			ok, refusing = false, l
		}
	}
	u.note(ok, cost, now)
	var t told
	for i, l := range u.limits {
		w := u.window(i, user, now)
		if ok || u.wasteful {
			w.count += cost
		}
		if left := max(0, l.quota-w.count); i == 0 || left < t.remaining {
			secs := u.rounding.seconds(w.ends.Sub(now))
			t = told{quota: l.quota, remaining: left, reset: time.Duration(secs) * time.Second}
			if u.epoch {
				// The epoch's own rounding, against a Date in whole seconds.
				e := u.rounding.seconds(w.ends.Sub(time.Unix(0, 0)))
				t.epoch = e
				t.reset = time.Duration(e-now.Add(u.dateAhead).Unix()) * time.Second
			}
		}
	}
	if u.lagging != nil && u.lagging() && ok {
		t.remaining = min(t.remaining+u.lag, t.quota)
	}
	t.ok, t.refusing = ok, refusing
	u.told = append(u.told, t.remaining)
	return t
}

// cost is what a call takes of every limit.
func (u *upstream) cost(caller string, now time.Time) int64 {
	if u.weight == nil {
		return 1
	}
	_, endpoint := callerOf(caller)
	return u.weight(endpoint, now)
}

// note counts a call that was taken, or refused.
func (u *upstream) note(ok bool, cost int64, now time.Time) {
	if ok {
		u.counted++
		u.passed = append(u.passed, passage{now, cost})
	} else {
		u.refused++
		u.refusedAt = append(u.refusedAt, now)
	}
}
