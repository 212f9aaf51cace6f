package demo

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// tries is how often the guide's code tries a call before it gives up.
const tries = 5

// alone is a service that knows of no other, with the back-off that guides to
// LinkedIn's API print: after a 429 it sleeps for X-RateLimit-Reset × 2ⁱ, or for
// 2ⁱ seconds at an API that tells no reset.
type alone struct {
	http *http.Client
	url  string
	// base is the sleep after the first 429, which later ones double.
	base func(answer) time.Duration
	// givenUp counts the calls that failed after so many tries.
	givenUp *atomic.Int64
}

// newAlone is the run without a broker.
func newAlone(ctx context.Context, n network, p Plan, start time.Time) (*contest, error) {
	c, err := newContest(ctx, "alone", n, p, start)
	if err != nil {
		return nil, err
	}
	var givenUp atomic.Int64
	c.givenUp = givenUp.Load
	base := answer.reset
	if p.Headers == None {
		base = func(answer) time.Duration { return time.Second }
	}
	for range p.Services {
		t := transport(n, p.Workers)
		c.defers(t.CloseIdleConnections)
		c.services = append(c.services, &alone{&http.Client{Transport: t}, c.api.url, base, &givenUp})
	}
	return c, nil
}

// call tries until the call is served. Where the guide's code raises an
// exception, the call is given up, and begun again as the work has to be done.
func (a *alone) call(ctx context.Context, j job) error {
	for {
		served, err := a.try(ctx, j)
		if served || err != nil {
			return err
		}
		a.givenUp.Add(1)
	}
}

func (a *alone) try(ctx context.Context, j job) (served bool, err error) {
	for i := range tries {
		got, err := get(ctx, a.http, a.url, j)
		if err != nil {
			return false, err
		}
		if served, err := got.served(); served || err != nil {
			return served, err
		}
		if err := sleep(ctx, a.base(got)<<i); err != nil {
			return false, err
		}
	}
	return false, nil
}
