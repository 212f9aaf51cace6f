package quota

import (
	"slices"
	"time"
)

// Equal reports whether both rules say the same.
func (r *Rules) Equal(o *Rules) bool {
	send, report := r.Deadlines()
	oSend, oReport := o.Deadlines()
	return r.API == o.API && send == oSend && report == oReport && r.maxReset() == o.maxReset() &&
		slices.EqualFunc(r.Limits, o.Limits, func(l, m Limit) bool { return l.Equal(&m) }) &&
		slices.Equal(r.Overrides, o.Overrides) && slices.Equal(r.Costs, o.Costs) && slices.Equal(r.Labels, o.Labels)
}

// Equal reports whether both limits say the same.
func (l *Limit) Equal(o *Limit) bool {
	return l.Name == o.Name && l.Quota == o.Quota && l.Provenance == o.Provenance && l.countsAs(o)
}

// countsAs reports whether two limits count the same calls in the same windows.
func (l *Limit) countsAs(o *Limit) bool { return l.alike(o) && l.Window.Equal(o.Window) }

// alike reports whether two limits count the same calls, in whatever windows.
func (l *Limit) alike(o *Limit) bool { return l.Per == o.Per && l.Counts() == o.Counts() }

// Equal reports whether both windows turn alike. It compares time zones by name:
// the same one that is loaded twice has two addresses.
func (w Window) Equal(o Window) bool {
	if w.zone().String() != o.zone().String() {
		return false
	}
	w.Zone, o.Zone = nil, nil
	return w == o
}

// Adopt replaces the rules; the same rules change nothing. They must be of the
// same API.
//
// A limit that counts as before, by name, per, unit and window, keeps its buckets
// and their counts. A smaller quota holds at once: what is left may be less than
// nothing until the window turns. A greater one holds at once too, unless responses
// told less; what remained by a response of the present window stands until one
// probe has asked again. A limit that is new begins with the permits that are
// outstanding; where another goes that has the same per and unit, it takes over
// that one's use and cool-down for its first window. Outstanding permits keep the
// lifetime that they were granted with; the answers to their calls may speak of limits
// as they were, and so can only tighten.
//
// Buckets may go, so whoever stands at one must be decided anew.
func (l *Ledger) Adopt(now time.Time, rules *Rules) {
	l.Advance(now)
	t := at(now)
	send, report := rules.Deadlines()
	alike := rules.countAs(l.rules)
	if !rules.Equal(l.rules) {
		l.ruledSince = t
	}
	l.rules, l.lapsesAfter, l.awaits = rules, send+Flight, report
	l.replan()
	l.untell()
	l.claims = nil // of which limits they may be, the new rules say
	l.succeed(t, l.reconfigure(t))
	if !alike {
		for p := range l.permits.all {
			l.recharge(t, p)
		}
		for _, p := range l.slots {
			p.uncharge()
		}
	}
	dropped := func(b *Bucket) bool { return b.dropped }
	l.opened, l.changed = slices.DeleteFunc(l.opened, dropped), slices.DeleteFunc(l.changed, dropped)
}

// countAs reports whether both have limits of the same names that count alike, so
// that every bucket stays.
func (r *Rules) countAs(o *Rules) bool {
	return len(r.Limits) == len(o.Limits) && !slices.ContainsFunc(r.Limits, func(l Limit) bool {
		i := o.index(l.Name)
		return i < 0 || !l.countsAs(&o.Limits[i])
	})
}

// index is the place of the limit of a name, -1 when there is none.
func (r *Rules) index(name string) int {
	return slices.IndexFunc(r.Limits, func(l Limit) bool { return l.Name == name })
}

// untell forgets that responses told of limits which are configured by now.
func (l *Ledger) untell() {
	l.told = slices.DeleteFunc(l.told, func(rule *Limit) bool {
		i := l.rules.index(rule.Name)
		return i >= 0 && l.rules.Limits[i].alike(rule)
	})
}

// reconfigure gives each bucket its new rule, and drops and returns those that
// have none.
func (l *Ledger) reconfigure(now instant) (old []*Bucket) {
	for _, f := range l.families {
		for _, k := range f.kins {
			if k.gate || slices.Contains(l.told, k.rule) {
				continue
			}
			rule := l.ruleFor(k)
			if rule != nil && rule.countsAs(k.rule) {
				l.reconfigureKin(now, k, rule)
				continue
			}
			if rule != nil && rule.Counts() != k.rule.Counts() {
				f.costs, f.overall, f.weights, f.kept = nil, nil, nil, nil
			}
			for b := range k.all {
				old = append(old, b)
				l.drop(b)
			}
		}
	}
	return old
}

func (l *Ledger) reconfigureKin(now instant, k *kin, rule *Limit) {
	was := k.rule
	if rule.Quota != was.Quota {
		for b := range k.all {
			b.advanceKind(now) // at the old rate
		}
	}
	k.rule = rule
	unlearn := !rule.learns() && rule.Quota != was.Quota
	if unlearn && k.people != nil {
		k.siblings = nil
	}
	for b := range k.all {
		if unlearn {
			b.lesson = nil
		}
		changed := b.reconfigure(was)
		l.study(b)
		if changed {
			l.open(b)
			l.change(b)
		}
	}
}

// ruleFor is the rule of the kin's name for its place, nil when there is none.
func (l *Ledger) ruleFor(k *kin) *Limit {
	i := l.rules.index(k.rule.Name)
	switch {
	case i >= 0:
		return l.rules.overridden(&l.rules.Limits[i], k.key("").Endpoint)
	case len(l.rules.Limits) == 0 && k.rule.Name == nameUnknown:
		return &Limit{Name: nameUnknown}
	default:
		return nil
	}
}

