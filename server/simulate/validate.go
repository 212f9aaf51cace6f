package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of what can be run. Each is far above what is of use, and far below
// where arithmetic with it could overflow.
const (
	longest   = 400 * 24 * time.Hour
	mostUnits = 1_000_000_000_000
	mostCalls = 1_000_000
	mostUsers = 1_000_000
)

// checker gathers what is wrong, by field.
type checker struct {
	path     string
	problems *[]Problem
}

func newChecker() checker { return checker{"", new([]Problem)} }

func (c checker) err() error {
	if len(*c.problems) == 0 {
		return nil
	}
	return &Error{*c.problems}
}

// in is the checker of a part.
func (c checker) in(format string, args ...any) checker {
	return checker{join(c.path, fmt.Sprintf(format, args...)), c.problems}
}

// must reports a field whose value is not as it must be.
func (c checker) must(ok bool, field string, value any, remedy string) {
	if !ok {
		*c.problems = append(*c.problems, Problem{Field: join(c.path, field), Value: fmt.Sprint(value), Remedy: remedy})
	}
}

// span checks a time of at least least.
func (c checker) span(field string, d, least time.Duration) {
	c.must(least <= d && d <= longest, field, d, fmt.Sprintf("must be a time from %v to %v", least, longest))
}

func (c checker) share(field string, s Share) {
	c.must(0 <= s && s <= 1, field, s, "must be a share from 0% to 100%")
}

func (c checker) count(field string, n, least, most int64) {
	c.must(least <= n && n <= most, field, n, fmt.Sprintf("must be from %d to %d", least, most))
}

func (c checker) word(field, value string, w chooser) {
	c.must(value == "" || slices.Contains(w.choices(), value), field, value, "must be one of "+strings.Join(w.choices(), ", "))
}

// Validate reports what the API cannot enforce, as an [*Error].
func (a *API) Validate() error {
	c := newChecker()
	a.check(c)
	return c.err()
}

func (a *API) check(c checker) {
	var names []string
	for i, l := range a.Limits {
		l.check(c.in("limits[%d]", i))
		c.in("limits[%d]", i).must(!slices.Contains(names, l.Name), "name", l.Name, "given twice: each limit needs its own")
		names = append(names, l.Name)
		c.must(!l.Window.Concurrent || a.Latency.Work.Typical > 0, "latency.work.typical", a.Latency.Work.Typical,
			"a concurrent limit counts calls while the upstream works on them: give it a time")
	}
	c.word("refusals", string(a.Refusals), a.Refusals)
	h := c.in("headers")
	h.word("style", string(a.Headers.Style), a.Headers.Style)
	h.word("which", string(a.Headers.Which), a.Headers.Which)
	h.word("reset", string(a.Headers.Reset), a.Headers.Reset)
	h.word("round", string(a.Headers.Round), a.Headers.Round)
	a.Noise.check(c.in("noise"))
	skew := func(d time.Duration) bool { return -24*time.Hour <= d && d <= 24*time.Hour }
	c.must(skew(a.Clock.Skew), "clock.skew", a.Clock.Skew, "must be within a day")
	c.must(skew(a.Clock.Date), "clock.date", a.Clock.Date, "must be within a day")
	a.Latency.Request.check(c.in("latency.request"))
	a.Latency.Work.check(c.in("latency.work"))
	a.Latency.Answer.check(c.in("latency.answer"))
	a.checkEvents(c, names)
}

func (a *API) checkEvents(c checker, limits []string) {
	for i, change := range a.Changes {
		at := c.in("changes[%d]", i)
		at.span("at", change.At, 0)
		at.must(slices.Contains(limits, change.Limit), "limit", change.Limit, "no such limit")
		at.count("quota", change.Quota, 1, mostUnits)
	}
	for i, o := range a.Outages {
		at := c.in("outages[%d]", i)
		at.span("from", o.From, 0)
		at.span("for", o.For, time.Millisecond)
		at.must(slices.Contains([]int64{0, StatusTooManyRequests, StatusUnavailable}, o.Status), "status", o.Status, "must be 429 or 503")
		at.span("retry_after", o.RetryAfter, 0)
	}
	for i, o := range a.Others {
		at := c.in("others[%d]", i)
		at.share("share", o.Share)
		at.must((o.Rate > 0) != (o.Share > 0), "rate", o.Rate, "give either a rate or a share, above 0")
		at.must(o.Rate <= mostCalls, "rate", o.Rate, fmt.Sprintf("must be at most %d a second", mostCalls))
		o.Bursts.check(at.in("bursts"))
	}
}

