package simulate

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// The streams of numbers of a run: one fault more or less moves no arrival.
const (
	upstreamStream = iota + 1
	fleetStream
	fateStream
	strategyStream
	othersStream
	startStream
)

// source is what wants calls: an instance of a service, or another consumer.
type source struct {
	service Service
	index   int
	random  *rand.Rand
	who     *crowd
	// bursts and phase say when it is on.
	rate   float64
	bursts Bursts
	phase  time.Duration
	// due are the arrivals to come.
	due []Arrival
}

// crowd draws whose call the next one is.
type crowd struct {
	app       string
	users     []string
	endpoints []string
	zipf      float64
	// calls keeps the buckets that count the calls of a user at an endpoint.
	calls map[Call][]*bucket
}

func newCrowd(f *Fleet) *crowd {
	c := &crowd{app: "app", endpoints: f.Endpoints, zipf: f.Users.Zipf, calls: make(map[Call][]*bucket)}
	for i := range f.Users.Count {
		c.users = append(c.users, fmt.Sprintf("user-%d", i+1))
	}
	if len(c.endpoints) == 0 {
		c.endpoints = []string{"GET /"}
	}
	return c
}

// call is whose call a source makes next.
func (s *source) call() Call {
	c := Call{App: s.who.app, User: s.service.User, Endpoint: s.service.Endpoint}
	if n := len(s.who.users); n > 0 && c.User == "" {
		c.User = s.who.users[s.who.user(s.random)]
	}
	if n := len(s.who.endpoints); c.Endpoint == "" {
		c.Endpoint = s.who.endpoints[s.random.IntN(n)]
	}
	return c
}

// user is the index of a user, by its rank.
func (c *crowd) user(r *rand.Rand) int {
	if c.zipf == 0 {
		return r.IntN(len(c.users))
	}
	// The inverse of a continuous distribution with the same tail.
	n, s := float64(len(c.users))+1, c.zipf
	x := math.Pow(1-r.Float64()*(1-math.Pow(n, 1-s)), 1/(1-s))
	return min(int(x)-1, len(c.users)-1)
}

// gap is the time to the next call that falls due by itself, the time off
// included, from a time after the start of the run.
func (s *source) gap(now time.Duration) time.Duration {
	wait := time.Duration(s.random.ExpFloat64() / s.rate * float64(time.Second))
	if s.bursts.Off == 0 || s.bursts.On == 0 {
		return wait
	}
	// Wait so long of the time on: off is skipped.
	period := s.bursts.On + s.bursts.Off
	into := (now + s.phase) % period
	gone := wait
	if into >= s.bursts.On { // off now
		gone += period - into
		into = 0
	}
	for left := s.bursts.On - into; wait >= left; left = s.bursts.On {
		wait -= left
		gone += s.bursts.Off
	}
	return gone
}

// sources are the instances of all services, each with a stream of its own.
func (f *Fleet) sources(seed uint64) []*source {
	who := newCrowd(f)
	var all []*source
	for _, s := range f.Services {
		for range max(1, s.Count) {
			one := &source{service: s, index: len(all), who: who, rate: s.Rate, bursts: s.Bursts, due: s.Arrivals}
			one.random = stream(seed, fleetStream, uint64(len(all)))
			if period := s.Bursts.On + s.Bursts.Off; period > 0 {
				one.phase = time.Duration(stream(seed, fleetStream, uint64(len(all))).Int64N(int64(period)))
			}
			all = append(all, one)
		}
	}
	return all
}

// others are the other consumers of an API.
func (a *API) others(f *Fleet, seed uint64) []*source {
	who := newCrowd(f)
	var all []*source
	for i, o := range a.Others {
		s := &source{service: Service{User: o.User, Endpoint: o.Endpoint}, who: who, rate: o.rate(a), bursts: o.Bursts}
		s.random = stream(seed, othersStream, uint64(i))
		if period := o.Bursts.On + o.Bursts.Off; period > 0 {
			s.rate *= float64(period) / float64(cmp.Or(o.Bursts.On, period))
			s.phase = time.Duration(s.random.Int64N(int64(period)))
		}
		all = append(all, s)
	}
	return all
}

// stream is a part's own numbers.
func stream(seed, part, nth uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, part<<32|nth)) //nolint:gosec // the same numbers for the same seed are what is wanted
}

// fates draws what becomes of each call, by its number and how often it was sent
// alone, so that it is the same whoever asks, and when.
type fates struct {
	seed   uint64
	pcg    *rand.PCG
	random *rand.Rand
}

func newFates(seed uint64) *fates {
	pcg := rand.NewPCG(0, 0)
	return &fates{seed: seed, pcg: pcg, random: rand.New(pcg)} //nolint:gosec // the same numbers for the same seed are what is wanted
}

func (f *fates) of(j *Job, s *Scenario) fate {
	f.pcg.Seed(f.seed^fateStream<<56, uint64(j.ID)<<16|uint64(j.Sent)) //nolint:gosec // both are counts
	r, l, faults := f.random, &s.Upstream.Latency, &s.Fleet.Faults
	one := fate{request: l.Request.Draw(r), work: l.Work.Draw(r), answer: l.Answer.Draw(r)}
	x := Share(r.Float64())
	for _, c := range []struct {
		share Share
		set   *bool
	}{
		{faults.DieBefore, &one.diesBefore}, {faults.DieAfter, &one.diesAfter},
		{faults.Drop, &one.drops}, {faults.Unreported, &one.unreported},
	} {
		if x < c.share {
			*c.set = true
			break
		}
		x -= c.share
	}
	if slow := faults.Slow; slow.Share > 0 && Share(r.Float64()) < slow.Share {
		one.wait = time.Duration(r.Int64N(int64(slow.UpTo) + 1))
	}
	return one
}
