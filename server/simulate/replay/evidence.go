package replay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
	"github.com/quotabroker/quotabroker/server/simulate"
)

// told is what answers said of one quota: all that have the same name, number and
// unit.
type told struct {
	name, unit string
	quota      int64
	says       bool
	per        quota.Parts
	window     quota.Window
	times      int
	// resets are when they said that it begins anew.
	resets []time.Time
}

// evidence is what the answers of a recording show.
type evidence struct {
	told []*told
	// names are the headers' names, retryAfter and throttled what refusals had.
	names                 map[string]bool
	epoch                 bool
	retryAfter, throttled bool
	took                  []time.Duration
}

// evidence reads every answer by the API's dialect.
func (log *Log) evidence() *evidence {
	d := log.dialect()
	e := &evidence{names: make(map[string]bool)}
	for _, a := range log.answers {
		r := a.report
		if took := r.Took(); took > 0 {
			e.took = append(e.took, took)
		}
		resp := dialect.Response{Status: r.Status, Body: []byte(r.Body), Received: log.Start.Add(a.received)}
		for _, f := range r.Headers {
			e.names[f[0]] = true
			resp.Headers = append(resp.Headers, dialect.Field{Name: f[0], Value: f[1]})
			e.retryAfter = e.retryAfter || r.Status == simulate.StatusTooManyRequests && f[0] == "retry-after"
		}
		for _, f := range r.Trailers {
			resp.Trailers = append(resp.Trailers, dialect.Field{Name: f[0], Value: f[1]})
		}
		e.throttled = e.throttled || strings.Contains(r.Body, "throttle")
		for _, o := range d.Read(resp).Answer.Observations {
			e.observe(&o, resp.Received)
		}
	}
	return e
}

// dialect is the recorded one, else what a broker takes for an API of that name.
func (log *Log) dialect() dialect.Dialect {
	for _, name := range []string{log.config.Dialect, log.API} {
		if d, ok := dialect.Builtin(name); ok {
			return d
		}
	}
	d, _ := dialect.Builtin("auto")
	return d
}

func (e *evidence) observe(o *quota.Observation, received time.Time) {
	if o.Quota == 0 {
		return
	}
	i := slices.IndexFunc(e.told, func(t *told) bool { return t.name == o.Limit && t.quota == o.Quota && t.unit == o.Unit })
	if i < 0 {
		i = len(e.told)
		e.told = append(e.told, &told{name: o.Limit, unit: o.Unit, quota: o.Quota})
	}
	t := e.told[i]
	t.times++
	if o.Says {
		t.says, t.per = true, o.Per
	}
	if o.Window != (quota.Window{}) {
		t.window = o.Window
	}
	if o.Reset.Known {
		e.epoch = e.epoch || o.Reset.Epoch != 0
		t.resets = append(t.resets, received.Add(o.Reset.After))
	}
}

// of is what was told of a configured limit, the most often told first: what has its
// name, its number, or, where it is the only one, no name.
func (e *evidence) of(l *recording.Limit, only bool) []*told {
	var all []*told
	for _, t := range e.told {
		if t.name == l.Name || t.name == "" && (only || t.quota == l.Quota) {
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b *told) int { return cmp.Compare(b.times, a.times) })
	return all
}

// apart is how far resets must be from each other to be those of two windows.
const apart = 3 * time.Second

// period is the shortest time between two resets; 0 when only one was told.
func (t *told) period() time.Duration {
	if t.window.Period > 0 {
		return t.window.Period
	}
	resets := slices.SortedFunc(slices.Values(t.resets), time.Time.Compare)
	var period time.Duration
	began := 0
	for i := 1; i < len(resets); i++ {
		if resets[i].Sub(resets[i-1]) < apart {
			continue
		}
		// Each was told to the second.
		if gap := resets[i].Sub(resets[began]).Round(time.Second); period == 0 || gap < period {
			period = gap
		}
		began = i
	}
	return period
}

// phase is when windows of that length begin after the epoch, by the median of what
// was told.
func (t *told) phase(period time.Duration) time.Duration {
	if len(t.resets) == 0 || period <= 0 {
		return 0
	}
	first := t.resets[0]
	off := make([]time.Duration, len(t.resets))
	for i, at := range t.resets {
		d := at.Sub(first) % period
		switch {
		case d > period/2:
			d -= period
		case d < -period/2:
			d += period
		}
		off[i] = d
	}
	slices.Sort(off)
	return time.Duration((first.UnixNano() + int64(off[len(off)/2])) % int64(period))
}

// headers is how the upstream spelled its quotas.
func (e *evidence) headers() simulate.Headers {
	h := simulate.Headers{RetryAfter: e.retryAfter}
	limit := e.names["x-ratelimit-limit"] || e.names["x-ratelimit-remaining"]
	switch {
	case e.names["ratelimit"] || e.names["ratelimit-policy"]:
		h.Style = simulate.IETF
	case limit && e.names["x-ratelimit-reset"]:
		h.Style = simulate.Guide
		if e.epoch {
			h.Reset = simulate.Epoch
		}
	case limit:
		h.Style = simulate.NoReset
	case e.retryAfter:
		h.Style = simulate.RetryAfter
	case e.throttled:
		h.Style = simulate.LinkedIn
	default:
		h.Style = simulate.Silent
	}
	return h
}

// latency is half of a call's time each way.
func (e *evidence) latency() simulate.Latency {
	const unknown = 50 * time.Millisecond
	way := simulate.Spread{Typical: unknown}
	if n := len(e.took); n > 0 {
		slices.Sort(e.took)
		way.Typical = min(e.took[n/2]/2, time.Hour)
	}
	return simulate.Latency{Request: way, Answer: way}
}
