package replay

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
)

// The recorded configuration of an API as a broker's file has it: in JSON, which is
// YAML in one line. That it was in shadow mode is left out: what is asked is what it
// would have decided.
type (
	apiWords struct {
		Dialect      string       `json:"dialect"`
		Labels       []string     `json:"labels,omitempty"`
		SendWithin   string       `json:"send_within,omitempty"`
		ReportWithin string       `json:"report_within,omitempty"`
		Limits       []limitWords `json:"limits,omitempty"`
		Overrides    []any        `json:"overrides,omitempty"`
		Costs        []any        `json:"costs,omitempty"`
		Free         []int        `json:"free,omitempty"`
	}
	limitWords struct {
		Name   string         `json:"name"`
		Per    []string       `json:"per"`
		Quota  any            `json:"quota"`
		Unit   string         `json:"unit,omitempty"`
		Window map[string]any `json:"window,omitempty"`
	}
)

// recorded is the configuration that was in force.
func (log *Log) recorded() ([]byte, error) {
	c := &log.config
	w := apiWords{
		Dialect: log.dialect().Name(), Labels: c.Labels, Free: c.Free,
		SendWithin: inWords(c.SendWithinUS), ReportWithin: inWords(c.ReportWithinUS),
	}
	for i := range c.Limits {
		w.Limits = append(w.Limits, limitInWords(&c.Limits[i]))
	}
	for _, o := range c.Overrides {
		w.Overrides = append(w.Overrides, o)
	}
	for _, cost := range c.Costs {
		w.Costs = append(w.Costs, cost)
	}
	return json.Marshal(w)
}

func limitInWords(l *recording.Limit) limitWords {
	w := limitWords{Name: l.Name, Per: slices.Clone(l.Per), Quota: l.Quota, Unit: l.Unit, Window: windowInWords(&l.Window)}
	switch {
	case l.Quota == 0:
		w.Quota = "learn"
	case l.Unit == quota.Share && l.Quota == quota.WholeShare:
		w.Quota, w.Unit = "100%", ""
	}
	return w
}

func windowInWords(w *recording.Window) map[string]any {
	words := map[string]any{}
	switch w.Kind {
	case recording.Calendar:
		words["calendar"], words["zone"] = w.Unit, w.Zone
	case recording.Fixed, recording.Sliding, recording.Refill:
		words[w.Kind] = inWords(w.PeriodUS)
	case recording.Concurrent:
		words["concurrent"] = true
	}
	for key, word := range map[string]struct {
		said bool
		word any
	}{
		"align": {w.Aligned, "utc"}, "from": {w.FirstUse, "first_use"}, "as": {w.Counter, "counter"}, "burst": {w.Burst > 0, w.Burst},
	} {
		if word.said {
			words[key] = word.word
		}
	}
	return words
}

// inWords is a time with its unit; empty for none.
func inWords(us int64) string {
	if us == 0 {
		return ""
	}
	return (time.Duration(us) * time.Microsecond).String()
}
