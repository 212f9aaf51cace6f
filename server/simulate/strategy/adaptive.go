package strategy

import (
	"math"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/agenda"
)

// The numbers of the AWS SDKs' adaptive mode.
const (
	// cubicBeta is how far a throttle lowers the rate, cubicScale how fast it grows
	// again.
	cubicBeta  = 0.7
	cubicScale = 0.4
	// rateSmooth weighs the newest half second in the measured rate.
	rateSmooth = 0.8
	rateSlice  = 500 * time.Millisecond
	// A rate is at least rateFloor calls a second, a bucket holds at least one.
	rateFloor   = 0.5
	bucketFloor = 1.0
	// retryMost bounds the back-off of a retry.
	retryMost = 20 * time.Second
)

// adaptive is the AWS SDKs' adaptive retry mode, in each service apart: calls are
// sent freely until one is throttled; from then on a token bucket holds them to a
// rate that falls with each throttle to 0.7 of what was measured and grows with
// each success along a cubic, to no more than twice what is measured. A throttled
// call comes again after a back-off with full jitter.
type adaptive struct {
	env      simulate.Env
	services []*paced
	later    agenda.Agenda[*simulate.Job]
	opens    agenda.Agenda[*paced]
	tries    map[*simulate.Job]int
}

// paced is one service's limiter.
type paced struct {
	line []*simulate.Job
	// wakes is when the first of them tries next; zero when that is not planned.
	wakes time.Time
	// on is false until the first throttle.
	on bool
	// rate is the calls a second of the bucket, have what is in it as of at.
	rate, have float64
	at         time.Time
	// measured is the smoothed rate of answers; answers counts those since counted.
	measured float64
	counted  time.Time
	answers  int
	// peak is the rate at the last throttle, throttled when that was.
	peak      float64
	throttled time.Time
}

func newAdaptive(env simulate.Env) (simulate.Strategy, error) {
	a := &adaptive{env: env, tries: map[*simulate.Job]int{}}
	for range instances(env.Scenario) {
		a.services = append(a.services, &paced{})
	}
	return a, nil
}

// Want lets the job go as its service's rate allows.
func (a *adaptive) Want(now time.Time, j *simulate.Job) {
	p := a.services[j.Service]
	p.line = append(p.line, j)
	a.serve(now, p)
}

// Heard adapts the service's rate.
func (a *adaptive) Heard(now time.Time, j *simulate.Job, r simulate.Reply) {
	p := a.services[j.Service]
	throttled := r.Status == simulate.StatusTooManyRequests
	p.heard(now, throttled)
	if !refused(r) {
		delete(a.tries, j)
	} else {
		a.tries[j]++
		most := min(time.Second<<min(a.tries[j]-1, 8), retryMost)
		a.later.Add(now.Add(time.Duration(a.env.Rand.Int64N(int64(most)))), j)
	}
	a.serve(now, p)
}

// Dropped forgets the job: the token is spent.
func (a *adaptive) Dropped(_ time.Time, j *simulate.Job) { delete(a.tries, j) }

// Advance lets retries and those go whose token has come.
func (a *adaptive) Advance(now time.Time) {
	for j, due := a.later.Take(now); due; j, due = a.later.Take(now) {
		if !overdue(now, j) {
			a.Want(now, j)
		}
	}
	for p, due := a.opens.Take(now); due; p, due = a.opens.Take(now) {
		if !p.wakes.IsZero() && !p.wakes.After(now) {
			p.wakes = time.Time{}
			a.serve(now, p)
		}
	}
}

// Wake is when the next one may go.
func (a *adaptive) Wake(time.Time) time.Time {
	next, later := a.opens.Next(), a.later.Next()
	if next.IsZero() || !later.IsZero() && later.Before(next) {
		return later
	}
	return next
}

// serve lets those go for whom there is a token.
func (a *adaptive) serve(now time.Time, p *paced) {
	for len(p.line) > 0 {
		if overdue(now, p.line[0]) {
			p.line = p.line[1:]
			continue
		}
		if wait := p.wait(now); wait > 0 {
			a.await(now.Add(wait), p)
			return
		}
		j := p.line[0]
		p.line = p.line[1:]
		if p.on {
			p.have--
		}
		a.env.Send(j)
	}
}

// await plans when the first of a service tries next.
func (a *adaptive) await(at time.Time, p *paced) {
	if p.wakes.IsZero() || at.Before(p.wakes) {
		p.wakes = at
		a.opens.Add(at, p)
	}
}

// wait is how long the next call has to wait for its token.
func (p *paced) wait(now time.Time) time.Duration {
	if !p.on {
		return 0
	}
	p.fill(now)
	if p.have >= 1-tokenGrain {
		return 0
	}
	return time.Duration(math.Ceil((1 - p.have) / p.rate * float64(time.Second)))
}

// measure smooths the rate of answers, every half second.
func (p *paced) measure(now time.Time) {
	slice := now.Truncate(rateSlice)
	if p.counted.IsZero() {
		p.counted = slice
	}
	p.answers++
	if passed := slice.Sub(p.counted); passed > 0 {
		p.measured = float64(p.answers)/passed.Seconds()*rateSmooth + p.measured*(1-rateSmooth)
		p.answers, p.counted = 0, slice
	}
}

// heard adapts the rate to an answer.
func (p *paced) heard(now time.Time, throttled bool) {
	p.measure(now)
	var rate float64
	switch {
	case throttled:
		p.peak = p.measured
		if p.on {
			p.peak = min(p.measured, p.rate)
		}
		rate = p.peak * cubicBeta
		p.throttled, p.on = now, true
	case !p.on:
		return
	default:
		pause := math.Cbrt(p.peak * (1 - cubicBeta) / cubicScale)
		rate = cubicScale*math.Pow(now.Sub(p.throttled).Seconds()-pause, 3) + p.peak
	}
	p.fill(now)
	p.rate = max(min(rate, 2*p.measured), rateFloor)
	p.have = min(p.have, p.size())
}

// size is what the bucket holds: the calls of a second.
func (p *paced) size() float64 { return max(p.rate, bucketFloor) }

func (p *paced) fill(now time.Time) {
	if !p.at.IsZero() {
		p.have = min(p.size(), p.have+now.Sub(p.at).Seconds()*p.rate)
	}
	p.at = now
}
