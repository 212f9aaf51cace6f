package demo

import (
	"context"
	"slices"
	"sync"
	"time"
)

// caller is a service's way to make a call: again and again until the API
// serves it, or the context ends. It is safe for concurrent use.
type caller interface {
	call(ctx context.Context, j job) error
}

// fleet is the services at work, and what became of it so far.
type fleet struct {
	plan  Plan
	start time.Time

	mu sync.Mutex
	// ends is when each call was served that is, after the start.
	ends    []time.Duration
	longest time.Duration
	failure error
}

// run makes all calls of the work, each service's by its own caller. It returns
// early when the context ends, and at the first call that fails for another
// reason.
func (f *fleet) run(ctx context.Context, callers []caller) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers sync.WaitGroup
	for i, jobs := range f.plan.work() {
		queue := make(chan job, len(jobs))
		for _, j := range jobs {
			queue <- j
		}
		close(queue)
		for range f.plan.Workers {
			workers.Go(func() { f.work(ctx, cancel, callers[i], queue) })
		}
	}
	workers.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

// work is one worker's day.
func (f *fleet) work(ctx context.Context, stop func(), c caller, queue <-chan job) {
	for j := range queue {
		if sleep(ctx, time.Until(f.start.Add(j.due))) != nil {
			return
		}
		began := time.Now()
		err := c.call(ctx, j)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.fail(err)
			stop()
			return
		}
		f.served(time.Now(), began)
	}
}

func (f *fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure == nil {
		f.failure = err
	}
}

func (f *fleet) served(now, began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// Two workers may come in another order than their instants.
	end := now.Sub(f.start)
	i, _ := slices.BinarySearch(f.ends, end)
	f.ends = slices.Insert(f.ends, i, end)
	f.longest = max(f.longest, now.Sub(began))
}

// state is how many calls are served, when the last of them was, after the
// start, and how long one took at most.
func (f *fleet) state() (done int, ended, longest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if done = len(f.ends); done > 0 {
		ended = f.ends[done-1]
	}
	return done, ended, f.longest
}

// contendedUntil is the end of the last whole window of the application, in a
// run that ends now, in which the fleet wanted no less than its quota: the calls
// that were left of the windows before, and those that fell due.
func (f *fleet) contendedUntil(now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	until := time.Duration(0)
	for began := (f.plan.Window - f.plan.phase()) % f.plan.Window; ; began += f.plan.Window {
		ended := began + f.plan.Window
		served, _ := slices.BinarySearch(f.ends, began)
		if f.plan.dueBy(ended)-served < int(f.plan.AppQuota) || f.start.Add(ended).After(now) {
			return f.start.Add(until)
		}
		until = ended
	}
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
