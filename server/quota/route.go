package quota

import (
	"fmt"
	"slices"
)

// Bounds of what a ledger keeps.
const (
	// maxTold is how many limits an upstream can tell of, beside the configured.
	maxTold = 32
	// maxPlans bounds the cache of plans.
	maxPlans = 1 << 12
)

// Names of the limits that nobody configured.
const (
	// nameUnknown is the limit of an API of which nothing is known.
	nameUnknown = "quota"
	// nameBackoff is the limit without a quota that only cools down.
	nameBackoff = "backoff"
)

// plan is the kins that count the calls of an endpoint, and labels: those of the
// configured limits, those that responses told of, and the gates that exist.
type plan []*kin

// routed is the last route: whoever decides on a call mostly asks for what counts it
// again, to show it.
type routed struct {
	buckets []*Bucket
	// user, endpoint and labels are the scope's, whose other parts are the ledger's.
	user, endpoint string
	labels         Labels
	// planned is the ledger's plan by which it was made.
	planned uint64
}

// route is the buckets that count a call of this scope. The slice is good until
// the next call.
func (l *Ledger) route(now instant, s *Scope) []*Bucket {
	last := &l.routed
	if len(last.buckets) > 0 && last.planned == l.planned && last.user == s.User && last.endpoint == s.Endpoint && last.labels == s.Labels {
		return last.buckets
	}
	route := last.buckets[:0]
	for _, k := range l.plan(s) {
		if !k.gate {
			route = append(route, l.bucketOf(now, k, s.User))
		} else if b := k.of(s.User); b != nil {
			route = append(route, b)
		}
	}
	last.buckets, last.planned = route, l.planned
	last.user, last.endpoint, last.labels = s.User, s.Endpoint, s.Labels
	return route
}

// plan is the scope's, made when there is none.
func (l *Ledger) plan(s *Scope) plan {
	l.place = appendPlace(l.place[:0], s)
	if p, ok := l.plans[string(l.place)]; ok {
		return p
	}
	if len(l.plans) >= maxPlans {
		l.replan()
	}
	p := l.newPlan(*s)
	l.plans[string(l.place)] = p
	return p
}

func (l *Ledger) newPlan(s Scope) (p plan) {
	told := func(rule *Limit) bool { return rule.Per.Applies(s) }
	if len(l.rules.Limits) > 0 || !slices.ContainsFunc(l.told, told) { // else what was not known is told
		for _, rule := range l.limits(s) {
			p = append(p, l.kin(rule, s))
		}
	}
	for _, rule := range l.told {
		if told(rule) {
			p = append(p, l.kin(rule, s))
		}
	}
	return append(p, l.gates(s)...)
}

// gates is the gates that there are for calls of the scope.
func (l *Ledger) gates(s Scope) (p plan) {
	for _, parts := range gateParts(s) {
		if k := l.family(nameBackoff).kins[placeOf(s.Only(parts))]; k != nil {
			p = append(p, k)
		}
	}
	return p
}

// replan forgets the plans: which buckets count a call may have changed.
func (l *Ledger) replan() {
	clear(l.plans)
	l.planned++
}

// limits is the configured limits that count the scope, as they are for its
// endpoint, or the one unknown limit of an API of which nothing is configured.
func (l *Ledger) limits(s Scope) (limits []*Limit) {
	if len(l.rules.Limits) == 0 {
		return []*Limit{{Name: nameUnknown}}
	}
	for i := range l.rules.Limits {
		if rule := &l.rules.Limits[i]; rule.Per.Applies(s) {
			limits = append(limits, l.rules.overridden(rule, s.Endpoint))
		}
	}
	return limits
}

// gateParts is the groups of calls that can be told to back off without a quota:
// the whole application, this endpoint, this user.
func gateParts(s Scope) []Parts {
	parts := []Parts{{}, {Endpoint: true}}
	if s.User != "" {
		parts = append(parts, Parts{User: true})
	}
	return parts
}

// gateRule is the limit without a quota of such a group.
func gateRule(parts Parts) *Limit { return &Limit{Name: nameBackoff, Per: parts} }

// gate is the bucket without a quota that holds such a group back.
func (l *Ledger) gate(now instant, s Scope, parts Parts) *Bucket {
	if b := l.find(nameBackoff, s.Only(parts)); b != nil {
		return b
	}
	b := l.bucket(now, gateRule(parts), s)
	l.adopt(b)
	return b
}

// adopt makes a bucket that came to be in mid-flight count every permit that is
// outstanding and that it would have counted.
func (l *Ledger) adopt(b *Bucket) {
	l.replan()
	key := b.Key()
	for p := range l.permits.all {
		if !b.rule.Per.Applies(p.Scope) || p.Scope.Only(b.rule.Per) != key || p.charged(b) {
			continue
		}
		l.join(p, b)
	}
}

// join charges the permit to a bucket that came to be after it was granted.
func (l *Ledger) join(p *Permit, b *Bucket) {
	c := l.chargeOf(p, b)
	p.charges = append(p.charges, c)
	b.o += c.cost
	b.flying++
	b.tally.Granted++
}

