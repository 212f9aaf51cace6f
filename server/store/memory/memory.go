package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Store is a broker.Store in this process's memory. It is safe for concurrent
// use.
type Store struct {
	mu     sync.Mutex
	shards map[broker.Shard]*shard
}

var _ broker.Store = (*Store)(nil)

// New makes an empty store.
func New() *Store { return &Store{shards: map[broker.Shard]*shard{}} }

// shard is what is recorded of one shard: of each bucket its newest windows, the
// newest first.
type shard struct {
	epoch   uint64
	buckets map[bucket][]quota.Reservation
	// newest is the latest beginning of a window; forgetAt is the number of
	// buckets at which the ended windows are forgotten.
	newest   int64
	forgetAt int
}

type bucket struct {
	limit string
	key   quota.Scope
}

const (
	// keptWindows is how many windows of a bucket are kept: the open one, and the
	// one before, of which late answers may speak.
	keptWindows = 2
	// firstForget is the number of buckets at which the ended windows are first
	// looked for.
	firstForget = 1024
)

// Own makes owner the shard's owner: see broker.Store. It fails only when the
// context has ended.
func (st *Store) Own(ctx context.Context, id broker.Shard, _ string) (uint64, []quota.Reservation, error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	s := st.shards[id]
	if s == nil {
		s = &shard{epoch: broker.FirstEpoch - 1, buckets: map[bucket][]quota.Reservation{}, forgetAt: firstForget}
		st.shards[id] = s
	}
	s.epoch++
	return s.epoch, s.all(), nil
}

// Reserve merges records into the shard: see broker.Store. It fails only when
// the context has ended or the epoch is not the newest.
func (st *Store) Reserve(ctx context.Context, id broker.Shard, epoch uint64, records []quota.Reservation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	s := st.shards[id]
	if s == nil || s.epoch != epoch {
		return broker.ErrFenced
	}
	for _, r := range records {
		s.merge(r)
	}
	if len(s.buckets) >= s.forgetAt {
		s.forget()
	}
	return nil
}

// all is a copy of the records.
func (s *shard) all() []quota.Reservation {
	var list []quota.Reservation
	for _, windows := range s.buckets {
		list = append(list, windows...)
	}
	return list
}

// merge records one window of a bucket.
func (s *shard) merge(r quota.Reservation) {
	id := bucket{r.Limit, r.Key}
	windows := s.buckets[id]
	i, known := slices.BinarySearchFunc(windows, r.Began, func(w quota.Reservation, began int64) int {
		return cmp.Compare(began, w.Began)
	})
	if known {
		windows[i] = broker.Merge(windows[i], r)
	} else {
		windows = slices.Insert(windows, i, r)
	}
	s.buckets[id] = windows[:min(len(windows), keptWindows)]
	s.newest = max(s.newest, r.Began)
}

// forget drops the windows that ended long ago. It is next due when what is left
// has doubled, so that it costs each write the same in the long run.
func (s *shard) forget() {
	ended := func(r quota.Reservation) bool { return broker.Forgettable(r, s.newest) }
	for id, windows := range s.buckets {
		if windows = slices.DeleteFunc(windows, ended); len(windows) > 0 {
			s.buckets[id] = windows
		} else {
			delete(s.buckets, id)
		}
	}
	s.forgetAt = max(firstForget, 2*len(s.buckets))
}
