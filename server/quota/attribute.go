package quota

// attribute finds the bucket that each observation speaks of, making those that
// nobody knew, and on whose account a refusal is. What it returns is good until the
// next call.
func (l *Ledger) attribute(s *answerState, observations []Observation) tellings {
	told := l.read[:0]
	for i := range observations {
		o := &observations[i]
		b := l.match(s.route, o, func(b *Bucket) span { return s.bounds(b, o.Reset) })
		if b == nil || told.of(b) != nil {
			if b = l.tell(s.now, s.scope, o); b == nil {
				continue
			}
			s.route = l.route(s.now, s.scope)
		}
		s.spare = s.spare || o.Remaining > 0
		if o.Blocked && s.verdict == Refused {
			if b.stale(s.now, s.granted, s.bounds(b, o.Reset), o.Reset.Epoch) {
				continue
			}
			s.blame(b)
		}
		told = append(told, telling{b, o})
	}
	if s.verdict == Refused && len(observations) == 0 {
		s.blamePredicted()
	}
	s.countUnseen(told)
	l.read = told
	return told
}

// tellings are the observations of one answer by what they speak of: a few at
// most, of a bucket each.
type tellings []telling

type telling struct {
	bucket *Bucket
	o      *Observation
}

// of is what is told of the bucket, nil when that is nothing.
func (t tellings) of(b *Bucket) *Observation {
	for i := range t {
		if t[i].bucket == b {
			return t[i].o
		}
	}
	return nil
}

// blame notes that the call was refused on the bucket's account.
func (s *answerState) blame(b *Bucket) {
	if s.blamed == nil {
		s.blamed = make(map[*Bucket]bool)
	}
	s.blamed[b] = true
}

// blamePredicted blames a refusal that says nothing on the one bucket that we
// expected to be empty, if it is one.
func (s *answerState) blamePredicted() {
	var empty *Bucket
	for _, b := range s.route {
		if b.gate || b.available() > 0 || b.stale(s.now, s.granted, span{}, 0) {
			continue
		}
		if empty != nil {
			return
		}
		empty = b
	}
	if empty != nil {
		s.blame(empty)
	}
}

// countUnseen counts, for each bucket, the answers that speak of others.
func (s *answerState) countUnseen(told tellings) {
	if len(told) == 0 {
		return
	}
	for _, b := range s.route {
		if told.of(b) != nil {
			b.unseen, b.seen = 0, true
		} else if b.unseen < forgetAfter {
			b.unseen++
		}
	}
}

// hold closes what an answer says is to be left alone: the buckets on whose
// account the call was refused; or, when the upstream protects itself or refuses
// with something to spare, the endpoint, charging nobody; or, when nothing is
// said, the narrowest group of calls, and all of the application once a second
// such group is hit.
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
		why := Said
		if len(a.Observations) == 0 {
			why = Predicted
		}
		for b := range s.blamed {
			b.tally.Refused[why]++
			l.shut(s.now, b, r)
		}
	case s.verdict == Overloaded || s.spare:
		gate := l.gate(s.now, s.scope, Parts{Endpoint: true})
		gate.tally.Refused[Upstream]++
		l.shut(s.now, gate, r)
	case len(a.Observations) == 0:
		l.holdNarrowest(s, r)
	}
}

func (l *Ledger) holdNarrowest(s *answerState, r refusal) {
	parts := Parts{Endpoint: true}
	if s.scope.User != "" {
		parts = Parts{User: true}
	}
	narrow := l.gate(s.now, s.scope, parts)
	narrow.tally.Refused[Unattributed]++
	for other := range l.cooling {
		if other.gate && other != narrow && other.rule.Per == parts && other.state != Open {
			l.shut(s.now, l.gate(s.now, s.scope, Parts{}), r)
			break
		}
	}
	l.shut(s.now, narrow, r)
}

// shut closes a bucket and, when that is news, revokes the permits that have not
// been sent.
func (l *Ledger) shut(now instant, b *Bucket, r refusal) {
	if b.shut(now, r) {
		b.tally.Cooldowns++
		l.generation++
		l.revoked = append(l.revoked, Revocation{Scope: b.Key(), Generation: l.generation, Reason: b.reason})
	}
	l.cooling[b] = struct{}{}
	l.wanting[b] = struct{}{}
	l.change(b)
}
