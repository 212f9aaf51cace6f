package demo

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// contest is one of the two runs: a fleet, and an API of its own.
type contest struct {
	name  string
	api   *api
	fleet *fleet
	// services has each service's way to make calls.
	services []caller
	// givenUp is how many calls were given up and begun again so far.
	givenUp func() int64
	// closers are undone in reverse.
	closers []func()
}

// newContest starts an API whose windows stand where the plan has them at start.
func newContest(ctx context.Context, name string, n network, p Plan, start time.Time) (*contest, error) {
	upstream, err := simulate.NewUpstream(simulate.API{Limits: p.limits(start)}, start, 1)
	if err != nil {
		return nil, err
	}
	lis, err := n.listen(ctx)
	if err != nil {
		return nil, err
	}
	c := &contest{name: name, api: startAPI(lis, upstream, p, start), fleet: &fleet{plan: p, start: start}}
	c.defers(c.api.close)
	return c, nil
}

func (c *contest) defers(f func()) { c.closers = append(c.closers, f) }

func (c *contest) close() {
	for _, undo := range slices.Backward(c.closers) {
		undo()
	}
}

// run lets the fleet work until it is done or the time is up, at an instant. An
// error says that the demo itself failed, or was interrupted.
func (c *contest) run(ctx context.Context, up time.Time) (Outcome, error) {
	working, cancel := context.WithDeadline(ctx, up)
	defer cancel()
	err := errors.Join(c.fleet.run(working, c.services), ctx.Err())
	return c.result(), err
}

// result is what the judge, the callers and the clock say now.
func (c *contest) result() Outcome {
	now, start := time.Now(), c.fleet.start
	done, ended, longest := c.fleet.state()
	o := Outcome{Finished: done == c.fleet.plan.Calls, Seconds: seconds(ended), GivenUp: c.givenUp(), LongestCall: seconds(longest)}
	if !o.Finished {
		o.Seconds = seconds(now.Sub(start))
	}
	score := c.api.score(now)
	o.Served, o.Refused, o.LongestLockout = score.Served, score.Refused, seconds(score.LongestLockout)
	for _, u := range c.api.uses(start, c.fleet.contendedUntil(now)) {
		o.Quotas = append(o.Quotas, Use{u.Limit, u.Quota, u.Windows, u.Mean, u.Lowest, u.Highest})
	}
	return o
}

// seconds is a duration as the results have it, to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
