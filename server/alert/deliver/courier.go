package deliver

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quotabroker/quotabroker/server/alert"
)

// Pace of new attempts.
const (
	retryBase = time.Second
	retryMax  = 5 * time.Minute
	// longestPause bounds how long a receiver can ask to be left alone.
	longestPause = time.Hour
)

// Counts is what became of the notices for one sink.
type Counts struct {
	// Delivered were taken, Refused were not and never would be, Dropped had to
	// go because too many waited. Each notice is in at most one of them.
	Delivered, Refused, Dropped int64
	// Failures is how many attempts failed.
	Failures int64
	// Waiting is how many wait, with the one that is on its way.
	Waiting int64
}

// courier brings notices to one sink.
type courier struct {
	sink Sink
	log  *slog.Logger
	// wake has room for one: there is something to do. closing is closed when
	// what waits should be tried once more, and no longer.
	wake    chan struct{}
	closing chan struct{}

	mu     sync.Mutex
	queue  queue
	counts Counts
	// told is the alerts that fire and that the sink has to be told of again.
	told map[string]*alert.Notice
}

func newCourier(s Sink, most int, log *slog.Logger) *courier {
	return &courier{
		sink: s, log: log.With("sink", s.Name()), queue: queue{most: most},
		wake: make(chan struct{}, 1), closing: make(chan struct{}), told: make(map[string]*alert.Notice),
	}
}

// put queues a notice. It never blocks for longer than that takes.
func (c *courier) put(n *alert.Notice) {
	c.mu.Lock()
	dropped := c.queue.put(n)
	for _, d := range dropped {
		if d.Stage == alert.Resolved {
			delete(c.told, d.Alert)
		}
	}
	before := c.counts.Dropped
	c.counts.Dropped += int64(len(dropped))
	after := c.counts.Dropped
	c.counts.Waiting += 1 - int64(len(dropped))
	c.mu.Unlock()
	// Not one line for each: the log would be as full as the queue.
	if before == 0 && after > 0 || before/100 != after/100 {
		c.log.Warn("alerts are dropped: too many wait for a receiver that does not take them", "dropped", after)
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run delivers until the courier is closed and all is tried, or the context
// ends.
func (c *courier) run(ctx context.Context) {
	defer c.sink.Close()
	refresh := newRefresher(c.sink.Refresh())
	defer refresh.stop()
	for {
		n := c.take()
		if n != nil {
			if !c.bring(ctx, n) {
				return
			}
			continue
		}
		select {
		case <-c.wake:
		case <-refresh.due:
			c.tellAgain(ctx)
		case <-c.closing:
			if !c.waiting() {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (c *courier) take() *alert.Notice {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.take()
}

func (c *courier) waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue.notices) > 0
}

// bring tries until the sink takes the notice, or refuses it for good. It
// reports false when it has to give up.
func (c *courier) bring(ctx context.Context, n *alert.Notice) bool {
	for attempt := 0; ; attempt++ {
		// Asked before the attempt: an attempt that began after the closing is
		// the last.
		last := c.isClosing()
		err := c.sink.Deliver(ctx, n)
		failure := asFailure(err)
		if failure == nil || failure.Final {
			c.finish(n, failure, attempt)
			return true
		}
		c.failed(failure, attempt)
		if last || ctx.Err() != nil || !c.pause(ctx, failure, attempt) {
			return false
		}
	}
}

func (c *courier) isClosing() bool {
	select {
	case <-c.closing:
		return true
	default:
		return false
	}
}

// asFailure is any error as a failure.
func asFailure(err error) *DeliveryError {
	if f, ok := errors.AsType[*DeliveryError](err); ok || err == nil {
		return f
	}
	return &DeliveryError{Reason: err.Error()}
}

// finish notes what became of a notice.
func (c *courier) finish(n *alert.Notice, refused *DeliveryError, attempt int) {
	c.mu.Lock()
	c.counts.Waiting--
	if refused != nil {
		c.counts.Refused++
	} else {
		c.counts.Delivered++
	}
	c.rememberLocked(n, refused == nil)
	c.mu.Unlock()
	switch {
	case refused != nil:
		c.log.Warn("a receiver refused an alert: correct the webhook", "reason", refused.Reason, "id", n.ID)
	case attempt > 0:
		c.log.Info("alerts are delivered again", "attempts", attempt+1)
	}
}

// rememberLocked keeps what has to be told again.
func (c *courier) rememberLocked(n *alert.Notice, taken bool) {
	switch {
	case n.Stage == alert.Resolved:
		delete(c.told, n.Alert)
	case taken && c.sink.Refresh() > 0:
		c.told[n.Alert] = n
	}
}

// failed notes an attempt that failed; the log has the first, and then fewer
// and fewer.
func (c *courier) failed(f *DeliveryError, attempt int) {
	c.mu.Lock()
	c.counts.Failures++
	waiting := c.counts.Waiting
	c.mu.Unlock()
	if attempt&(attempt+1) == 0 { // the 1st, 2nd, 4th, …
		c.log.Warn("an alert cannot be delivered, and is tried again", "reason", f.Reason, "attempts", attempt+1, "waiting", waiting)
	}
}

// pause waits before the next attempt: twice as long each time, with jitter so
// that brokers that lost the same receiver do not come back together, and as
// long as the receiver asks for. A closing ends it. It reports false when the
// context did.
func (c *courier) pause(ctx context.Context, f *DeliveryError, attempt int) bool {
	most := min(retryBase<<min(attempt, 20), retryMax)
	wait := most/2 + rand.N(most/2) //nolint:gosec // jitter is no secret
	timer := time.NewTimer(max(wait, min(f.After, longestPause)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.closing:
	case <-ctx.Done():
		return false
	}
	return true
}

// tellAgain tells the sink of what still fires, as far as it takes it.
func (c *courier) tellAgain(ctx context.Context) {
	c.mu.Lock()
	told := make([]*alert.Notice, 0, len(c.told))
	for _, n := range c.told {
		told = append(told, n)
	}
	c.mu.Unlock()
	for _, n := range told {
		if f := asFailure(c.sink.Deliver(ctx, n)); f != nil {
			c.failed(f, 0)
			return
		}
	}
}

// snapshot is the counts as they are now.
func (c *courier) snapshot() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// refresher is a ticker that may never tick.
type refresher struct {
	due  <-chan time.Time
	stop func()
}

func newRefresher(every time.Duration) refresher {
	if every == 0 {
		return refresher{stop: func() {}}
	}
	t := time.NewTicker(every)
	return refresher{t.C, t.Stop}
}
