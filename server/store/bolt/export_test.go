package bolt

import (
	"context"

	"go.etcd.io/bbolt"
)

// Hold makes a commit that lasts until release, so that all other writes wait;
// release returns how many commits they then took.
func (st *Store) Hold() (release func() int) {
	entered, leave := make(chan int), make(chan struct{})
	go func() {
		err := st.commit(context.Background(), func(tx *bbolt.Tx) error {
			entered <- tx.ID()
			<-leave
			return nil
		})
		if err != nil {
			panic(err)
		}
	}()
	held := <-entered
	return func() int {
		close(leave)
		st.commits.Wait()
		after, err := st.db.Begin(true)
		if err != nil {
			panic(err)
		}
		defer func() { _ = after.Rollback() }()
		return after.ID() - held - 1
	}
}

// Waiting is how many writes wait for the next commit.
func (st *Store) Waiting() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.waiting)
}

// SetVersion makes the file one of another version of the format.
func (st *Store) SetVersion(text string) error {
	return st.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyVersion, []byte(text)) })
}

// Lose deletes a shard's records behind the shard's back, or the shard.
func (st *Store) Lose(whole bool) error {
	return st.db.Update(func(tx *bbolt.Tx) error {
		key, _ := tx.Bucket(bucketHeads).Cursor().First()
		if whole {
			if err := tx.Bucket(bucketHeads).Delete(key); err != nil {
				return err
			}
			return tx.Bucket(bucketRecords).DeleteBucket(key)
		}
		records := tx.Bucket(bucketRecords).Bucket(key)
		first, _ := records.Cursor().First()
		return records.Delete(first)
	})
}

// Records is how many are kept of all shards.
func (st *Store) Records() (n int) {
	err := st.db.View(func(tx *bbolt.Tx) error {
		all := tx.Bucket(bucketRecords)
		return all.ForEachBucket(func(key []byte) error {
			return all.Bucket(key).ForEach(func(_, _ []byte) error { n++; return nil })
		})
	})
	if err != nil {
		panic(err)
	}
	return n
}
