package quota

import (
	"fmt"
	"slices"
	"time"
)

// Bounds of what is kept of claims.
const (
	// maxClaims is how many limits whose scope is not told are told apart.
	maxClaims = maxTold
	// maxWitnesses is how many scopes of one kind, such as users, are watched in
	// one window of a claim: a part of the answers shows no less than all do.
	maxWitnesses = 512
	// slackHalves is after how many windows without a refusal that nobody predicted
	// a claim's slack halves again.
	slackHalves = 16
)

// claim is a limit that answers tell of without saying by which parts of the
// scope it is counted. It is held to be counted by each that is possible, until
// that is contradicted: see [witness].
type claim struct {
	// name and unit are the limit's; quota and window are known, and tell it from
	// others, where answers do not name it.
	name, unit string
	quota      int64
	window     Window

	candidates []*candidate
	// doublings is how often the slack has doubled, revivedUntil until when all
	// candidates are not brought back again, calm the windows since.
	doublings    uint8
	revivedUntil instant
	calm         int
	// parents are the buckets of the candidate that was contradicted last, by key:
	// what they counted in their window, those that follow may have used.
	parents   map[Scope]*Bucket
	parentPer Parts
	// void is true once more passed than the limit has: the answers that told of it
	// were false, by whatever it is counted.
	void bool
}

// claims reports whether an observation is of the claim.
func (c *claim) claims(o *Observation) bool {
	if c.name != o.Limit || c.unit != unitOf(o) {
		return false
	}
	return c.name != "" || c.quota == o.Quota && c.window == o.Window
}

// candidate is parts by which a claim may be counted.
type candidate struct {
	per Parts
	// rule is the limit that was made for it; nil when it is configured, or when
	// one that holds more calls together does as well.
	rule *Limit
	// out is true while it is contradicted.
	out bool
	// answers is how many answers have not contradicted it.
	answers   uint64
	witnesses map[Scope]*witness
	// latest is the witness that was heard last, of the key: mostly the next is too.
	latest *witness
	key    Scope
	// fullUntil is until when no more witnesses are made.
	fullUntil instant
}

// openParts are the parts by which a limit may be counted that nobody configured,
// from the widest. The last is never contradicted: something must hold.
func openParts() [4]Parts {
	return [...]Parts{{}, {Endpoint: true}, {User: true}, {User: true, Endpoint: true}}
}

// claim is the claim of an observation; nil when there is none.
func (l *Ledger) claim(o *Observation) *claim {
	for _, c := range l.claims {
		if c.claims(o) {
			return c
		}
	}
	return nil
}

// newClaim is the claim of an observation that there was none of; nil when there are
// too many.
func (l *Ledger) newClaim(o *Observation) *claim {
	if len(l.claims) >= maxClaims {
		l.claims = slices.DeleteFunc(l.claims, func(c *claim) bool { return !c.inUse() })
	}
	if len(l.claims) >= maxClaims {
		return nil
	}
	c := &claim{name: o.Limit, unit: unitOf(o)}
	if c.name == "" {
		c.quota, c.window = o.Quota, o.Window
	}
	l.recall(c)
	l.claims = append(l.claims, c)
	return c
}

// inUse reports whether limits were made for the claim.
func (c *claim) inUse() bool {
	return slices.ContainsFunc(c.candidates, func(x *candidate) bool { return x.rule != nil })
}

// recall takes over the limits of an earlier life: what they do not cover was
// contradicted.
func (l *Ledger) recall(c *claim) {
	var kept []Parts
	for _, rule := range l.told {
		if rule.Name == c.ruleName(rule.Per) && rule.Counts() == c.unit && rule.Window.Equal(c.window) {
			c.candidate(rule.Per).rule = rule
			kept = append(kept, rule.Per)
		}
	}
	if kept == nil {
		return
	}
	for _, per := range openParts() {
		c.candidate(per).out = !slices.ContainsFunc(kept, func(k Parts) bool { return k.holds(per) })
	}
}

// ruleName names the limit of a candidate.
func (c *claim) ruleName(per Parts) string {
	rule := Limit{Name: c.name, Per: per, Unit: c.unit, Quota: c.quota, Window: c.window}
	switch {
	case c.name == "" || c.name == nameBackoff:
		return toldName(&rule)
	case per != (Parts{}):
		return c.name + "-" + per.String()
	}
	return c.name
}

// candidate is the candidate of these parts, made when there is none.
func (c *claim) candidate(per Parts) *candidate {
	for _, x := range c.candidates {
		if x.per == per {
			return x
		}
	}
	x := &candidate{per: per}
	c.candidates = append(c.candidates, x)
	return x
}

// slack is by how much more answers than the use that they show contradict a
// candidate, because some come from nodes that lag.
func (c *claim) slack(quota int64) int64 { return max(1, quota/10) << c.doublings }

// witness is what is kept of a candidate's scope; nil when it is not watched.
func (x *candidate) witness(now instant, key Scope, until instant) *witness {
	if x.latest != nil && x.key == key {
		return x.latest
	}
	w := x.witnesses[key]
	if w == nil {
		if len(x.witnesses) >= maxWitnesses {
			if now < x.fullUntil {
				return nil
			}
			clear(x.witnesses)
		}
		if x.witnesses == nil {
			x.witnesses = make(map[Scope]*witness)
		}
		w = &witness{}
		x.witnesses[key], x.fullUntil = w, max(x.fullUntil, until)
	}
	x.latest, x.key = w, key
	return w
}

// dismiss forgets the witnesses.
func (x *candidate) dismiss() { x.witnesses, x.latest = nil, nil }

