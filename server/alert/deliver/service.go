package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quotabroker/quotabroker/server/alert"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

const (
	// readEvery is how often at most the watch is read. A batch is bounded, so
	// this bounds what alerts cost the broker, however many buckets change.
	readEvery = 50 * time.Millisecond
	// tickEvery is how often time alone is looked at.
	tickEvery = 10 * time.Second
	// DefaultQueue is how many notices wait for one sink.
	DefaultQueue = 1000
)

// Config is what a service needs.
type Config struct {
	// Broker is followed. Required.
	Broker *broker.Broker
	// Settings say what is worth an alert.
	Settings alert.Settings
	// Sinks get every notice. Their names must differ.
	Sinks []Sink
	// Queue is how many notices wait for one sink; 0 means [DefaultQueue].
	Queue int
	// Log receives what goes wrong with a delivery; nil discards it.
	Log *slog.Logger
}

// Service follows a broker and delivers its alerts. It is safe for concurrent
// use.
type Service struct {
	// book belongs to the following, and full, which is true once it was.
	book *alert.Book
	full bool

	log           *slog.Logger
	couriers      []*courier
	started, wall time.Time
	cancel        context.CancelFunc
	// unfollow ends the following, and followed is closed when it has ended.
	unfollow context.CancelFunc
	followed chan struct{}
	running  sync.WaitGroup
	stopping sync.Once
}

// Start begins to follow the broker. Stop it by [Service.Stop], before the
// broker is closed. It returns an error for two sinks of one name, and
// [broker.ErrClosed] when the broker shuts down.
func Start(c Config) (*Service, error) {
	s := &Service{book: alert.NewBook(c.Settings), log: c.Log, followed: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if c.Queue == 0 {
		c.Queue = DefaultQueue
	}
	names := make(map[string]bool)
	for _, sink := range c.Sinks {
		if names[sink.Name()] {
			return nil, fmt.Errorf("sinks: %q: two have this name: give each its own", sink.Name())
		}
		names[sink.Name()] = true
		s.couriers = append(s.couriers, newCourier(sink, c.Queue, s.log))
	}
	w, err := c.Broker.Watch(quota.Scope{})
	if err != nil {
		return nil, err
	}
	s.started = time.Now()
	s.wall = s.started.Round(0).UTC()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	following, unfollow := context.WithCancel(ctx)
	s.unfollow = unfollow
	for _, c := range s.couriers {
		s.running.Go(func() { c.run(ctx) })
	}
	go s.follow(following, w)
	return s, nil
}

// now goes as the broker's own clock does: a step of the wall clock is not seen.
func (s *Service) now() time.Time { return s.wall.Add(time.Since(s.started)) }

// follow shows the book what the watch sees, and the time.
func (s *Service) follow(ctx context.Context, w *broker.Watcher) {
	defer close(s.followed)
	defer w.Close()
	tick := s.now().Add(tickEvery)
	for {
		c, err := s.next(ctx, w, tick)
		if err != nil && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)) {
			return
		}
		now := s.now()
		for i := range c.Quotas {
			s.tell(s.book.See(now, c.Quotas[i].Status))
		}
		if !now.Before(tick) {
			s.tick(now)
			tick = now.Add(tickEvery)
		}
		if err == nil && !sleep(ctx, readEvery) {
			return
		}
	}
}

// next is the watch's next batch; the error is context.DeadlineExceeded when
// there is none until the tick.
func (s *Service) next(ctx context.Context, w *broker.Watcher, tick time.Time) (broker.Changes, error) {
	ctx, cancel := context.WithTimeout(ctx, tick.Sub(s.now()))
	defer cancel()
	return w.Next(ctx)
}

// tick lets the book look at the time, and says once if it cannot look at all.
func (s *Service) tick(now time.Time) {
	s.tell(s.book.Tick(now))
	if !s.full && s.book.Missed() > 0 {
		s.full = true
		s.log.Warn("there are more buckets than alerts are kept for: some users are not looked at", "bound", alert.MaxBuckets)
	}
}

// tell queues notices for every sink.
func (s *Service) tell(notices []alert.Notice) {
	for i := range notices {
		for _, c := range s.couriers {
			c.put(&notices[i])
		}
	}
}

// sleep reports false when the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Counts is what became of the notices, by the names of the sinks.
func (s *Service) Counts() map[string]Counts {
	all := make(map[string]Counts, len(s.couriers))
	for _, c := range s.couriers {
		all[c.sink.Name()] = c.snapshot()
	}
	return all
}

// Stop ends the following, and tries what waits once more, until the context
// ends. What is not delivered by then is counted in the log and lost. It is safe
// to call twice.
func (s *Service) Stop(ctx context.Context) error {
	s.stopping.Do(func() {
		s.unfollow()
		<-s.followed
		for _, c := range s.couriers {
			close(c.closing)
		}
	})
	defer s.cancel()
	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	s.running.Wait()
	for _, c := range s.couriers {
		if n := c.snapshot().Waiting; n > 0 {
			c.log.Warn("alerts were not delivered before the stop", "lost", n)
		}
	}
	return ctx.Err()
}
