package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/bolt"
)

// queued waits until so many writes wait for the next commit.
func queued(store *bolt.Store, n int) {
	for store.Waiting() < n {
		runtime.Gosched()
	}
}

// Whatever comes while a commit is made goes with the next one, whoever's shard
// it is; one that is fenced disturbs nobody.
func TestWritesShareCommits(t *testing.T) {
	defer goleak.VerifyNone(t)
	const shards = 40
	store := open(t, inTemp(t))
	defer store.Close()
	epochs := make([]uint64, shards)
	for i := range shards {
		epoch, _, err := store.Own(t.Context(), shardNo(i), "o")
		must(t, err)
		epochs[i] = epoch
	}
	release := store.Hold()
	var all sync.WaitGroup
	for i := range shards {
		all.Go(func() {
			err := store.Reserve(t.Context(), shardNo(i), epochs[i]+uint64(i%2), []quota.Reservation{record("a", "", 1, 50, 40)})
			if fenced := errors.Is(err, broker.ErrFenced); fenced != (i%2 == 1) || err != nil && !fenced {
				t.Errorf("shard %d: %v", i, err)
			}
		})
	}
	queued(store, shards)
	commits := release()
	all.Wait()
	if commits != 1 {
		t.Errorf("%d writes took %d commits", shards, commits)
	}
	for i := range shards {
		_, records, err := store.Own(t.Context(), shardNo(i), "o")
		if want := 1 - i%2; err != nil || len(records) != want {
			t.Errorf("shard %d has %d records, %v, want %d", i, len(records), err, want)
		}
	}
}

func shardNo(i int) broker.Shard { return broker.Shard{API: "api", App: fmt.Sprint(i)} }

// A write that cannot be made fails alone: what shares its commit is made.
func TestBadWriteFailsAlone(t *testing.T) {
	store := open(t, inTemp(t))
	epoch, _, err := store.Own(t.Context(), shardNo(1), "o")
	must(t, err)
	nowhere := record("a", "bad", 1, 1, 1)
	nowhere.Window = quota.Window{Kind: quota.Calendar, Unit: quota.Day, Zone: time.FixedZone("Nowhere/At-All", 3600)}
	release := store.Hold()
	var all sync.WaitGroup
	for i := range 9 {
		all.Go(func() {
			r := record("a", fmt.Sprint(i), 1, 50, 40)
			if i == 5 {
				r = nowhere
			}
			err := store.Reserve(t.Context(), shardNo(1), epoch, []quota.Reservation{record("a", fmt.Sprint("with", i), 1, 1, 1), r})
			if (err != nil) != (i == 5) {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	queued(store, 9)
	release()
	all.Wait()
	_, records, err := store.Own(t.Context(), shardNo(1), "o")
	if err != nil || len(records) != 16 {
		t.Errorf("%d records, %v, want the two of each of eight writes", len(records), err)
	}
}

// A call whose context ends while it waits returns, and is not made.
func TestContextEndsWhileWaiting(t *testing.T) {
	store := open(t, inTemp(t))
	epoch, _, err := store.Own(t.Context(), shardNo(1), "o")
	must(t, err)
	release := store.Hold()
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	all.Go(func() {
		if err := store.Reserve(ctx, shardNo(1), epoch, []quota.Reservation{record("a", "", 1, 1, 1)}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	queued(store, 1)
	cancel()
	release()
	all.Wait()
	if n := store.Records(); n != 0 {
		t.Errorf("%d records were written", n)
	}
}

// What was confirmed is there when the file is opened again, and epochs go on.
func TestReopened(t *testing.T) {
	path := inTemp(t)
	store := open(t, path)
	epoch, _, err := store.Own(t.Context(), shardNo(1), "o")
	must(t, err)
	want := record("a", "u", 1, 50, 40)
	must(t, store.Reserve(t.Context(), shardNo(1), epoch, []quota.Reservation{want}))
	must(t, store.Close())
	if err := store.Reserve(t.Context(), shardNo(1), epoch, nil); err == nil {
		t.Error("a store that is closed wrote")
	}

	store = open(t, path)
	again, records, err := store.Own(t.Context(), shardNo(1), "o")
	if err != nil || again != epoch+1 || !slices.Equal(records, []quota.Reservation{want}) {
		t.Errorf("epoch %d, records %+v, %v", again, records, err)
	}
	if err := store.Reserve(t.Context(), shardNo(1), epoch, nil); !errors.Is(err, broker.ErrFenced) {
		t.Errorf("under the epoch of before: %v", err)
	}
}

// The file grows with what is in use: of each bucket two windows are kept, and
// those of users who are gone are forgotten a day after their end.
func TestForgets(t *testing.T) {
	const day, users, days = int64(24 * 3600 * 1e9), 300, 20
	store := open(t, inTemp(t))
	epoch, _, err := store.Own(t.Context(), shardNo(1), "o")
	must(t, err)
	for d := range int64(days) {
		records := []quota.Reservation{record("a", "always here", d*day, 1, 1)}
		for u := range users {
			r := record("a", fmt.Sprint(d, u), d*day, 1, 0)
			r.Hi = (d + 1) * day
			records = append(records, r)
		}
		must(t, store.Reserve(t.Context(), shardNo(1), epoch, records))
	}
	if n := store.Records(); n > 6*users {
		t.Errorf("%d records are left of %d users a day", n, users)
	}
	_, records, err := store.Own(t.Context(), shardNo(1), "o")
	must(t, err)
	newest, here := 0, 0
	for _, r := range records {
		switch {
		case r.Key.User == "always here":
			here++
		case r.Began == (days-1)*day:
			newest++
		}
	}
	if newest != users || here != 2 {
		t.Errorf("%d of %d newest windows are left, and %d of a bucket that is still in use", newest, users, here)
	}
}
