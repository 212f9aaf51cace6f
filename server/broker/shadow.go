package broker

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// shadow is what would have become of a permit's call if its API were not in
// shadow mode.
type shadow struct {
	// held says that it would not have been allowed at once, on account of the
	// limit; turning, that it was only to be sure that a window had turned.
	held, turning bool
	limit         string
}

// forcesLocked reports whether a call is granted in spite of the decision. One
// that waits for the store is not: nothing is decided of it yet.
func (s *shard) forcesLocked(d quota.Decision) bool {
	return s.api.Shadow && !d.Allowed() && d.Reason != quota.TooLarge && !s.queues.Storing(d)
}

// forceLocked grants in shadow mode what is denied; or reports that the call has
// to wait for the store.
func (s *shard) forceLocked(now time.Time, w *waiter, d quota.Decision) (stand bool) {
	ends := s.ledger.Explain(now, d.Bucket).EndLo
	held := shadow{held: true, limit: d.Bucket.Name(), turning: !ends.IsZero() && !now.Before(ends)}
	w.shadowed = s.denialLocked(now, d)
	forced := s.ledger.Take(now, quota.Request{Scope: w.Scope, Costs: w.Costs, Force: true, Into: s.queues.Room})
	if forced.Permit == nil {
		w.shadowed = nil
		return s.decideLocked(now, w, forced) // by the store, or never
	}
	w.permit = s.grantLocked(w)
	w.permit.shadow = held
	w.quotas = s.countedLocked(now, w.Scope)
	s.answerLocked(now, w)
	return false
}

// scoreLocked compares what would have become of a call with what did. An answer
// that is none, or by which the upstream protects itself, says nothing.
func (s *shard) scoreLocked(now time.Time, p *permit, a quota.Answer) {
	if !s.api.Shadow || a.Unanswered || a.Verdict == quota.Overloaded {
		return
	}
	var one ShadowCounts
	var limits []string
	switch refused := a.Verdict == quota.Refused; {
	case refused && p.shadow.held:
		one.HeldRefused, limits = 1, []string{p.shadow.limit}
	case refused:
		one.GrantedRefused, limits = 1, []string{p.grant.Blamed()}
	case p.shadow.turning:
		one.HeldAtTurn, limits = 1, []string{p.shadow.limit}
	case p.shadow.held:
		one.HeldTaken, limits = 1, []string{p.shadow.limit}
	default:
		one.GrantedTaken, limits = 1, slices.Collect(p.grant.Limits)
	}
	for i, limit := range limits {
		if limit != "" {
			limits[i] = s.broker.counts.name(LimitID{s.id.API, limit}).Limit
		}
	}
	if !s.broker.scores.add(now, p.grant.GrantedAt, s.id.API, one, limits) {
		return
	}
	p.grant.Corrected(func(limit string, configured, told int64) {
		limit = s.broker.counts.name(LimitID{s.id.API, limit}).Limit
		s.broker.scores.correct(s.id.API, limit, configured, told)
	})
}

// ShadowCounts are calls by what the broker would have done and what the upstream
// did. They only grow.
type ShadowCounts struct {
	// GrantedTaken would have been granted, and the upstream took them.
	GrantedTaken int64
	// GrantedRefused would have been granted, and the upstream refused them.
	GrantedRefused int64
	// HeldTaken would not have been granted at once, and the upstream took them.
	HeldTaken int64
	// HeldRefused would not have been granted at once, and the upstream refused
	// them.
	HeldRefused int64
	// HeldAtTurn would have been held back for a moment, to be sure that a window
	// had turned, and the upstream took them: not wrong, only late.
	HeldAtTurn int64
}

// Calls is how many there are.
func (c ShadowCounts) Calls() int64 {
	return c.GrantedTaken + c.GrantedRefused + c.HeldTaken + c.HeldRefused + c.HeldAtTurn
}

// Wrong is how many of them would have been decided wrongly.
func (c ShadowCounts) Wrong() int64 { return c.GrantedRefused + c.HeldTaken }