// testify lets an answer speak of whether the claim is counted by these parts.
func (l *Ledger) testify(s *answerState, c *claim, per Parts, seen *sighting) {
	x := c.candidate(per)
	if x.out {
		return
	}
	w := x.witness(s.now, s.scope.Only(per), seen.end.hi)
	if w == nil {
		return
	}
	if w.hear(seen) {
		c.begun(s.now, per)
	}
	x.answers++
	if w.contradicts(seen.quota, c.slack(seen.quota)) {
		l.contradict(c, x)
	}
}

// begun notes that a window began.
func (c *claim) begun(now instant, per Parts) {
	if per != c.candidates[0].per || now < c.revivedUntil {
		return
	}
	if c.calm++; c.calm >= slackHalves && c.doublings > 0 {
		c.calm = 0
		c.doublings--
	}
}

// contradict drops a candidate: its limit holds nothing back any more, and the
// numbers that configured limits of these parts took for theirs are forgotten.
func (l *Ledger) contradict(c *claim, x *candidate) {
	x.out, x.answers = true, 0
	x.dismiss()
	if x.rule != nil { // else it counted nothing
		c.parents, c.parentPer = make(map[Scope]*Bucket), x.per
	}
	for b := range l.all {
		switch {
		case b.rule.Per != x.per || b.gate || b.rule.Counts() != c.unit:
		case b.rule == x.rule:
			c.parents[b.Key()] = b
		case b.rule.Provenance != Told && b.quota == c.quota:
			b.disown()
			l.open(b)
			l.change(b)
		}
	}
	if x.rule != nil {
		l.untold(x.rule)
	}
}

// refuted reports whether more of our calls passed in this window than a limit has
// of which others than the last answer told: there is no such limit.
func (b *Bucket) refuted() bool {
	return b.rule.Provenance == Told && b.unseen > 0 && b.quota > 0 && b.n > b.quota && b.windowed()
}

// refute drops a limit that was made for a claim, and believes no answer that tells
// of it any more until a call is refused on its account.
func (l *Ledger) refute(rule *Limit) {
	for _, c := range l.claims {
		if c.of(rule) == nil {
			continue
		}
		c.void = true
		for _, x := range c.candidates {
			if x.rule != nil {
				l.untold(x.rule)
			}
		}
	}
}

// believes reports whether an answer can be of the claim: one that tells of a limit
// that there is not can only if it is a refusal.
func (c *claim) believes(v Verdict) bool {
	c.void = c.void && v != Refused
	return !c.void
}

// disown forgets numbers that were not the bucket's. Its own count stands.
func (b *Bucket) disown() {
	if b.rule.Quota == 0 {
		b.quota, b.provenance = 0, Nobody
	}
	b.m, b.tm, b.doubtful = b.full(), 0, false
	b.unrise()
}

// untold forgets a limit that responses told of, and all of its buckets.
func (l *Ledger) untold(rule *Limit) {
	l.told = slices.DeleteFunc(l.told, func(other *Limit) bool { return other == rule })
	for _, c := range l.claims {
		for _, x := range c.candidates {
			if x.rule == rule {
				x.rule = nil
			}
		}
	}
	for b := range l.all {
		if b.rule == rule {
			l.open(b) // whoever stands there must be decided anew
			l.drop(b)
		}
	}
	for p := range l.permits.all {
		p.uncharge()
	}
	l.replan()
}

// revive brings all candidates back, once a window, because a call was refused
// that none of those left would have held back. From now on it takes more to
// contradict one.
func (c *claim) revive(now, until instant) {
	if now < c.revivedUntil || !slices.ContainsFunc(c.candidates, func(x *candidate) bool { return x.out }) {
		return
	}
	for _, x := range c.candidates {
		x.out = false
		x.dismiss()
	}
	c.doublings = min(c.doublings+1, 8)
	c.revivedUntil, c.calm = max(until, now.add(time.Second)), 0
}

// inherit lets a bucket that follows a contradicted one begin with what that
// counted in this window: all of it may have been this one's.
func (l *Ledger) inherit(now instant, b *Bucket) {
	for _, c := range l.claims {
		x := c.of(b.rule)
		if x == nil || len(c.parents) == 0 {
			continue
		}
		key := b.Key()
		if parent := c.parents[key.Only(c.parentPer)]; parent != nil && parent.end.known() && now < parent.turnsAt() {
			b.replace(now, parent)
		} else if parent != nil {
			c.parents = nil
		}
		if w := x.witnesses[key]; w != nil && now < w.end.hi {
			b.m = max(0, b.quota-w.most)
		}
	}
}

// whoseOf says in a few words why it is this bucket that is closed, or counts as it
// does.
func (l *Ledger) whoseOf(b *Bucket) string {
	if b.state != Open {
		return b.whose
	}
	for _, c := range l.claims {
		if x := c.of(b.rule); x != nil {
			return fmt.Sprintf("not contradicted by %d answers", x.answers)
		}
	}
	if b.rule.Provenance == Told {
		return saidSo
	}
	return ""
}

// of is the candidate for which the rule was made; nil when there is none.
func (c *claim) of(rule *Limit) *candidate {
	for _, x := range c.candidates {
		if x.rule == rule {
			return x
		}
	}
	return nil
}

// replace takes over the window of another bucket, and what we used of it.
func (b *Bucket) replace(now instant, other *Bucket) {
	b.turned, b.end = other.turned, other.end
	b.tellEnds(other.told)
	b.jittery = other.jittery
	if other.hearsay != nil {
		heard := *other.hearsay
		b.hearsay = &heard
	}
	if r := other.rare; r != nil && r.untimed != (untimed{}) {
		b.need().untimed = r.untimed
	}
	if other.drift() != nil {
		b.doubt().drift = other.drift()
	}
	b.passLo(now)
	b.begunWith(now, other.sent())
}
