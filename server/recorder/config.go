package recorder

import (
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
)

// Configured records what the broker is told of its upstreams from now on.
func (r *Recorder) Configured(apis map[string]broker.API) {
	r.put(func(m *maker) recording.Line {
		c := &recording.Config{APIs: make(map[string]recording.API)}
		for name, api := range apis {
			m.wanted(api.Dialect.Wants())
			made := recording.API{Dialect: api.Dialect.Name()}
			for i := range api.Rules.Limits {
				made.Limits = append(made.Limits, limit(&api.Rules.Limits[i]))
			}
			c.APIs[name] = made
		}
		return recording.Line{Config: c}
	})
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
