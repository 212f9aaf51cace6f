package simulate

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// Call is one request as the upstream sees it: whose it is. As the key of a
// bucket, the parts by which its limit does not count are empty.
type Call struct {
	App, User, Endpoint string
}

// Header is one field of an answer.
type Header struct {
	Name, Value string
}

// The statuses that an upstream answers with.
const (
	StatusOK              = 200
	StatusTooManyRequests = 429
)

// Answer is what the upstream says to a call.
type Answer struct {
	// Status is [StatusOK] or [StatusTooManyRequests].
	Status int
	// Spent is the name of the limit that refused the call, the first of several;
	// empty for a call that was served.
	Spent string
	// Headers are X-RateLimit-Limit, -Remaining and -Reset, once each and in
	// this order: of the quota with the smallest share left, and among those the
	// one that resets last. There are none when no limit counts the call.
	Headers []Header
}

// Upstream is an API that enforces quotas. A call that finds room in every
// bucket is counted in each; any other is answered 429 and counted in none.
// Everything is kept in the books, so it is made for runs of minutes. It is not
// safe for concurrent use. Instants are read by their wall clock alone, which
// must never go back.
type Upstream struct {
	limits  []Limit
	round   Rounding
	buckets map[bucketKey]*bucket
	books   books
}

type bucketKey struct {
	limit string
	key   Call
}

// bucket is the state of one limit for one key.
type bucket struct {
	limit Limit
	key   Call
	// window is the current one, past those before it that had a call.
	window Window
	past   []Window
	// refusedAt is the first refusal since a call was counted last; zero when
	// there was none.
	refusedAt time.Time
}

// NewUpstream makes an upstream with these limits, which must have different
// names; the error names the field of a limit that is wrong. It says its resets
// in whole seconds, rounded as told.
func NewUpstream(round Rounding, limits ...Limit) (*Upstream, error) {
	seen := make(map[string]bool)
	for _, l := range limits {
		if err := l.validate(); err != nil {
			return nil, err
		}
		if seen[l.Name] {
			return nil, fmt.Errorf("limit %s: name: given twice", l.Name)
		}
		seen[l.Name] = true
	}
	return &Upstream{limits: limits, round: round, buckets: make(map[bucketKey]*bucket)}, nil
}

// Serve answers a call that arrives now.
func (u *Upstream) Serve(now time.Time, c Call) Answer {
	now = now.Round(0)
	buckets := u.counting(now, c)
	a := Answer{Status: StatusOK}
	for _, b := range buckets {
		if b.left() == 0 {
			a.Status, a.Spent = StatusTooManyRequests, cmp.Or(a.Spent, b.limit.Name)
			b.refuse(now)
		}
	}
	if a.Status == StatusTooManyRequests {
		u.books.refused++
	} else {
		u.books.served++
		for _, b := range buckets {
			u.books.lockedOut(b.count(now))
		}
	}
	a.Headers = u.headers(now, buckets)
	return a
}

// counting is the buckets that count the call, their windows turned to now.
func (u *Upstream) counting(now time.Time, c Call) []*bucket {
	var buckets []*bucket
	for _, l := range u.limits {
		key, ok := l.key(c)
		if !ok {
			continue
		}
		id := bucketKey{l.Name, key}
		b := u.buckets[id]
		if b == nil {
			b = &bucket{limit: l, key: key}
			u.buckets[id] = b
		}
		b.turn(now)
		buckets = append(buckets, b)
	}
	return buckets
}

// headers are those of the tightest of the buckets.
func (u *Upstream) headers(now time.Time, buckets []*bucket) []Header {
	var tightest *bucket
	for _, b := range buckets {
		if tightest == nil || b.tighterThan(tightest) {
			tightest = b
		}
	}
	if tightest == nil {
		return nil
	}
	reset := u.round.seconds(tightest.window.Ends.Sub(now))
	return []Header{
		{"X-RateLimit-Limit", strconv.FormatInt(tightest.limit.Quota, 10)},
		{"X-RateLimit-Remaining", strconv.FormatInt(tightest.left(), 10)},
		{"X-RateLimit-Reset", strconv.FormatInt(reset, 10)},
	}
}

// turn opens a new window if the last one is over. One that begins at its first
// use moves along until it has counted a call.
func (b *bucket) turn(now time.Time) {
	unused := b.limit.FirstUse && b.window.Counted == 0
	if now.Before(b.window.Ends) && !unused {
		return
	}
	b.past = b.windows()
	began := b.limit.begins(now)
	b.window = Window{Limit: b.limit.Name, Key: b.key, Began: began, Ends: began.Add(b.limit.Period)}
}

// windows are those that had a call.
func (b *bucket) windows() []Window {
	if b.window.Counted+b.window.Refused == 0 {
		return b.past
	}
	return append(b.past, b.window)
}

// left is the calls that the window still has.
func (b *bucket) left() int64 { return b.limit.Quota - b.window.Counted }

func (b *bucket) refuse(now time.Time) {
	b.window.Refused++
	if b.refusedAt.IsZero() {
		b.refusedAt = now
	}
}

// count counts a call, and returns how long the bucket had refused before it.
func (b *bucket) count(now time.Time) (lockout time.Duration) {
	b.window.Counted++
	if !b.refusedAt.IsZero() {
		lockout = now.Sub(b.refusedAt)
		b.refusedAt = time.Time{}
	}
	return lockout
}

// tighterThan reports whether b has a smaller share left than c, or the same
// and resets later.
func (b *bucket) tighterThan(c *bucket) bool {
	// left/quota compared crosswise: exact in integers.
	mine, its := b.left()*c.limit.Quota, c.left()*b.limit.Quota
	if mine != its {
		return mine < its
	}
	return b.window.Ends.After(c.window.Ends)
}
