package simulate

// Fired is how often each of the things came true that a scenario wants to go
// wrong.
type Fired struct {
	HeadersDropped, Jitter, Lagging, Bogus int64
	Changes, Outages, Foreign, Free        int64
	DiedBefore, DiedAfter, Dropped         int64
	Unreported, Slow                       int64
}

func (f *Fired) add(o *Fired) {
	f.HeadersDropped, f.Jitter = f.HeadersDropped+o.HeadersDropped, f.Jitter+o.Jitter
	f.Lagging, f.Bogus = f.Lagging+o.Lagging, f.Bogus+o.Bogus
	f.Changes, f.Outages = f.Changes+o.Changes, f.Outages+o.Outages
	f.Foreign, f.Free = f.Foreign+o.Foreign, f.Free+o.Free
	f.DiedBefore, f.DiedAfter = f.DiedBefore+o.DiedBefore, f.DiedAfter+o.DiedAfter
	f.Dropped, f.Unreported, f.Slow = f.Dropped+o.Dropped, f.Unreported+o.Unreported, f.Slow+o.Slow
}

// Unfired names what a scenario wants to go wrong and did not, by its field: a
// run that claims to survive what did not happen shows nothing.
func (f *Fired) Unfired(s *Scenario) []string {
	a, faults := &s.Upstream, &s.Fleet.Faults
	var names []string
	for _, c := range []struct {
		wanted bool
		times  int64
		field  string
	}{
		{a.Noise.Drop > 0, f.HeadersDropped, "upstream.noise.drop"},
		{a.Noise.Jitter > 0, f.Jitter, "upstream.noise.jitter"},
		{a.Noise.Lagging.Share > 0, f.Lagging, "upstream.noise.lagging"},
		{a.Noise.Bogus.Share > 0, f.Bogus, "upstream.noise.bogus"},
		{len(a.Changes) > 0, f.Changes, "upstream.changes"},
		{len(a.Outages) > 0, f.Outages, "upstream.outages"},
		{len(a.Others) > 0, f.Foreign, "upstream.others"},
		{s.Costs.Free > 0, f.Free, "costs.free"},
		{faults.DieBefore > 0 || len(faults.Dead) > 0, f.DiedBefore, "fleet.faults.die_before"},
		{faults.DieAfter > 0, f.DiedAfter, "fleet.faults.die_after"},
		{faults.Drop > 0, f.Dropped, "fleet.faults.drop"},
		{faults.Unreported > 0, f.Unreported, "fleet.faults.unreported"},
		{faults.Slow.Share > 0, f.Slow, "fleet.faults.slow"},
	} {
		if c.wanted && c.times == 0 {
			names = append(names, c.field)
		}
	}
	return names
}