func (c *ShadowCounts) add(o ShadowCounts) {
	c.GrantedTaken += o.GrantedTaken
	c.GrantedRefused += o.GrantedRefused
	c.HeldTaken += o.HeldTaken
	c.HeldRefused += o.HeldRefused
	c.HeldAtTurn += o.HeldAtTurn
}

// Score compares the decisions on the calls to an API in shadow mode with what
// the upstream did.
type Score struct {
	// API is its name.
	API string
	// KeptFor is the time since the first call that counts, or since the limits
	// were configured anew.
	KeptFor time.Duration
	// ShadowCounts has each call once.
	ShadowCounts
	// Limits are the counts by limit, the most wrong first. A call that was
	// granted and taken counts at each limit that counts it, one that would have
	// been held back at the limit that decides, one that was refused at the limit
	// that is to blame.
	Limits []LimitScore
}

// LimitScore is the counts of one limit.
type LimitScore struct {
	// Limit is its name; empty where nothing says whose refusal it was.
	Limit string
	ShadowCounts
	// Configured and Told are its quota as configured and as the upstream told it
	// last, where that is smaller; otherwise 0. The broker keeps to the smaller one.
	Configured, Told int64
}

// Scores is the score of the API in shadow mode, or of each if the name is empty,
// by name. An API that was not called has none. A score is kept as long as the
// broker is, and begins anew when its API's limits are configured anew.
func (b *Broker) Scores(api string) []Score { return b.scores.list(b.clock.now(), api) }

// scores are kept by API, beyond the life of any shard. Its lock is taken last.
type scores struct {
	mu    sync.Mutex
	byAPI map[string]*score
}

type score struct {
	since time.Time
	// anew is when it began anew: calls that were granted before count no more.
	anew    time.Time
	counts  ShadowCounts
	byLimit map[string]*LimitScore
}

// of is the score of one limit.
func (s *score) of(limit string) *LimitScore {
	l := s.byLimit[limit]
	if l == nil {
		l = &LimitScore{Limit: limit}
		s.byLimit[limit] = l
	}
	return l
}

// restart begins anew the scores of APIs of which decisions are other ones now,
// and ends those of APIs that are not in shadow mode any more.
func (ss *scores) restart(now time.Time, old, next *upstreams) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for name := range ss.byAPI {
		before, _ := old.find(name)
		after, err := next.find(name)
		switch {
		case err != nil || !after.Shadow:
			delete(ss.byAPI, name)
		case !before.Shadow || !after.Rules.Equal(before.Rules):
			ss.byAPI[name] = &score{since: now, anew: now, byLimit: map[string]*LimitScore{}}
		}
	}
}

// add counts a call, and reports false for one that does not count any more.
func (ss *scores) add(now, granted time.Time, api string, one ShadowCounts, limits []string) bool {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byAPI[api]
	if s == nil {
		s = &score{since: now, byLimit: map[string]*LimitScore{}}
		ss.byAPI[api] = s
	}
	if granted.Before(s.anew) {
		return false
	}
	s.counts.add(one)
	for _, limit := range limits {
		s.of(limit).add(one)
	}
	return true
}

// correct notes that the upstream told a smaller quota.
func (ss *scores) correct(api, limit string, configured, told int64) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.byAPI[api]; s != nil {
		l := s.of(limit)
		l.Configured, l.Told = configured, told
	}
}

func (ss *scores) list(now time.Time, api string) []Score {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	var list []Score
	for _, name := range slices.Sorted(maps.Keys(ss.byAPI)) {
		if api == "" || api == name {
			s := ss.byAPI[name]
			list = append(list, Score{API: name, KeptFor: until(s.since, now), ShadowCounts: s.counts, Limits: s.limits()})
		}
	}
	return list
}

func (s *score) limits() []LimitScore {
	var list []LimitScore
	for _, l := range s.byLimit {
		list = append(list, *l)
	}
	slices.SortFunc(list, func(a, b LimitScore) int {
		return cmp.Or(cmp.Compare(b.Wrong(), a.Wrong()), cmp.Compare(a.Limit, b.Limit))
	})
	return list
}
