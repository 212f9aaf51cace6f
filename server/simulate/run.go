package simulate

import (
	"fmt"
	"time"
)

// Run plays a scenario against a strategy. It is deterministic: the same
// scenario, seed and strategy give the same result. The error names what is wrong
// with the scenario, or what the strategy did wrong.
func Run(s *Scenario, seed uint64, newStrategy NewStrategy) (*Result, error) {
	r, err := newRun(s, seed)
	if err != nil {
		return nil, err
	}
	r.strategy, err = newStrategy(Env{
		Scenario: r.scenario, Rand: stream(seed, strategyStream, 0),
		Send: r.send, Recall: r.recall, Enter: r.enter, Rooms: r.up.rooms, Cost: trueCost,
	})
	if err != nil {
		return nil, fmt.Errorf("strategy: %w", err)
	}
	r.begin()
	if r.play(); r.err != nil {
		return nil, r.err
	}
	return r.result(), nil
}

// jobState is who has a job.
type jobState uint8

const (
	held   jobState = iota // by its strategy
	away                   // on its way to the upstream, or back
	atDoor                 // of the upstream
	gone                   // by its strategy, its caller having given up
	ended                  // served, given back or lost
)

// run is a scenario under way.
type run struct {
	scenario *Scenario
	seed     uint64
	up       *Upstream
	strategy Strategy
	queue    queue
	sources  []*source
	fates    *fates
	// now and end are in nanoseconds since the Unix epoch, and time is now.
	now, end int64
	time     time.Time
	// wake is when the strategy acts next; 0 for never. idle is how often it has
	// acted at this instant without letting go of it.
	wake int64
	idle int
	jobs int64
	tally
	err error
}

func newRun(s *Scenario, seed uint64) (*run, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.StartWithin > 0 {
		moved := *s
		moved.Start = s.Start.Add(time.Duration(stream(seed, startStream, 0).Int64N(int64(s.StartWithin))))
		s = &moved
	}
	up, err := NewUpstream(s.Upstream, s.Start, seed)
	if err != nil {
		return nil, err
	}
	r := &run{scenario: s, seed: seed, up: up, fates: newFates(seed), sources: s.Fleet.sources(seed)}
	r.now = s.Start.UnixNano()
	r.end = r.now + int64(s.Duration)
	r.time = instant(r.now)
	r.hash, r.byName = offset, make(map[string]*person)
	return r, nil
}

// begin plans what happens first.
func (r *run) begin() {
	for _, s := range r.sources {
		switch {
		case s.service.Workers > 0:
			for range s.service.Workers {
				r.after(0, event{what: wants, source: s})
			}
		case s.service.Batch.Calls > 0:
			r.after(s.service.Batch.At, event{what: wants, source: s})
		case len(s.due) > 0:
			r.after(s.due[0].At, event{what: wants, source: s})
		default:
			r.after(s.gap(0), event{what: wants, source: s})
		}
	}
	for _, o := range r.scenario.Upstream.others(&r.scenario.Fleet, r.seed) {
		if o.rate > 0 {
			r.after(o.gap(0), event{what: intrudes, source: o})
		}
	}
	if r.scenario.Sample > 0 {
		r.after(0, event{what: samples})
	}
	r.heed()
}

func (r *run) after(d time.Duration, e event) {
	e.at = r.now + int64(d)
	r.queue.push(e)
}

// play lets everything happen until the end.
func (r *run) play() {
	for r.err == nil {
		at, ok := r.queue.next()
		if r.wake != 0 && (!ok || r.wake <= at) {
			if max(r.wake, r.now) > r.end {
				return
			}
			r.advance()
			continue
		}
		if !ok || at > r.end {
			return
		}
		r.pass(at)
		r.happen(r.queue.pop())
	}
}

func (r *run) pass(now int64) {
	if now > r.now {
		r.now, r.time, r.idle = now, instant(now), 0
		r.up.change(now)
	}
}

// mostIdle is how often a strategy may act at one instant.
const mostIdle = 100_000

// advance wakes the strategy.
func (r *run) advance() {
	r.pass(r.wake)
	if r.idle++; r.idle > mostIdle {
		r.err = fmt.Errorf("strategy: at %v it wants to be woken at once, again and again", r.time)
	}
	r.strategy.Advance(r.time)
	r.heed()
}

// heed asks the strategy when it acts next.
func (r *run) heed() {
	r.wake = 0
	if w := r.strategy.Wake(r.time); !w.IsZero() {
		r.wake = w.UnixNano()
	}
}

func (r *run) happen(e event) {
	if e.job != nil && e.try != e.job.try && e.what != leaves {
		return
	}
	switch e.what {
	case wants:
		r.want(e.source)
	case arrives:
		r.arrive(e.job)
	case answered:
		r.answer(e.job)
	case dies:
		r.lose(e.job)
	case returns:
		r.handOver(e.job.source, e.job.demand, e.job.Wanted)
	case leaves:
		r.leave(e.job)
	case drops:
		r.drop(e.job)
	case intrudes:
		r.up.intrude(r.time, e.source)
		r.after(e.source.gap(time.Duration(r.now-r.up.start)), e)
	case samples:
		r.sample()
		r.after(r.scenario.Sample, e)
	}
}
