package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Validate reports what is wrong with the scenario, as an [*Error].
func (s *Scenario) Validate() error {
	c := newChecker()
	c.must(s.Name != "", "name", "", "is missing: name the scenario")
	c.must(!s.Start.IsZero() && s.Start.Year() >= 1970 && s.Start.Year() < 2200, "start", s.Start, "must be an instant from 1970 to 2199")
	c.span("start_within", s.StartWithin, 0)
	c.span("duration", s.Duration, time.Millisecond)
	c.must(s.Sample == 0 || s.Sample >= s.Duration/100_000, "sample", s.Sample, "must be at least a hundred-thousandth of the duration")
	s.Upstream.check(c.in("upstream"))
	s.Costs.check(c.in("costs"))
	for i, l := range s.Upstream.Limits {
		c.must(l.Unit == "" || l.Unit == Requests || l.Unit == s.Costs.Unit, fmt.Sprintf("upstream.limits[%d].unit", i), l.Unit,
			"must be requests, or the unit of costs")
	}
	s.Fleet.check(c.in("fleet"))
	s.Expect.check(c.in("expect"), s.Upstream.Limits)
	return c.err()
}

func (k *Costs) check(c checker) {
	c.count("estimate", k.Estimate, 0, mostUnits)
	for _, name := range sortedKeys(k.Endpoints) {
		c.count(join("endpoints", name), k.Endpoints[name], 0, mostUnits)
	}
	c.must(0 <= k.Sigma && k.Sigma <= 3, "sigma", k.Sigma, "must be from 0 to 3")
	c.count("most", k.Most, 0, mostUnits)
	c.share("free", k.Free)
}

func sortedKeys(m map[string]int64) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (f *Fleet) check(c checker) {
	c.must(len(f.Services) > 0, "services", "", "must have at least one service")
	var names []string
	workers := int64(0)
	for i, s := range f.Services {
		s.check(c.in("services[%d]", i))
		names = append(names, s.Name)
		workers += max(1, s.Count) * max(1, s.Workers)
	}
	c.must(workers <= mostCalls, "services", workers, fmt.Sprintf("must have at most %d workers together", mostCalls))
	c.count("users.count", f.Users.Count, 0, mostUsers)
	c.must(f.Users.Zipf == 0 || 1 < f.Users.Zipf && f.Users.Zipf <= 5, "users.zipf", f.Users.Zipf, "must be above 1 to 5, or left out")
	c.span("patience", f.Patience, 0)
	f.Network.check(c.in("network"))
	f.Store.check(c.in("store"))
	f.Faults.check(c.in("faults"), names)
}

func (s *Service) check(c checker) {
	c.count("count", s.Count, 0, 10_000)
	c.count("workers", s.Workers, 0, 10_000)
	c.must(0 <= s.Rate && s.Rate <= mostCalls, "rate", s.Rate, fmt.Sprintf("must be from 0 to %d a second", mostCalls))
	kinds := 0
	for _, given := range []bool{s.Workers > 0, s.Rate > 0, s.Batch.Calls > 0, len(s.Arrivals) > 0} {
		if given {
			kinds++
		}
	}
	c.must(kinds == 1, "workers", s.Workers, "must have exactly one of workers, rate and batch, above 0, and arrivals")
	s.Bursts.check(c.in("bursts"))
	c.must(s.Bursts.Off == 0 || s.Rate > 0, "bursts", "", "goes with rate")
	c.count("batch.calls", s.Batch.Calls, 0, mostCalls)
	c.span("batch.at", s.Batch.At, 0)
	c.must(s.Batch.Every == 0 || s.Batch.Every >= time.Second, "batch.every", s.Batch.Every, "must be at least a second, or left out")
	c.must(len(s.Arrivals) == 0 || s.Count <= 1 && len(s.Arrivals) <= mostCalls, "arrivals", len(s.Arrivals),
		fmt.Sprintf("must be at most %d, of one instance", mostCalls))
	before := time.Duration(0)
	for i := range s.Arrivals {
		if a := &s.Arrivals[i]; !a.ok(before) {
			a.check(c.in("arrivals[%d]", i), before)
		}
		before = s.Arrivals[i].At
	}
}

// ok is what check says, without words: there may be a million arrivals.
func (a *Arrival) ok(before time.Duration) bool {
	return before <= a.At && a.At <= longest && 0 <= a.Cost && a.Cost <= mostUnits && 0 <= a.Patience && a.Patience <= longest
}

func (a *Arrival) check(c checker, before time.Duration) {
	c.span("at", a.At, 0)
	c.must(a.At >= before, "at", a.At, "must not be before the one before it")
	c.count("cost", a.Cost, 0, mostUnits)
	c.span("patience", a.Patience, 0)
}

func (f *Faults) check(c checker, services []string) {
	c.share("die_before", f.DieBefore)
	c.share("die_after", f.DieAfter)
	c.share("drop", f.Drop)
	c.share("unreported", f.Unreported)
	c.share("slow.share", f.Slow.Share)
	c.must((f.Slow.Share > 0) == (f.Slow.UpTo > 0), "slow", "", "needs both share and up_to")
	c.must(f.DieBefore+f.DieAfter+f.Drop+f.Unreported <= 1, "die_before", f.DieBefore, "must be at most 100% with die_after, drop and unreported")
	c.span("slow.up_to", f.Slow.UpTo, 0)
	c.span("restart", f.Restart, 0)
	for i, d := range f.Dead {
		at := c.in("dead[%d]", i)
		at.span("from", d.From, 0)
		at.span("for", d.For, time.Millisecond)
		at.must(d.Service == "" || slices.Contains(services, d.Service), "service", d.Service, "must be one of "+strings.Join(services, ", "))
	}
}
