package replay

import (
	"fmt"
	"time"

	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/simulate"
)

// WhatIf is what else could have been.
type WhatIf struct {
	// Name is what the configuration is called in errors, and Config its text; nil is
	// the recorded one.
	Name   string
	Config []byte
	// Upstream is what the API is known to enforce; nil is what the recording shows.
	Upstream *simulate.API
}

// Scenario makes one of a recording. The notes are what people should know of how
// the upstream was found. The error is the configuration's, or says that more must be
// known of the upstream.
func (log *Log) Scenario(w WhatIf) (s *simulate.Scenario, notes []string, err error) {
	broker, err := w.broker(log)
	if err != nil {
		return nil, nil, err
	}
	var unit string
	var up simulate.API
	if w.Upstream != nil {
		up, unit = *w.Upstream, unitOf(w.Upstream)
	} else if up, unit, notes, err = log.upstream(); err != nil {
		return nil, nil, err
	}
	if w.Config == nil && log.format == 1 {
		notes = append(notes, "the recording is of the first format, which has dialect and limits of the configuration, and no more: it is played without the rest")
	}
	for _, l := range up.Limits {
		if l.Window.Concurrent && up.Latency.Work.Typical == 0 {
			// What is concurrent is what the upstream works on.
			up.Latency.Work, up.Latency.Request = up.Latency.Request, simulate.Spread{}
		}
	}
	s = &simulate.Scenario{
		Name: "replay", Variant: log.API, About: fmt.Sprintf("A what-if: the %d calls of a recording of %s, and another configuration.", len(log.calls), log.API),
		Start: log.Start, Duration: log.Duration + tail, Upstream: up, Broker: broker,
		Fleet:  simulate.Fleet{Services: []simulate.Service{{Name: "recorded", Arrivals: log.arrivals(unit)}}},
		Costs:  simulate.Costs{Unit: unit},
		Expect: simulate.Expect{Refused: 10_000}, // nothing: there is no promise to keep
	}
	if err := s.Validate(); err != nil {
		return nil, nil, fmt.Errorf("replay: %w", err)
	}
	return s, notes, nil
}

// tail is for the answers to the last calls.
const tail = time.Second

// unitOf is the unit of an upstream's limits that do not count requests.
func unitOf(a *simulate.API) string {
	for _, l := range a.Limits {
		if l.Unit != "" && l.Unit != simulate.Requests {
			return l.Unit
		}
	}
	return ""
}

// broker is the configuration of the API, in one line.
func (w *WhatIf) broker(log *Log) ([]byte, error) {
	api := log.API
	if w.Config == nil {
		return log.recorded()
	}
	c, err := config.Parse(w.Name, w.Config)
	if err != nil {
		return nil, err
	}
	words, err := simulate.Section(w.Name, w.Config, "apis", api)
	if err != nil || words != nil {
		return words, err
	}
	if _, ok := c.Unlisted(api); !ok {
		return nil, fmt.Errorf("--config: %q: it has no %s, whose calls are replayed: add it under apis", w.Name, api)
	}
	if _, ok := dialect.Builtin(api); ok {
		return fmt.Appendf(nil, "{dialect: %s}", api), nil
	}
	return nil, nil
}
