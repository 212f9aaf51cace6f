package broker

import (
	"fmt"
	"sync"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// sweepEvery is how often at most the shards are looked through for idle ones.
const sweepEvery = time.Second

// shards are those of a broker, made on demand, and the watches, which new
// shards join. Locks are taken in this order: shards, shard, watcher.
type shards struct {
	most int

	mu       sync.RWMutex
	byID     map[Shard]*shard
	watchers map[*Watcher]struct{}
	swept    time.Time
	closed   bool
}

// lockShard is the shard of a scope, locked: see shardOf.
func (b *Broker) lockShard(scope quota.Scope) (*shard, error) {
	for {
		s, err := b.shardOf(scope)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		if !s.gone && s.refused == nil {
			return s, nil
		}
		gone, refused := s.gone, s.refused
		s.mu.Unlock()
		if !gone {
			return nil, refused
		}
	}
}

// shardOf finds or makes the shard of a scope. It returns a *quota.FieldError for
// an API that is not known, labels that it does not have, and an application for
// which there is no room; [ErrClosed] after Close.
func (b *Broker) shardOf(scope quota.Scope) (*shard, error) {
	id := Shard{API: scope.API, App: scope.App}
	b.shards.mu.RLock()
	s, closed := b.shards.byID[id], b.shards.closed
	b.shards.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	if s == nil {
		var err error
		if s, err = b.addShard(id); err != nil {
			return nil, err
		}
	}
	return s, s.upstream.Load().Rules.CheckScope(scope)
}

// addShard makes a shard, or finds the one that another call has just made.
func (b *Broker) addShard(id Shard) (*shard, error) {
	if _, err := b.api(id.API); err != nil {
		return nil, err
	}
	b.shards.mu.Lock()
	defer b.shards.mu.Unlock()
	// A reconfiguration misses no shard, so it must not come in between.
	api, err := b.api(id.API)
	if err != nil {
		return nil, err
	}
	if b.shards.closed {
		return nil, ErrClosed
	}
	if s := b.shards.byID[id]; s != nil {
		return s, nil
	}
	if len(b.shards.byID) >= b.shards.most && !b.shards.sweepLocked(b.clock.now()) {
		remedy := fmt.Sprintf("no room: %d applications are in use already; an application is what the upstream counts together, never a user; or raise the broker's bound", b.shards.most)
		return nil, &quota.FieldError{Field: "scope.app", Value: id.App, Remedy: remedy}
	}
	s := newShard(b, id, api)
	for w := range b.shards.watchers {
		if id.matches(w.pattern) {
			s.watchers[w] = struct{}{}
		}
	}
	b.shards.byID[id] = s
	return s, nil
}

// sweepLocked drops the shards that are idle, and reports whether there were any.
func (ss *shards) sweepLocked(now time.Time) bool {
	if now.Sub(ss.swept) < sweepEvery {
		return false
	}
	ss.swept = now
	before := len(ss.byID)
	for id, s := range ss.byID {
		if s.dropIfIdle() {
			delete(ss.byID, id)
		}
	}
	return len(ss.byID) < before
}

// matching is the shards that can have buckets which match a pattern.
func (ss *shards) matching(pattern quota.Scope) []*shard {
	ss.mu.RLock()
	defer ss.mu.RUnlock()
	return ss.matchingLocked(pattern)
}

func (ss *shards) matchingLocked(pattern quota.Scope) []*shard {
	var list []*shard
	for id, s := range ss.byID {
		if id.matches(pattern) {
			list = append(list, s)
		}
	}
	return list
}

func (id Shard) matches(pattern quota.Scope) bool {
	scope := quota.Scope{API: id.API, App: id.App}
	return scope.Matches(quota.Scope{API: pattern.API, App: pattern.App})
}
