package broker

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/quotabroker/quotabroker/server/quota"
)

// maxBatch bounds the buckets of one batch; the rest come with the next.
const maxBatch = 256

// maxRevoked bounds the revocations that a watcher is told of one by one.
const maxRevoked = 1024

// Changes is one batch for a watcher.
type Changes struct {
	// Quotas is the present status of buckets that changed.
	Quotas []Quota
	// Revocations make permits void that were not yet sent.
	Revocations []quota.Revocation
}

// Watcher is one watch. It is for one reader. What it has not read yet is kept
// as a set, so that a slow reader gets the latest of each bucket and holds
// nobody up.
type Watcher struct {
	broker  *Broker
	pattern quota.Scope
	// signal has room for one: there is something to read.
	signal chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	changed map[*shard]map[*quota.Bucket]struct{}
	revoked map[quota.Scope]quota.Revocation
	end     bool
}

// Watch starts to watch the buckets that match a scope pattern. Stop it by
// Watcher.Close. It returns a *quota.FieldError for a pattern that names an API
// that is not known, and [ErrClosed] when the broker shuts down.
func (b *Broker) Watch(pattern quota.Scope) (*Watcher, error) {
	if err := b.checkPattern(pattern); err != nil {
		return nil, err
	}
	w := &Watcher{
		broker: b, pattern: pattern, signal: make(chan struct{}, 1), ended: make(chan struct{}),
		changed: map[*shard]map[*quota.Bucket]struct{}{}, revoked: map[quota.Scope]quota.Revocation{},
	}
	b.shards.mu.Lock()
	if b.draining.Load() {
		b.shards.mu.Unlock()
		return nil, ErrClosed
	}
	b.shards.watchers[w] = struct{}{}
	matching := b.shards.matchingLocked(pattern)
	b.shards.mu.Unlock()
	for _, s := range matching {
		s.join(w)
	}
	// The first batch comes at once, even when it is empty.
	w.wake()
	return w, nil
}

func (b *Broker) checkPattern(pattern quota.Scope) error {
	if pattern.API == "" {
		named := pattern
		named.API = "any"
		return named.Validate()
	}
	if err := pattern.Validate(); err != nil {
		return err
	}
	api, err := b.api(pattern.API)
	if err != nil {
		return err
	}
	return api.Rules.CheckScope(pattern)
}

// join adds a watcher, and shows it what there is.
func (s *shard) join(w *Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[w] = struct{}{}
	s.showAllLocked(w)
}

// showAllLocked marks every bucket of the shard that matches as changed.
func (s *shard) showAllLocked(w *Watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.changed, s)
	if s.ledger == nil {
		return
	}
	for b := range s.ledger.Buckets(w.pattern) {
		w.markLocked(s, b)
	}
}

// publishLocked tells the watchers what changed.
func (s *shard) publishLocked() {
	changed, revoked := s.ledger.Changed(), s.ledger.Revoked()
	if s.api.Shadow {
		revoked = nil // it holds nobody back
	}
	if len(changed) == 0 && len(revoked) == 0 {
		return
	}
	for w := range s.watchers {
		if w.tell(s, changed, revoked) > s.ledger.Len()+maxBatch {
			s.showAllLocked(w) // what it has not read is of buckets that are gone
		}
	}
}

// tell notes what matches, and returns how many of the shard's buckets have changed
// since the watcher read them. It never blocks.
func (w *Watcher) tell(s *shard, changed []*quota.Bucket, revoked []quota.Revocation) (unread int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range changed {
		if b.Key().Matches(w.pattern) {
			w.markLocked(s, b)
		}
	}
	for _, r := range revoked {
		if overlap(r.Scope, w.pattern) {
			w.revokeLocked(r)
		}
	}
	return len(w.changed[s])
}

// revokeLocked notes a revocation: of all the application's permits where there are
// more to read than need be told apart.
func (w *Watcher) revokeLocked(r quota.Revocation) {
	if len(w.revoked) >= maxRevoked {
		r.Scope = quota.Scope{API: r.Scope.API, App: r.Scope.App}
		maps.DeleteFunc(w.revoked, func(s quota.Scope, _ quota.Revocation) bool { return s.Matches(r.Scope) })
	}
	w.revoked[r.Scope] = r
	w.wake()
}

// overlap reports whether there can be a scope that matches both patterns.
func overlap(a, b quota.Scope) bool {
	part := func(x, y string) bool { return x == "" || y == "" || x == y }
	if !part(a.API, b.API) || !part(a.App, b.App) || !part(a.User, b.User) || !part(a.Endpoint, b.Endpoint) {
		return false
	}
	for name, value := range a.Labels.All {
		if !part(value, b.Labels.Get(name)) {
			return false
		}
	}
	return true
}

func (w *Watcher) markLocked(s *shard, b *quota.Bucket) {
	set := w.changed[s]
	if set == nil {
		set = map[*quota.Bucket]struct{}{}
		w.changed[s] = set
	}
	set[b] = struct{}{}
	w.wake()
}

func (w *Watcher) wake() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// Next waits for changes: at first every bucket that matches, at once and even
// if there is none, then what changed. Many come in several batches. It returns
// ErrClosed when the broker shuts down, and the context's error.
func (w *Watcher) Next(ctx context.Context) (Changes, error) {
	select {
	case <-w.ended:
		return Changes{}, ErrClosed
	default:
	}
	select {
	case <-w.ended:
		return Changes{}, ErrClosed
	case <-ctx.Done():
		return Changes{}, ctx.Err()
	case <-w.signal:
	}
	buckets, c := w.take()
	for s, set := range buckets {
		c.Quotas = append(c.Quotas, s.quotasOf(set)...)
	}
	sortQuotas(c.Quotas)
	return c, nil
}

// take is the next batch, off what has not been read.
func (w *Watcher) take() (map[*shard][]*quota.Bucket, Changes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := Changes{Revocations: slices.Collect(maps.Values(w.revoked))}
	slices.SortFunc(c.Revocations, func(a, b quota.Revocation) int {
		return cmp.Compare(a.Generation, b.Generation)
	})
	clear(w.revoked)
	batch := map[*shard][]*quota.Bucket{}
	n := 0
	for s, set := range w.changed {
		for b := range set {
			if n == maxBatch {
				w.wake()
				return batch, c
			}
			batch[s] = append(batch[s], b)
			delete(set, b)
			n++
		}
		delete(w.changed, s)
	}
	return batch, c
}

func (s *shard) quotasOf(buckets []*quota.Bucket) []Quota {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger == nil {
		return nil
	}
	now := s.nowLocked()
	list := make([]Quota, len(buckets))
	for i, b := range buckets {
		list[i] = s.quotaLocked(now, b)
	}
	return list
}

// Close ends the watch. It is safe to call twice, and while Next waits.
func (w *Watcher) Close() {
	ss := &w.broker.shards
	ss.mu.Lock()
	delete(ss.watchers, w)
	matching := ss.matchingLocked(w.pattern)
	ss.mu.Unlock()
	for _, s := range matching {
		s.mu.Lock()
		delete(s.watchers, w)
		s.mu.Unlock()
	}
	w.finish()
}

// finish makes Next return ErrClosed.
func (w *Watcher) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.end {
		w.end = true
		close(w.ended)
	}
}
