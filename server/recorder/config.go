package recorder

import (
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
)

// Configured records what the broker is told of its upstreams from now on.
func (r *Recorder) Configured(apis map[string]broker.API) {
	r.put(func(m *maker) recording.Line {
		c := &recording.Config{APIs: make(map[string]recording.API)}
		for name, api := range apis {
			m.wanted(api.Dialect.Wants())
			c.APIs[name] = configured(api)
		}
		return recording.Line{Config: c}
	})
}

func configured(api broker.API) recording.API {
	rules := api.Rules
	send, report := rules.Deadlines()
	made := recording.API{
		Dialect: api.Dialect.Name(), Labels: rules.Labels, Free: dialect.FreeStatuses(api.Dialect), Shadow: api.Shadow,
		SendWithinUS: recording.US(send), ReportWithinUS: recording.US(report),
	}
	for i := range rules.Limits {
		made.Limits = append(made.Limits, limit(&rules.Limits[i]))
	}
	for _, o := range rules.Overrides {
		made.Overrides = append(made.Overrides, recording.Override(o))
	}
	for _, c := range rules.Costs {
		made.Costs = append(made.Costs, recording.Cost(c))
	}
	return made
}

func limit(l *quota.Limit) recording.Limit {
	return recording.Limit{Name: l.Name, Per: l.Per.Names(), Unit: l.Unit, Quota: l.Quota, Window: window(l.Window)}
}

func window(w quota.Window) recording.Window {
	made := recording.Window{
		PeriodUS: recording.US(w.Period), Aligned: w.Aligned, FirstUse: w.FirstUse, Counter: w.Counter, Burst: w.Burst,
	}
	switch w.Kind {
	case quota.Fixed:
		made.Kind = recording.Fixed
	case quota.Calendar:
		made.Kind, made.Unit, made.Zone = recording.Calendar, w.Unit.String(), "UTC"
		if w.Zone != nil {
			made.Zone = w.Zone.String()
		}
	case quota.Sliding:
		made.Kind = recording.Sliding
	case quota.Refill:
		made.Kind = recording.Refill
	case quota.Concurrent:
		made.Kind = recording.Concurrent
	default:
		made.Kind = recording.Learned
	}
	return made
}