func (p *Permit) charged(b *Bucket) bool {
	for i := range p.charges {
		if p.charges[i].bucket == b {
			return true
		}
	}
	return false
}

// named is the bucket of the limit that an observation names, or that is counted as
// it says; nil when there is none.
func (s *answerState) named(o *Observation, c *claim) *Bucket {
	if o.Limit != "" {
		for _, b := range s.route {
			if b.rule.Name == o.Limit && b.speaksOf(o) && (c == nil || c.of(b.rule) == nil) {
				return b
			}
		}
	}
	if !o.Says {
		return nil
	}
	for _, b := range s.route {
		// Of those that the upstream has names for, one of another name is another.
		other := o.Limit != "" && b.rule.Provenance == Told
		if !other && b.rule.Name != nameUnknown && b.rule.Per == o.Per && b.speaksOf(o) && s.fits(b, o) {
			return b
		}
	}
	return nil
}

// speaksOf reports whether an observation can be of the bucket at all.
func (b *Bucket) speaksOf(o *Observation) bool {
	return !b.gate && (b.rule.Unit == o.Unit || b.rule.Counts() == unitOf(o))
}

// widest is the bucket that counts most calls together of those that an observation
// without a quota can be of.
func (s *answerState) widest(o *Observation) (best *Bucket) {
	for _, b := range s.route {
		if best != nil && b.rule.Per.width() <= best.rule.Per.width() || !b.speaksOf(o) || !s.fits(b, o) {
			continue
		}
		if best = b; b.rule.Per == (Parts{}) {
			break // none is wider
		}
	}
	return best
}

// configured is the buckets of configured limits that an observation can be of, if
// no other observation of the answer is: those of its quota; else those whose quota
// nobody configured, and nobody has told yet.
func (l *Ledger) configured(s *answerState, o *Observation, told tellings) []*Bucket {
	list := l.can[:0]
	for _, known := range []bool{true, false} {
		for _, b := range s.route {
			if !b.speaksOf(o) || b.rule.Provenance == Told || b.rule.Name == nameUnknown || told.of(b) != nil || known != (b.rule.Quota > 0) {
				continue
			}
			if (b.quota == o.Quota || b.quota == 0) && (known || s.fits(b, o)) {
				list = append(list, b)
			}
		}
		if len(list) > 0 {
			break
		}
	}
	l.can = list
	return list
}

func unitOf(o *Observation) string {
	if o.Unit == "" {
		return Requests
	}
	return o.Unit
}

// fits reports whether what an observation tells of its window can be true of
// the bucket's.
func (s *answerState) fits(b *Bucket, o *Observation) bool {
	own := b.rule.Window.period()
	if p := o.Window.period(); p > 0 && own > 0 && p != own && (o.Window.Kind != Calendar || b.rule.Window.Kind != Calendar) {
		return false
	}
	if !o.Reset.Known {
		return o.Window.Kind == Unstated || own == 0 || o.Window.period() == own
	}
	reset := s.bounds(b, &o.Reset)
	if !reset.known() {
		return false // further away than the window is long
	}
	return !b.rule.Window.carries() || reset.lo <= b.turnsAt() && reset.hi >= b.end.lo
}

// tell makes the limit that an observation told of and that nobody configured: of
// the scope it says, or of the widest when it tells no quota.
func (l *Ledger) tell(now instant, s *Scope, o *Observation) *Bucket {
	if len(l.told) >= maxTold || o.Says && !o.Per.Applies(*s) {
		return nil
	}
	rule := &Limit{Name: o.Limit, Unit: o.Unit, Quota: o.Quota, Window: o.Window, Provenance: Told}
	if o.Says {
		rule.Per = o.Per
	}
	if rule.Name == "" || rule.Name == nameBackoff {
		rule.Name = toldName(rule)
	}
	if l.find(rule.Name, s.Only(rule.Per)) != nil {
		return nil // taken
	}
	return l.introduce(now, rule, *s)
}

// introduce lets a limit of which responses told count from now on, all that is on
// its way with it, and returns its bucket of the scope.
func (l *Ledger) introduce(now instant, rule *Limit, s Scope) *Bucket {
	l.told = append(l.told, rule)
	l.replan()
	for p := range l.permits.all {
		if rule.Per.Applies(p.Scope) {
			l.join(p, l.bucket(now, rule, p.Scope))
		}
	}
	return l.bucket(now, rule, s)
}

// toldName names a limit by what is known of it, such as "told-500" or
// "told-minute-app+endpoint".
func toldName(rule *Limit) string {
	name := "told"
	if rule.Quota > 0 {
		name += fmt.Sprint("-", rule.Quota)
	}
	if w := rule.Window; w.Kind == Calendar {
		name += "-" + w.Unit.String()
	} else if w.Period > 0 {
		name += "-" + w.Period.String()
	}
	if rule.Per != (Parts{}) {
		name += "-" + rule.Per.String()
	}
	if rule.Counts() != Requests {
		name += "-" + rule.Unit
	}
	return name
}
