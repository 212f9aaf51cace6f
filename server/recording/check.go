package recording

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of what a recording may say: far above what one has, and below where
// arithmetic with it could overflow.
const (
	// maxUS is 400 days.
	maxUS    = int64(400 * 24 * 3600 * 1e6)
	maxUnits = int64(1e12)
)

// checker keeps the first thing that is wrong with a line.
type checker struct {
	nth int
	err error
}

func (c *checker) must(ok bool, field string, value any, remedy string) {
	if !ok && c.err == nil {
		c.err = &Error{c.nth, field, shortened(fmt.Append(nil, value)), remedy}
	}
}

func (c *checker) word(field, value string, words ...string) {
	c.must(slices.Contains(words, value), field, value, "must be one of "+strings.Join(words, ", "))
}

func (c *checker) time(field string, us int64) {
	c.must(0 <= us && us <= maxUS, field, us, fmt.Sprintf("must be microseconds from 0 to %d", maxUS))
}

func (c *checker) units(field string, n int64) {
	c.must(0 <= n && n <= maxUnits, field, n, fmt.Sprintf("must be from 0 to %d", maxUnits))
}

func (c *checker) status(field string, n int) {
	c.must(100 <= n && n <= 599, field, n, "must be from 100 to 599")
}

func (c *checker) costs(field string, costs map[string]int64) {
	for _, unit := range slices.Sorted(maps.Keys(costs)) {
		c.units(field+"."+unit, costs[unit])
	}
}

func (l *Line) check(c *checker) {
	c.time("at_us", l.AtUS)
	kinds := 0
	for _, is := range []bool{l.Began != nil, l.Config != nil, l.Acquire != nil, l.Report != nil, l.Release != nil} {
		if is {
			kinds++
		}
	}
	c.must(kinds == 1, "line", "", "must have exactly one of began, config, acquire, report and release")
	switch {
	case kinds != 1:
	case l.Began != nil:
		l.Began.check(c)
	case l.Config != nil:
		for _, name := range slices.Sorted(maps.Keys(l.Config.APIs)) {
			api := l.Config.APIs[name]
			api.check(c, "config.apis."+name)
		}
	case l.Acquire != nil:
		l.Acquire.check(c)
	case l.Report != nil:
		l.Report.check(c)
	default:
		c.must(l.Release.Permit != "", "release.permit", "", "is missing: a release is of a permit")
		c.failed("release.failed", l.Release.Failed)
	}
}

func (b *Began) check(c *checker) {
	c.must(1 <= b.Format && b.Format <= Format, "began.format", b.Format, fmt.Sprintf("must be from 1 to %d: read it with the version that wrote it", Format))
	c.must(b.Wall.Year() >= 1970 && b.Wall.Year() < 2200, "began.wall", b.Wall, "must be an instant from 1970 to 2199")
	c.word("began.users", b.Users, Hidden, Shown)
}

func (a *API) check(c *checker, field string) {
	for i := range a.Limits {
		a.Limits[i].check(c, fmt.Sprintf("%s.limits[%d]", field, i))
	}
	for i, o := range a.Overrides {
		at := fmt.Sprintf("%s.overrides[%d]", field, i)
		c.must(o.Endpoint != "" && o.Limit != "", at, o, "must have an endpoint and a limit")
		c.units(at+".quota", o.Quota)
	}
	for i, cost := range a.Costs {
		at := fmt.Sprintf("%s.costs[%d]", field, i)
		c.must(cost.Endpoint != "" && cost.Unit != "", at, cost, "must have an endpoint and a unit")
		c.units(at+".cost", cost.Cost)
	}
	for i, status := range a.Free {
		c.status(fmt.Sprintf("%s.free[%d]", field, i), status)
	}
	c.time(field+".send_within_us", a.SendWithinUS)
	c.time(field+".report_within_us", a.ReportWithinUS)
}

func (l *Limit) check(c *checker, field string) {
	c.must(l.Name != "", field+".name", "", "is missing")
	c.must(slices.Contains(l.Per, "app"), field+".per", l.Per, "app is always one of the parts")
	c.units(field+".quota", l.Quota)
	w := &l.Window
	field += ".window"
	c.word(field+".kind", w.Kind, Learned, Fixed, Calendar, Sliding, Refill, Concurrent)
	c.time(field+".period_us", w.PeriodUS)
	c.units(field+".burst", w.Burst)
	switch w.Kind {
	case Fixed, Sliding, Refill:
		c.must(w.PeriodUS > 0, field+".period_us", w.PeriodUS, "must be above 0 for a window of this kind")
	case Calendar:
		c.word(field+".unit", w.Unit, "hour", "day", "week", "month")
	}
}

func (s *Scope) check(c *checker, field string) {
	c.must(s.API != "", field+".api", "", "is missing: every call is of an API")
}

func (a *Acquire) check(c *checker) {
	a.Scope.check(c, "acquire.scope")
	c.costs("acquire.costs", a.Costs)
	c.time("acquire.max_wait_us", a.MaxWaitUS)
	c.time("acquire.waited_us", a.WaitedUS)
	c.word("acquire.priority", a.Priority, "", "critical", "high", "normal", "background")
	c.failed("acquire.failed", a.Failed)
	ends := 0
	for _, is := range []bool{a.Permit != "", a.Denied != nil, a.Failed != ""} {
		if is {
			ends++
		}
	}
	c.must(ends == 1 || ends == 0 && a.DryRun, "acquire", "", "must have exactly one of permit, denied and failed")
	if a.Denied != nil {
		c.time("acquire.denied.retry_after_us", a.Denied.RetryAfterUS)
	}
}

func (r *Report) check(c *checker) {
	c.must(r.Permit != "" || r.Scope != nil || r.Failed != "", "report.permit", "", "is missing: without one a report says its scope")
	if r.Scope != nil {
		r.Scope.check(c, "report.scope")
	}
	c.word("report.result", r.Result, Sent, NotSent, Lost)
	if r.Status != 0 {
		c.status("report.status", r.Status)
	}
	c.time("report.since_sent_us", r.SinceSentUS)
	c.time("report.since_received_us", r.SinceReceivedUS)
	c.costs("report.actual_costs", r.ActualCosts)
	if r.RetryAfterUS != nil {
		c.time("report.retry_after_us", *r.RetryAfterUS)
	}
	c.failed("report.failed", r.Failed)
}

func (c *checker) failed(field, value string) {
	c.word(field, value, "", GaveUp, Unavailable, NoPermit)
}
