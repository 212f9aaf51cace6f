package broker

import (
	"context"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Drain refuses new waits and ends every wait and watch with ErrClosed; permits
// can still be reported and released, and what can be granted at once still is.
// It is safe to call twice.
func (b *Broker) Drain() {
	b.shards.mu.Lock()
	b.draining.Store(true)
	watchers := b.shards.watchers
	b.shards.watchers = map[*Watcher]struct{}{}
	b.shards.mu.Unlock()
	for w := range watchers {
		w.finish()
	}
	for _, s := range b.shards.matching(quota.Scope{}) {
		s.drain()
	}
}

func (s *shard) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.nowLocked()
	for q := range s.queues.All {
		s.failAllLocked(now, q, ErrClosed)
	}
	clear(s.watchers)
	s.stepLocked(now)
}

// Close drains, writes to the store what exactly is spent, so that the next owner
// misses nothing, and stops every goroutine of the broker. After it everything
// returns ErrClosed. It returns the context's error when that ends before the
// store is done; what is reserved ahead and not given back by then is counted as
// spent by the next owner.
func (b *Broker) Close(ctx context.Context) error {
	b.Drain()
	b.shards.mu.Lock()
	first := !b.shards.closed
	b.shards.closed = true
	b.shards.mu.Unlock()
	if first {
		close(b.closing)
	}
	for _, s := range b.shards.matching(quota.Scope{}) {
		s.close()
	}
	defer b.cancel()
	stop := context.AfterFunc(ctx, b.cancel)
	defer stop()
	b.keepers.Wait()
	return ctx.Err()
}

// close ends everything but the keeper, which has the last word to write.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.dropLocked()
	s.stopping = true
	s.keepLocked(s.nowLocked())
}
