package bolt

import (
	"context"
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/quotabroker/quotabroker/server/broker"
)

// write is one call's part of a commit.
type write struct {
	ctx context.Context // of the call that waits for it
	do  func(*bbolt.Tx) error
	// err is what do said, and done is closed when that is final.
	err  error
	done chan struct{}
}

// commit has do take part in the next commit, and returns when that is durable.
// It may be called again after a commit that failed for another call's sake. A
// do that returns broker.ErrFenced must have written nothing.
func (st *Store) commit(ctx context.Context, do func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &write{ctx: ctx, do: do, done: make(chan struct{})}
	st.mu.Lock()
	st.waiting = append(st.waiting, w)
	if !st.committing {
		st.committing = true
		st.commits.Go(st.run)
	}
	st.mu.Unlock()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run makes one commit after the other until nothing waits: all that came while
// one was made go with the next.
func (st *Store) run() {
	for writes := st.next(); len(writes) > 0; writes = st.next() {
		for len(writes) > 0 {
			writes = st.commitTogether(writes)
		}
	}
}

// next is the writes that wait; when there are none, the commits have ended.
func (st *Store) next() []*write {
	st.mu.Lock()
	defer st.mu.Unlock()
	writes := st.waiting
	st.waiting = nil
	st.committing = len(writes) > 0
	return writes
}

// commitTogether makes one commit of the writes and returns what is left to do:
// when one of them fails nothing is written, and the others have to try again.
func (st *Store) commitTogether(writes []*write) (left []*write) {
	var failed *write
	err := guarded(func() error {
		return st.db.Update(func(tx *bbolt.Tx) error {
			for _, w := range writes {
				failed = w
				if w.err = w.ctx.Err(); w.err == nil {
					w.err = w.do(tx)
				}
				if w.err != nil && w.ctx.Err() == nil && !errors.Is(w.err, broker.ErrFenced) {
					return w.err
				}
			}
			failed = nil
			return nil
		})
	})
	if failed != nil { // its own fault, or a page that it read is damaged
		failed.err = err
		close(failed.done)
		return slices.DeleteFunc(writes, func(w *write) bool { return w == failed })
	}
	for _, w := range writes {
		if w.err == nil {
			w.err = err
		}
		close(w.done)
	}
	return nil
}
