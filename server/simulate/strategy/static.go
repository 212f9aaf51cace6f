package strategy

import (
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/agenda"
)

// static is a limiter that was told the limits and listens to no answer: each
// call goes when every counter of it has room. Callers stand at the counter that
// has none, first come first served; what is refused all the same comes again
// after a back-off.
type static struct {
	env simulate.Env
	// limiter is which one of those that know nothing of each other a job asks.
	limiter func(*simulate.Job) int
	// counter makes what one limiter keeps of one key of a limit.
	counter func(simulate.Limit) counter

	gates map[gateKey]*gate
	// opens has the gates by when their first one should try, later the jobs that
	// were refused.
	opens  agenda.Agenda[*gate]
	later  agenda.Agenda[*simulate.Job]
	tries  map[*simulate.Job]int
	flying map[*simulate.Job][]*gate
}

// counter is what a limiter has counted of one key of one limit.
type counter interface {
	// opens is when a call of this cost could go: not after now if it can at once;
	// zero when only the end of another call can tell.
	opens(now time.Time, cost int64) time.Time
	// take counts a call that goes.
	take(now time.Time, cost int64)
	// done hears that a call has been answered.
	done(cost int64)
}

// gateKey is one key of one limit, in one limiter.
type gateKey struct {
	limiter int
	limit   string
	key     simulate.Call
}

// gate is a counter and those who stand at it.
type gate struct {
	counter
	limit simulate.Limit
	line  []*simulate.Job
	// wakes is when the first of them tries next; zero when that is not planned.
	wakes time.Time
}

func newStatic(env simulate.Env, limiter func(*simulate.Job) int, counter func(simulate.Limit) counter) *static {
	return &static{
		env: env, limiter: limiter, counter: counter,
		gates: map[gateKey]*gate{}, tries: map[*simulate.Job]int{}, flying: map[*simulate.Job][]*gate{},
	}
}

// newCentral is one limiter for all, as gubernator or Envoy's rate limit service
// are: windows of the true length and quota, aligned to its own clock. It is told
// of no answer.
func newCentral(env simulate.Env) (simulate.Strategy, error) {
	return newStatic(env, func(*simulate.Job) int { return 0 }, centralCounter), nil
}

// newSplit is a token bucket in each instance, of its share of each quota: nobody
// has to be asked, and nobody can lend.
func newSplit(env simulate.Env) (simulate.Strategy, error) {
	instances := instances(env.Scenario)
	return newStatic(env, func(j *simulate.Job) int { return j.Service }, func(l simulate.Limit) counter {
		return shareCounter(l, instances)
	}), nil
}

// instances is how many a fleet has of all its services.
func instances(s *simulate.Scenario) (n int64) {
	for _, service := range s.Fleet.Services {
		n += max(1, service.Count)
	}
	return n
}

// Want lets the job go, or stand.
func (s *static) Want(now time.Time, j *simulate.Job) { s.admit(now, j, nil) }

// Heard lets a refused job come again, and frees the slots of what is concurrent.
func (s *static) Heard(now time.Time, j *simulate.Job, r simulate.Reply) {
	s.land(now, j)
	if !refused(r) {
		delete(s.tries, j)
		return
	}
	s.tries[j]++
	s.later.Add(now.Add(retryAfter(now, r)+fullJitter(s.env.Rand, s.tries[j])), j)
}

// Dropped frees the slots; nothing else is ever given back.
func (s *static) Dropped(now time.Time, j *simulate.Job) {
	s.land(now, j)
	delete(s.tries, j)
}

// Advance lets those try whose counter has room again, and those who backed off.
func (s *static) Advance(now time.Time) {
	for g, due := s.opens.Take(now); due; g, due = s.opens.Take(now) {
		if !g.wakes.IsZero() && !g.wakes.After(now) {
			g.wakes = time.Time{}
			s.serve(now, g)
		}
	}
	for j, due := s.later.Take(now); due; j, due = s.later.Take(now) {
		if !overdue(now, j) {
			s.admit(now, j, nil)
		}
	}
}

// Wake is when the next one should try.
func (s *static) Wake(time.Time) time.Time {
	next, later := s.opens.Next(), s.later.Next()
	if next.IsZero() || !later.IsZero() && later.Before(next) {
		return later
	}
	return next
}

// admit sends a job for which every counter has room, or lets it stand at the
// first that has none. At the gate whose line it has just left nobody is before
// it.
func (s *static) admit(now time.Time, j *simulate.Job, left *gate) {
	gates := s.counting(j)
	for _, g := range gates {
		if g != left && len(g.line) > 0 {
			g.line = append(g.line, j)
			return
		}
		if at := g.opens(now, g.cost(j)); at.IsZero() || at.After(now) {
			g.line = append(g.line, j)
			s.await(now, g)
			return
		}
	}
	for _, g := range gates {
		g.take(now, g.cost(j))
	}
	s.flying[j] = gates
	s.env.Send(j)
}

// serve lets one after the other go, until the counter has no room.
func (s *static) serve(now time.Time, g *gate) {
	for len(g.line) > 0 {
		j := g.line[0]
		if overdue(now, j) {
			g.line = g.line[1:]
			continue
		}
		if at := g.opens(now, g.cost(j)); at.IsZero() || at.After(now) {
			s.await(now, g)
			return
		}
		g.line = g.line[1:]
		s.admit(now, j, g)
	}
}

// await puts the gate on the agenda.
func (s *static) await(now time.Time, g *gate) {
	at := g.opens(now, g.cost(g.line[0]))
	if !at.IsZero() && (g.wakes.IsZero() || at.Before(g.wakes)) {
		g.wakes = at
		s.opens.Add(at, g)
	}
}

// land frees what a job held while it was on its way.
func (s *static) land(now time.Time, j *simulate.Job) {
	for _, g := range s.flying[j] {
		g.done(g.cost(j))
		s.serve(now, g)
	}
	delete(s.flying, j)
}

// counting is the gates of the limits that count the job, made when they are
// first needed.
func (s *static) counting(j *simulate.Job) []*gate {
	var gates []*gate
	for _, l := range s.env.Scenario.Upstream.Limits {
		key, ok := keyOf(l, j.Call)
		if !ok {
			continue
		}
		id := gateKey{s.limiter(j), l.Name, key}
		if s.gates[id] == nil {
			s.gates[id] = &gate{counter: s.counter(l), limit: l}
		}
		gates = append(gates, s.gates[id])
	}
	return gates
}

// keyOf is what the limit counts the call by; ok is false when it does not count
// it.
func keyOf(l simulate.Limit, c simulate.Call) (key simulate.Call, ok bool) {
	perUser := slices.Contains(l.Per, "user")
	if perUser && c.User == "" || len(l.Only) > 0 && !slices.Contains(l.Only, c.Endpoint) {
		return key, false
	}
	key.App = c.App
	if perUser {
		key.User = c.User
	}
	if slices.Contains(l.Per, "endpoint") {
		key.Endpoint = c.Endpoint
	}
	return key, true
}

// cost is what the job takes of the gate's limit.
func (g *gate) cost(j *simulate.Job) int64 {
	return min(g.limit.Takes(j.Call, j.Cost), g.limit.Quota)
}
