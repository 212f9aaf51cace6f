package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Run runs both fleets at the same time, on loopback, and returns what came of
// them. It takes the plan's Most at most. An error says that the demo itself
// failed, or is the context's.
func Run(ctx context.Context, p Plan, screen Screen) (Result, error) {
	return run(ctx, loopback{}, p, screen)
}

func run(ctx context.Context, n network, p Plan, screen Screen) (Result, error) {
	began := time.Now()
	start, up := p.starts(began), began.Add(p.Most)
	alone, err := newAlone(ctx, n, p, start)
	if err != nil {
		return Result{}, err
	}
	defer alone.close()
	brokered, err := newBrokered(ctx, n, p, start)
	if err != nil {
		return Result{}, err
	}
	defer brokered.close()

	watching, stop := context.WithCancel(ctx)
	var shown, runs sync.WaitGroup
	shown.Go(func() { screen.watch(watching, start, alone, brokered) })
	result := Result{Headers: p.Headers, Fleet: describe(p)}
	var errAlone, errBroker error
	runs.Go(func() { result.Alone, errAlone = alone.run(ctx, up) })
	runs.Go(func() { result.Broker, errBroker = brokered.run(ctx, up) })
	runs.Wait()
	stop()
	shown.Wait()
	if err := ctx.Err(); err != nil {
		return result, err
	}
	return result, errors.Join(named(alone, errAlone), named(brokered, errBroker))
}

func named(c *contest, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", c.name, err)
}
