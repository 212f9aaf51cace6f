package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
	"github.com/quotabroker/quotabroker/server/simulate"
)

// Log is what a recording has of one API.
type Log struct {
	// API is its name.
	API string
	// Start is when the recording began, Duration until its last line.
	Start    time.Time
	Duration time.Duration

	// config is what was configured of it, and known whether anything was.
	config  recording.API
	known   bool
	format  int // of its last part
	calls   []call
	answers []answer
	// outcome is what happened in the recording.
	outcome outcome
}

// call is one that was wanted.
type call struct {
	at      time.Duration
	scope   recording.Scope
	costs   map[string]int64
	maxWait time.Duration
}

// answer is one that came back.
type answer struct {
	received time.Duration
	report   *recording.Report
}

// Read reads a recording, and keeps what is of one API; an empty name is the only
// API that was called. The error is a [*recording.Error], or says which API to name.
func Read(r io.Reader, api string) (*Log, error) {
	l := loader{logs: make(map[string]*Log), permits: make(map[string]permit)}
	if err := recording.Read(r, l.line); err != nil {
		return nil, err
	}
	called := slices.Sorted(maps.Keys(l.logs))
	if api == "" && len(called) == 1 {
		api = called[0]
	}
	log := l.logs[api]
	if log == nil || len(log.calls) == 0 {
		return nil, fmt.Errorf("--api: %q: name one that the recording has calls of: %s", api, strings.Join(called, ", "))
	}
	log.finish(&l)
	return log, nil
}

// loader gathers lines.
type loader struct {
	start  time.Time
	format int
	// offset is when the present part of the recording began, since the first; last
	// is the latest line's time.
	offset, last time.Duration
	config       map[string]recording.API
	logs         map[string]*Log
	// permits are those that are out.
	permits map[string]permit
}

// permit is what a report does not say again.
type permit struct {
	api   string
	user  string
	asked time.Duration
}

func (l *loader) line(_ int, line *recording.Line) error {
	at := l.offset + line.At()
	switch {
	case line.Began != nil:
		l.begin(line.Began)
		return nil
	case line.Config != nil:
		l.config = line.Config.APIs
	case line.Acquire != nil:
		l.acquire(at, line.Acquire)
	case line.Report != nil:
		l.report(at, line.Report)
	case line.Release != nil:
		delete(l.permits, line.Release.Permit)
	}
	l.last = max(l.last, at)
	return nil
}

// begin is a part of a recording, which lies behind the last whatever the wall clock
// says.
func (l *loader) begin(b *recording.Began) {
	if l.start.IsZero() {
		l.start = b.Wall
	}
	l.format = b.Format
	l.offset = max(l.last, b.Wall.Sub(l.start))
	clear(l.permits)
}

func (l *loader) log(api string) *Log {
	log := l.logs[api]
	if log == nil {
		log = &Log{API: api, outcome: newOutcome()}
		l.logs[api] = log
	}
	if c, ok := l.config[api]; ok && !log.known {
		// The first configuration is that under which most was asked, as a rule.
		log.config, log.known = c, true
	}
	return log
}

func (l *loader) acquire(at time.Duration, a *recording.Acquire) {
	if a.DryRun {
		return
	}
	log := l.log(a.Scope.API)
	asked := max(0, at-a.Waited())
	log.calls = append(log.calls, call{asked, a.Scope, a.Costs, a.MaxWait()})
	log.outcome.wanted(a.Scope.User)
	if a.Permit != "" {
		l.permits[a.Permit] = permit{a.Scope.API, a.Scope.User, asked}
	}
}

func (l *loader) report(at time.Duration, r *recording.Report) {
	p, ok := l.permits[r.Permit]
	delete(l.permits, r.Permit)
	switch {
	case !ok && r.Scope == nil, r.Failed != "" && !ok, r.Result != recording.Sent, r.FromCache, r.Status == 0:
		return
	case !ok:
		p = permit{api: r.Scope.API, user: r.Scope.User, asked: max(0, at-r.Took())}
	}
	log := l.log(p.api)
	received := max(0, r.Received(at))
	log.answers = append(log.answers, answer{received, r})
	log.outcome.answered(p, received, r.Status)
}

// finish puts in order what was written as it came.
func (log *Log) finish(l *loader) {
	log.Start, log.Duration, log.format = l.start, max(l.last, time.Millisecond), l.format
	slices.SortStableFunc(log.calls, func(a, b call) int { return cmp.Compare(a.at, b.at) })
	slices.SortStableFunc(log.answers, func(a, b answer) int { return cmp.Compare(a.received, b.received) })
}

// Calls is how many calls were wanted.
func (log *Log) Calls() int { return len(log.calls) }

// arrivals are the calls as a fleet makes them. What one takes that did not say it,
// the recorded configuration may.
func (log *Log) arrivals(unit string) []simulate.Arrival {
	var rules quota.Rules
	for _, c := range log.config.Costs {
		rules.Costs = append(rules.Costs, quota.EndpointCost(c))
	}
	all := make([]simulate.Arrival, len(log.calls))
	for i, c := range log.calls {
		cost, said := c.costs[unit]
		if !said {
			cost, _ = rules.CostOf(c.scope.Endpoint, unit)
		}
		all[i] = simulate.Arrival{
			At: c.at, App: c.scope.App, User: c.scope.User, Endpoint: c.scope.Endpoint,
			Cost: cost, Patience: max(c.maxWait, least),
		}
	}
	return all
}

// least is the patience of a caller that wants an answer at once.
const least = time.Millisecond
