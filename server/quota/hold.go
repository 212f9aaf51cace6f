package quota

import "time"

// Bounds of what a refusal that says nothing can do.
const (
	// maxBareWait is the longest that such refusals close the whole application for
	// at a time: they may all have meant their users.
	maxBareWait = time.Minute
	// maxBare is how many groups of calls are told apart that were refused so.
	maxBare = 16
	// trusted is how long it is believed that such refusals mean their users, after
	// that was seen: others are then not held back for them.
	trusted = 10 * time.Minute
)

// saidSo is the reason of what the response says itself.
const saidSo = "said by the response"

// blame notes that the call was refused on the bucket's account.
func (s *answerState) blame(b *Bucket) {
	if s.blamed == nil {
		s.blamed = make(map[*Bucket]bool)
	}
	s.blamed[b] = true
}

// blamePredicted blames a refusal that says nothing of whose it is on the one bucket
// that we expected to be empty, if it is one. A bucket of which the response tells
// that something is left is none.
func (s *answerState) blamePredicted(told tellings) {
	var empty *Bucket
	for _, b := range s.route {
		o := told.of(b)
		if b.gate || b.available() > 0 || o != nil && o.Remaining > 0 || b.stale(s.now, s.granted, span{}, 0) {
			continue
		}
		if empty != nil {
			return
		}
		empty = b
	}
	if empty != nil {
		s.blame(empty)
		s.predicted = true
	}
}

// hold closes what an answer says is to be left alone: the buckets on whose
// account the call was refused; or, when the upstream protects itself or refuses
// with something to spare, the endpoint, charging nobody; or, when nothing is
// said, the narrowest group of calls. A group that has been served since it was last
// refused is not the one.
func (l *Ledger) hold(s *answerState, a *Answer) {
	if s.verdict == Passed {
		return
	}
	r := refusal{granted: s.granted, base: a.Backoff, reason: a.Reason, jitter: l.random.next()}
	if a.RetryAfter > 0 {
		r.until = s.received.add(min(a.RetryAfter, maxCooldown))
	}
	switch {
	case len(s.blamed) > 0:
		r.by, r.whose = Said, saidSo
		if s.predicted {
			r.by, r.whose = Predicted, "predicted empty"
		}
		for b := range s.blamed {
			l.refuse(s.now, b, r)
		}
	case s.verdict == Overloaded || s.spare && !s.vague.known():
		r.by, r.whose = Upstream, "the upstream protects itself"
		l.holdGate(s, l.whom(s, Parts{Endpoint: true}, Parts{User: true}), r)
	case !s.stale:
		r.by, r.until, r.asks = Unattributed, max(r.until, s.vague.hi), s.nextTurn()
		l.holdNarrowest(s, r)
		l.suspect(s)
	}
}

// nextTurn is when the first window turns of those that count the call; 0 when that is
// not known.
func (s *answerState) nextTurn() (turn instant) {
	for _, b := range s.route {
		if b.end.known() && !b.gate && !b.logged() {
			turn = earlier(turn, b.turnsAt())
		}
	}
	return turn
}

// refuse counts a refusal at the bucket that it closes.
func (l *Ledger) refuse(now instant, b *Bucket, r refusal) {
	b.tally.Refused[r.by]++
	l.shut(now, b, r)
}

// shut closes a bucket and, when that is news, revokes the permits that have not
// been sent.
func (l *Ledger) shut(now instant, b *Bucket, r refusal) {
	if b.shut(now, r) {
		b.tally.Cooldowns++
		b.govern(now)
		l.generation++
		l.revoked = append(l.revoked, Revocation{Scope: b.Key(), Generation: l.generation, Reason: b.reason})
	}
	l.cool(b)
	l.wanting[b] = struct{}{}
	l.change(b)
}
