package broker

import "github.com/quotabroker/quotabroker/server/quota"

// Stuck is the scopes of the callers that stand first in their queue and could go
// now: there is none in a broker that wastes nothing.
func Stuck(b *Broker) []quota.Scope {
	var stuck []quota.Scope
	for _, s := range b.shards.matching(quota.Scope{}) {
		s.mu.Lock()
		now := s.nowLocked()
		for q := range s.queues.All {
			p := q.First()
			if q.Bucket() == nil {
				continue
			}
			if d := s.ledger.Check(now, quota.Request{Scope: p.Scope, Costs: p.Costs, Turn: q.Bucket()}); d.Allowed() {
				stuck = append(stuck, p.Scope)
			}
		}
		s.mu.Unlock()
	}
	return stuck
}

// Kept is how many shards, permits, request ids and counted waiters a broker keeps.
func Kept(b *Broker) (shards, permits, requests, waiting int) {
	for _, s := range b.shards.matching(quota.Scope{}) {
		s.mu.Lock()
		shards++
		s.forgetLocked(s.nowLocked())
		permits += len(s.permits.byNonce)
		requests += len(s.requests)
		s.mu.Unlock()
	}
	b.waiting.mu.Lock()
	defer b.waiting.mu.Unlock()
	return shards, permits, requests, b.waiting.all
}

// EndLife ends the ownership of a shard, as the keeper does when another broker
// has taken it; not while the keeper is at work.
func EndLife(b *Broker, id Shard) {
	b.shards.mu.RLock()
	s := b.shards.byID[id]
	b.shards.mu.RUnlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger != nil && !s.keeping {
		s.endLifeLocked(s.nowLocked())
		s.stepLocked(s.nowLocked())
	}
}

// Hold takes the lock of a shard; what it returns gives it back.
func Hold(b *Broker, id Shard) (release func()) {
	b.shards.mu.RLock()
	s := b.shards.byID[id]
	b.shards.mu.RUnlock()
	s.mu.Lock()
	return s.mu.Unlock
}

// Break makes the next grant of a shard panic once the ledger has it, and before
// the shard has.
func Break(b *Broker, id Shard) {
	b.shards.mu.RLock()
	s := b.shards.byID[id]
	b.shards.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = nil
}

// Unread is how much the watcher keeps for its reader.
func (w *Watcher) Unread() (buckets, revocations int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, set := range w.changed {
		buckets += len(set)
	}
	return buckets, len(w.revoked)
}

// Revoke tells the watcher of a revocation.
func (w *Watcher) Revoke(r quota.Revocation) { w.tell(nil, nil, []quota.Revocation{r}) }