func (l *Limit) check(c checker) {
	c.must(l.Name != "" && !strings.ContainsAny(l.Name, " \t\"\\:,;"), "name", l.Name, "name each limit, in one word")
	c.count("quota", l.Quota, 1, mostUnits)
	for i, part := range l.Per {
		c.must(slices.Contains([]string{"app", "user", "endpoint"}, part) && !slices.Contains(l.Per[:i], part),
			fmt.Sprintf("per[%d]", i), part, "must be app, user or endpoint, each once")
	}
	c.count("used", l.Used, 0, mostUnits)
	c.must(len(l.Weights) == 0 || l.Unit == "" || l.Unit == Requests, "weights", len(l.Weights), "goes with requests: what calls take of "+l.Unit+" is their cost")
	for _, endpoint := range sortedKeys(l.Weights) {
		c.count(join("weights", endpoint), l.Weights[endpoint], 1, l.Quota)
	}
	l.Window.check(c.in("window"))
}

func (w *Shape) check(c checker) {
	kinds := 0
	for _, k := range []struct {
		name   string
		period time.Duration
	}{{"fixed", w.Fixed}, {"sliding", w.Sliding}, {"counter", w.Counter}, {"refill", w.Refill}} {
		if k.period != 0 {
			c.span(k.name, k.period, time.Millisecond)
			kinds++
		}
	}
	for _, given := range []bool{w.Calendar != "", w.Concurrent} {
		if given {
			kinds++
		}
	}
	c.must(kinds == 1, "fixed", "", "must have exactly one of fixed, calendar, sliding, counter, refill and concurrent")
	c.must(w.Calendar == "" || slices.Contains([]string{"hour", "day", "week", "month"}, w.Calendar), "calendar", w.Calendar, "must be hour, day, week or month")
	_, err := time.LoadLocation(w.Zone)
	c.must(err == nil && (w.Zone == "" || w.Calendar != "") && !strings.EqualFold(w.Zone, "local"), "zone", w.Zone,
		"goes with calendar: name it as the IANA database does, such as America/Los_Angeles")
	c.must(w.From == "" || w.From == FirstUse && w.Fixed > 0, "from", w.From, "goes with fixed: must be first_use")
	c.must(w.Phase == 0 || w.Fixed+w.Counter > 0 && w.From == "", "phase", w.Phase, "goes with fixed or counter")
	c.must(w.Burst == 0 || w.Burst > 0 && w.Burst <= mostUnits && w.Refill > 0, "burst", w.Burst, "goes with refill: must be above 0")
}

func (n *Noise) check(c checker) {
	c.share("drop", n.Drop)
	c.span("jitter", n.Jitter, 0)
	c.share("lagging.share", n.Lagging.Share)
	c.count("lagging.by", n.Lagging.By, 0, 1000)
	c.must((n.Lagging.Share > 0) == (n.Lagging.By > 0), "lagging", "", "needs both share and by")
	c.share("bogus.share", n.Bogus.Share)
	c.must((n.Bogus.Share > 0) == (len(n.Bogus.Values) > 0), "bogus", "", "needs both share and values")
	for i, v := range n.Bogus.Values {
		c.must(slices.Contains(v.choices(), string(v)), fmt.Sprintf("bogus.values[%d]", i), v, "must be one of "+strings.Join(v.choices(), ", "))
	}
}

func (s *Spread) check(c checker) {
	c.span("min", s.Min, 0)
	c.must(s.Min <= s.Typical && s.Typical <= time.Hour, "typical", s.Typical, "must be from min to an hour")
	c.must(0 <= s.Sigma && s.Sigma <= 3, "sigma", s.Sigma, "must be from 0 to 3")
}

func (b *Bursts) check(c checker) {
	c.span("on", b.On, 0)
	c.span("off", b.Off, 0)
	c.must(b.Off == 0 || b.On > 0, "on", b.On, "must be more than 0 beside off")
}
