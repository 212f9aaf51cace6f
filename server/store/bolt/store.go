package bolt

import (
	"context"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Store is a broker.Store in one file. It is safe for concurrent use by this
// process, which is the only one that can have the file open. The zero value is
// of no use: see [Open].
type Store struct {
	db *bbolt.DB

	mu sync.Mutex
	// waiting are the writes for the next commit; committing is true while one
	// is made, or about to be.
	waiting    []*write
	committing bool
	commits    sync.WaitGroup

	// forgetAt is, by the key of a shard, the number of records at which the
	// ended windows are forgotten. It is the commits' own: they follow each other.
	forgetAt map[string]uint64
}

var _ broker.Store = (*Store)(nil)

// Close waits for the commit under way and closes the file. Whatever is asked
// after it fails.
func (st *Store) Close() error {
	st.commits.Wait()
	return st.db.Close()
}

// Own makes owner the shard's owner: see broker.Store. What fails with
// [ErrCorrupt] must not be used any more: the file is damaged.
func (st *Store) Own(ctx context.Context, id broker.Shard, _ string) (uint64, []quota.Reservation, error) {
	var epoch uint64
	var records []quota.Reservation
	err := st.commit(ctx, func(tx *bbolt.Tx) error {
		s, err := openShard(tx, id)
		if err != nil {
			return err
		}
		if records, err = s.all(); err != nil {
			return err
		}
		s.head.epoch++
		epoch = s.head.epoch
		return s.save()
	})
	if err != nil {
		return 0, nil, err
	}
	return epoch, records, nil
}

// Reserve merges records into the shard: see broker.Store. Calls that come while
// a commit is under way share the next one. What fails with [ErrCorrupt] must
// not be used any more: the file is damaged.
func (st *Store) Reserve(ctx context.Context, id broker.Shard, epoch uint64, records []quota.Reservation) error {
	return st.commit(ctx, func(tx *bbolt.Tx) error {
		s, err := findShard(tx, id)
		if err != nil {
			return err
		}
		if s == nil || s.head.epoch != epoch {
			return broker.ErrFenced
		}
		for _, r := range records {
			if err := s.merge(r); err != nil {
				return err
			}
		}
		if err := st.forget(s); err != nil {
			return err
		}
		return s.save()
	})
}

// firstForget is the number of records of a shard at which the ended windows are
// first looked for.
const firstForget = 1024

// forget drops the windows that ended long ago. It is next due when what is left
// has doubled, so that it costs each write the same in the long run.
func (st *Store) forget(s *shard) error {
	key := string(s.key)
	if s.head.records < max(firstForget, st.forgetAt[key]) {
		return nil
	}
	if err := s.forgetEnded(); err != nil {
		return err
	}
	st.forgetAt[key] = 2 * s.head.records
	return nil
}
