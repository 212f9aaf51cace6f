package dialect

import "github.com/quotabroker/quotabroker/server/quota"

// observations puts the table together: each group and each report with the
// policy that it is of, then the policies of which nothing was reported.
func (t *table) observations() []quota.Observation {
	var all []quota.Observation
	for _, g := range t.fold() {
		for i, n := 0, g.buckets(); i < n; i++ {
			if o, ok := t.observation(g, i, n); ok {
				t.join(&o)
				all = append(all, o)
			}
		}
	}
	for _, p := range t.reports {
		o := quota.Observation{Limit: p.name, Remaining: p.remaining, Reset: p.reset}
		if i := t.policyNamed(p.name, p.partition); i >= 0 {
			t.declare(&o, i)
		}
		all = append(all, o)
	}
	for i := range t.policies {
		if !t.policies[i].told {
			o := quota.Observation{Remaining: quota.Unknown}
			t.declare(&o, i)
			all = append(all, o)
		}
	}
	return all
}

// declare adds to an observation what policy i declares. Of one name there is
// one observation, so policies of the same name are then all told.
func (t *table) declare(o *quota.Observation, i int) {
	p := t.policies[i]
	o.Limit, o.Unit, o.Quota, o.Window = p.name, p.unit, p.quota, p.window
	o.Remaining = min(o.Remaining, o.Quota)
	for j := range t.policies {
		if q := &t.policies[j]; j == i || p.name != "" && q.name == p.name {
			q.told = true
		}
	}
}

// join finds the policy of an observation without a name: the only one with its
// quota or, when it tells no quota, the only one there is.
func (t *table) join(o *quota.Observation) {
	if o.Limit != "" || o.Remaining == quota.Unknown && o.Quota == 0 {
		return
	}
	found := -1
	for i, p := range t.policies {
		if p.name != "" || o.Quota != 0 && p.quota != o.Quota {
			continue
		}
		if found >= 0 {
			return
		}
		found = i
	}
	if found < 0 {
		return
	}
	own := o.Window
	t.declare(o, found)
	if own != (quota.Window{}) {
		o.Window = own
	}
}

// policyNamed is the index of the policy of that name, of that partition where
// several have the name; -1 when there is none.
func (t *table) policyNamed(name, partition string) int {
	found := -1
	for i, p := range t.policies {
		if p.name == name && (found < 0 || p.partition == partition) {
			found = i
		}
	}
	return found
}
