package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
	"github.com/quotabroker/quotabroker/server/simulate"
)

// upstream is what the recording shows of the API, and what people should know of
// how it was found. The error says that it shows nothing.
func (log *Log) upstream() (api simulate.API, unit string, notes []string, err error) {
	e := log.evidence()
	f := finder{evidence: e}
	for i := range log.config.Limits {
		f.configured(&log.config.Limits[i], len(log.config.Limits) == 1)
	}
	if len(log.config.Limits) == 0 {
		for _, t := range e.told {
			f.found(t)
		}
	}
	if len(f.limits) == 0 {
		lacks := fmt.Sprintf("nothing in the recording says what %s enforces: give a file with the upstream of a scenario", log.API)
		return api, "", nil, fmt.Errorf("--upstream: %q: %s", "", strings.Join(append([]string{lacks}, f.notes...), "; "))
	}
	f.leftOut(&log.config)
	api = simulate.API{Limits: f.limits, Headers: e.headers(), Latency: e.latency()}
	return api, f.unit, f.notes, nil
}

// finder makes limits of what was configured and told.
type finder struct {
	evidence *evidence
	limits   []simulate.Limit
	// unit is what the limits that do not count requests count.
	unit  string
	notes []string
}

func (f *finder) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// leftOut notes what was configured of the upstream and cannot be played.
func (f *finder) leftOut(c *recording.API) {
	for _, l := range f.limits {
		n := 0
		for _, o := range c.Overrides {
			if o.Limit == l.Name {
				n++
			}
		}
		if n > 0 {
			f.note("limit %s: has other quotas for %d endpoints: it is played with the same for all", l.Name, n)
		}
	}
	weights := 0
	for _, cost := range c.Costs {
		if cost.Unit == quota.Requests {
			weights++
		}
	}
	if weights > 0 {
		f.note("calls of %d endpoints were configured to take other than one request: each is played as one", weights)
	}
	if len(c.Free) > 0 {
		f.note("answers with status %s were configured not to count: every one is played as counted", strings.Trim(fmt.Sprint(c.Free), "[]"))
	}
}

// configured is a limit of the recorded configuration, as the answers correct it.
func (f *finder) configured(c *recording.Limit, only bool) {
	l := simulate.Limit{Name: c.Name, Per: c.Per, Unit: c.Unit, Quota: c.Quota, Window: shape(&c.Window)}
	all := f.evidence.of(c, only)
	if len(all) > 0 {
		t := all[0]
		if c.Quota > 0 && t.quota != c.Quota {
			f.note("limit %s: configured as %d, and told as %d: it is played as told", c.Name, c.Quota, t.quota)
		}
		l.Quota = t.quota
		if len(all) > 1 && t.name == all[1].name {
			f.note("limit %s: other numbers were told, too, such as %d: a change in mid-recording is not played", c.Name, all[1].quota)
		}
		f.window(&l, c.Window.Kind, t)
	}
	f.add(l)
}

// found is a limit that nobody configured.
func (f *finder) found(t *told) {
	l := simulate.Limit{Name: t.name, Per: []string{"app"}, Unit: t.unit, Quota: t.quota}
	if l.Name == "" {
		l.Name = fmt.Sprintf("told-%d", t.quota)
	}
	if t.says {
		l.Per = t.per.Names()
	} else {
		f.note("limit %s: the answers do not say whose it is: it is played as the application's", l.Name)
	}
	f.window(&l, recording.Learned, t)
	f.add(l)
}

// window is the told length, where none is configured, and the told phase of a fixed
// one.
func (f *finder) window(l *simulate.Limit, kind string, t *told) {
	if kind == recording.Learned {
		l.Window = simulate.Shape{Fixed: t.period()}
		if t.window.Kind == quota.Sliding {
			l.Window = simulate.Shape{Sliding: t.window.Period}
		}
	}
	if w := &l.Window; w.Fixed > 0 && w.From == "" {
		w.Phase = t.phase(w.Fixed)
	}
}

// add takes a limit of which enough is known to be enforced.
func (f *finder) add(l simulate.Limit) {
	beyond := slices.ContainsFunc(l.Per, func(part string) bool { return part != "app" && part != "user" && part != "endpoint" })
	counts := l.Unit != "" && l.Unit != simulate.Requests
	switch {
	case beyond:
		f.note("limit %s: it counts by labels, which are not played: it is left out", l.Name)
	case l.Quota == 0:
		f.note("limit %s: neither configured nor told is how much it has: it is left out", l.Name)
	case l.Window == simulate.Shape{}:
		f.note("limit %s: neither configured nor told is how long its window is: it is left out", l.Name)
	case counts && f.unit != "" && f.unit != l.Unit:
		f.note("limit %s: it counts %s, and another one %s, of which one can be played: it is left out", l.Name, l.Unit, f.unit)
	default:
		if counts {
			f.unit = l.Unit
		}
		f.limits = append(f.limits, l)
	}
}

// shape is a configured window as an upstream has it.
func shape(w *recording.Window) simulate.Shape {
	switch w.Kind {
	case recording.Fixed:
		s := simulate.Shape{Fixed: w.Period()}
		if w.FirstUse {
			s.From = simulate.FirstUse
		}
		return s
	case recording.Calendar:
		return simulate.Shape{Calendar: w.Unit, Zone: w.Zone}
	case recording.Sliding:
		if w.Counter {
			return simulate.Shape{Counter: w.Period()}
		}
		return simulate.Shape{Sliding: w.Period()}
	case recording.Refill:
		return simulate.Shape{Refill: w.Period(), Burst: w.Burst}
	case recording.Concurrent:
		return simulate.Shape{Concurrent: true}
	}
	return simulate.Shape{}
}
