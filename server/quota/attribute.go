package quota

import (
	"slices"
	"time"
)

// attribute finds the buckets that each observation speaks of, making those that
// nobody knew, and on whose account a refusal is. What it returns is good until the
// next call.
func (l *Ledger) attribute(s *answerState, observations []Observation) tellings {
	told, planned := l.read[:0], l.planned
	for i := range observations {
		o := &observations[i]
		of, c := l.whose(s, o, told)
		s.spare = s.spare || o.Remaining > 0
		if len(of) > 0 && o.Blocked && s.verdict == Refused {
			of = l.accuse(s, o, of, c)
		}
		for _, b := range of {
			if told.of(b) == nil {
				told = append(told, telling{b, o})
				b.unseen, b.seen = 0, true
			}
		}
	}
	if l.planned != planned {
		s.route = l.route(s.now, s.scope)
	}
	if s.verdict == Refused && len(s.blamed) == 0 && !s.stale && !s.vague.known() {
		s.blamePredicted(told)
	}
	l.read = told
	return told
}

// whose finds the buckets that an observation speaks of: the one that it names, or
// that is counted as it says; the only configured one that it can be of; or those
// by which it can be counted, as far as nothing contradicts it. They are good until
// the next call.
func (l *Ledger) whose(s *answerState, o *Observation, told tellings) ([]*Bucket, *claim) {
	c := l.claim(o)
	var b *Bucket
	if o.Says || o.Limit != "" {
		b = s.named(o, c)
	}
	switch {
	case b == nil && o.Says || b != nil && told.of(b) != nil:
		b = l.tell(s.now, s.scope, o)
	case b == nil && o.Quota == 0 && c == nil:
		if b = s.widest(o); b == nil {
			b = l.tell(s.now, s.scope, o)
		}
	case b == nil:
		return l.claimants(s, o, c, told)
	}
	if b == nil {
		return nil, nil
	}
	l.of = append(l.of[:0], b)
	return l.of, nil
}

// claimants is the buckets of a claim, which is made when there is none. While a wide
// candidate stands, those that it holds need no bucket of their own: it has all of
// their numbers and counts all of their calls.
func (l *Ledger) claimants(s *answerState, o *Observation, c *claim, told tellings) ([]*Bucket, *claim) {
	configured := l.configured(s, o, told)
	if len(configured) == 1 {
		return configured, nil
	}
	if c == nil {
		c = l.newClaim(o)
	}
	switch {
	case c == nil:
		return configured[:min(1, len(configured))], nil
	case !c.believes(s.verdict):
		return nil, nil
	}
	seen, ok := s.sight(o)
	ok = ok && s.verdict == Passed && !s.tighten && s.counts(c.unit)
	if len(configured) == 0 {
		for i, per := range openParts() {
			if ok && i < 3 && per.Applies(*s.scope) {
				l.testify(s, c, per, &seen)
			}
		}
	}
	for _, b := range configured {
		if ok {
			l.testify(s, c, b.rule.Per, &seen)
		}
	}
	return l.standing(s, c, o, configured), c
}

// standing is the buckets of a claim by what nothing contradicts: of the configured
// limits that it can be, else of any parts.
func (l *Ledger) standing(s *answerState, c *claim, o *Observation, configured []*Bucket) []*Bucket {
	l.of = c.standing(l.of[:0], configured)
	if len(l.of) == 0 {
		l.of = l.invented(l.of, s, c, o)
	}
	return l.of
}

// standing appends those of the buckets that nothing contradicts, but for those that
// another of them holds.
func (c *claim) standing(of, list []*Bucket) []*Bucket {
	for i, b := range list {
		held := slices.ContainsFunc(list[:i], func(other *Bucket) bool { return other.rule.Per == b.rule.Per })
		for _, other := range list {
			held = held || other.rule.Per != b.rule.Per && other.rule.Per.holds(b.rule.Per) && !c.candidate(other.rule.Per).out
		}
		if !held && !c.candidate(b.rule.Per).out {
			of = append(of, b)
		}
	}
	return of
}

// invented appends the buckets of a claim that nobody configured, by what stands of
// the parts by which it can be counted.
func (l *Ledger) invented(of []*Bucket, s *answerState, c *claim, o *Observation) []*Bucket {
	parts := openParts()
	standing := make([]Parts, 0, len(parts))
	for _, per := range parts {
		x := c.candidate(per)
		if x.out || !per.Applies(*s.scope) {
			continue
		}
		held := slices.ContainsFunc(standing, func(wide Parts) bool { return wide.holds(per) })
		standing = append(standing, per)
		if x.rule == nil && !held && o.Quota > 0 {
			l.invent(s, c, x, o)
		}
		if x.rule != nil {
			of = append(of, l.routedTo(s, x.rule))
		}
	}
	return of
}

// routedTo is the bucket of a told limit that counts the call.
func (l *Ledger) routedTo(s *answerState, rule *Limit) *Bucket {
	for _, b := range s.route {
		if b.rule == rule {
			return b
		}
	}
	return l.bucket(s.now, rule, *s.scope)
}

// invent makes the limit of a candidate, unless there are too many.
func (l *Ledger) invent(s *answerState, c *claim, x *candidate, o *Observation) {
	name := c.ruleName(x.per)
	if len(l.told) >= maxTold || l.find(name, s.scope.Only(x.per)) != nil {
		return
	}
	x.rule = &Limit{Name: name, Per: x.per, Unit: o.Unit, Quota: o.Quota, Window: o.Window, Provenance: Told}
	l.introduce(s.now, x.rule, *s.scope)
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

// accuse finds out of whom a refusal is that says what it is about, and returns the
// buckets of which it tells. When none of those that stand would have held the call
// back, one that was contradicted may have been the true one. And when it may be of
// all the application for longer than a minute, or of one user alone, that user
// rests and the others find out.
func (l *Ledger) accuse(s *answerState, o *Observation, of []*Bucket, c *claim) []*Bucket {
	fresh := slices.DeleteFunc(slices.Clone(of), func(b *Bucket) bool {
		return b.stale(s.now, s.granted, s.bounds(b, &o.Reset), o.Reset.Epoch)
	})
	if len(fresh) == 0 {
		s.stale = true
		return nil
	}
	reset := s.bounds(fresh[0], &o.Reset)
	foreseen := slices.ContainsFunc(fresh, (*Bucket).foreseen)
	all := fresh
	if c != nil && !foreseen {
		c.revive(s.now, reset.hi)
		all = l.standing(s, c, o, l.configured(s, o, nil))
	}
	for _, b := range all {
		long := reset.lo > s.now.add(time.Minute)
		switch {
		case c != nil && !foreseen && !slices.Contains(fresh, b), c.mayBeUsers(*s.scope) && !foreseen && long && !b.rule.Per.User:
			s.vague = s.vague.with(reset)
		default:
			s.blame(b)
		}
	}
	return all
}

// foreseen reports whether the bucket was expected to be empty.
func (b *Bucket) foreseen() bool { return b.available() <= 0 || b.state == Cooling }

// mayBeUsers reports whether the claim can be of a single user. It may be called of
// no claim.
func (c *claim) mayBeUsers(s Scope) bool {
	return c != nil && s.User != "" && (!c.candidate(Parts{User: true}).out || !c.candidate(Parts{User: true, Endpoint: true}).out)
}