// overridden is the limit as it is for an endpoint: one of its own where an
// override says so.
func (r *Rules) overridden(l *Limit, endpoint string) *Limit {
	if !l.Per.Endpoint {
		return l
	}
	q, ok := r.override(l.Name, endpoint)
	if !ok {
		return l
	}
	own := *l
	own.Quota, own.Provenance = q, Configured
	return &own
}

// reconfigure follows the bucket's new rule, which counts as the old one did, and
// reports whether the quota is another.
func (b *Bucket) reconfigure(was *Limit) bool {
	rule := b.rule
	switch q := rule.holds(); {
	case q == was.holds() && rule.Provenance == was.Provenance:
		return false
	case q == 0:
		return b.unlearn()
	case b.quota == 0:
		b.m = min(b.m, q)
	case q < b.quota:
		b.shrink(b.quota - q)
	case q > b.quota && b.provenance != Told:
		b.grow(q - b.quota)
	default:
		return false // responses told less, or as much
	}
	b.quota, b.provenance = rule.holds(), rule.Provenance
	b.unriseQuota()
	return true
}

// unlearn forgets a quota that was configured and is to be learned now. What
// responses told stays.
func (b *Bucket) unlearn() bool {
	if b.provenance != Configured {
		return false
	}
	if !b.heardNow() {
		b.m = unbounded
	}
	b.quota, b.provenance = 0, Nobody
	b.unriseQuota()
	b.asked = false
	if d := b.doubts(); d != nil {
		d.nextAsk = 0
	}
	return true
}

// heardNow reports whether a response told what remains in this window.
func (b *Bucket) heardNow() bool { return b.tm != 0 && b.tm >= b.turned }

// shrink lowers what remains as the quota falls: what was used is used.
func (b *Bucket) shrink(by int64) {
	b.m -= by
	if b.heardNow() {
		b.m = max(0, b.m)
	}
}

// grow raises what remains as the quota rises. What a response told stands, but
// may be out of date: a probe can raise it.
func (b *Bucket) grow(by int64) {
	if b.heardNow() {
		b.doubtful = true
		return
	}
	b.m += by
}

// succeed makes the buckets of limits that are new and count the same calls as
// one that goes, whatever their windows, and lets them take over.
func (l *Ledger) succeed(now instant, old []*Bucket) {
	used := make(map[*Bucket]int64)
	for _, b := range old {
		for _, heir := range l.heirs(now, b, used) {
			heir.takeOver(b)
			used[heir] = max(used[heir], b.used()+l.ghostsOf(b))
			l.cool(heir)
		}
	}
	for heir, n := range used {
		heir.begunWith(now, n)
		l.change(heir)
	}
	l.ghosts = slices.DeleteFunc(l.ghosts, func(g ghost) bool { return g.bucket.dropped })
}

// heirs is the buckets, made here or heirs already, that count the calls of one
// that goes.
func (l *Ledger) heirs(now instant, old *Bucket, already map[*Bucket]int64) (heirs []*Bucket) {
	key := old.Key()
	for _, rule := range l.limits(key) {
		if !rule.alike(old.rule) {
			continue
		}
		b := l.find(rule.Name, key)
		if _, heir := already[b]; b == nil || heir {
			heirs = append(heirs, l.bucket(now, rule, key))
		}
	}
	return heirs
}

// takeOver follows a bucket that goes: no earlier in the store, and as long in its
// cool-down, whose end says nothing of this one's window.
func (b *Bucket) takeOver(old *Bucket) {
	if old.ident >= b.ident {
		b.ident, b.seen = old.ident+1, false
	}
	if old.state != Open && (b.state == Open || old.until > b.until) {
		was := b.cooldown
		b.cooldown = old.cooldown.clone()
		if b.flying, b.age = was.flying, was.age; was.closure != nil {
			b.nth = was.nth
		}
		b.turns = false
	}
}

// used is what this window has lost but for what is outstanding.
func (b *Bucket) used() int64 {
	switch {
	case b.quota > 0:
		return max(0, b.quota-b.available()-b.o)
	default:
		return b.sent()
	}
}

// sent is what we sent in this window, as far as the upstream may have counted it.
func (b *Bucket) sent() int64 {
	if b.logged() {
		return b.held()
	}
	return b.n + b.lapsed()
}

// ghostsOf is what permits of an earlier owner may still take of the bucket.
func (l *Ledger) ghostsOf(b *Bucket) (cost int64) {
	for _, g := range l.ghosts {
		if g.bucket == b {
			cost += g.cost
		}
	}
	return cost
}

// begunWith charges a new bucket's first window with what was used before.
func (b *Bucket) begunWith(now instant, used int64) {
	if b.logged() {
		b.keep(now, used)
		return
	}
	b.n += used
}

// uncharge takes a permit off the buckets that went.
func (p *Permit) uncharge() {
	p.charges = slices.DeleteFunc(p.charges, func(c charge) bool { return c.bucket.dropped })
}

// recharge takes a permit off the buckets that went, and charges it to those that
// came.
func (l *Ledger) recharge(now instant, p *Permit) {
	p.uncharge()
	for _, rule := range l.limits(p.Scope) {
		b := l.bucket(now, rule, p.Scope)
		if !p.charged(b) {
			l.join(p, b)
			l.refill(b)
			l.change(b)
		}
	}
}
