package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// EpochsGrow checks that the first epoch of a shard is broker.FirstEpoch, each further one is
// greater than any before, whoever owns it, and an owner that owns again is no
// exception.
func EpochsGrow(t testing.TB, s broker.Store) {
	last := uint64(0)
	for i, owner := range []string{"a", "b", "b", "a"} {
		epoch, _, err := s.Own(t.Context(), shard, owner)
		if err != nil {
			t.Fatalf("Own by %s: %v", owner, err)
		}
		if i == 0 && epoch != broker.FirstEpoch {
			t.Fatalf("the first epoch is %d, want %d", epoch, broker.FirstEpoch)
		}
		if epoch <= last {
			t.Fatalf("epoch %d follows %d", epoch, last)
		}
		last = epoch
	}
}

// OwnReturnsRecords checks that a shard that is new has no records; a new owner is given all
// that earlier ones wrote, field by field.
func OwnReturnsRecords(t testing.TB, s broker.Store) {
	epoch, records := own(t, s, shard)
	if len(records) != 0 {
		t.Fatalf("a new shard has records: %+v", records)
	}
	a, b := record("app-day", "", 1_000, 60, 40), record("member-day", "u1", 2_000, 7, 7)
	a.Lo, a.Hi, a.Quota = 0, 0, 0
	reserve(t, s, shard, epoch, a)
	reserve(t, s, shard, epoch, b)
	holds(t, s, shard, a, b)
}

// StaleEpochIsFenced checks that once a shard has a newer owner, a write under an older
// epoch, or under one that never was, is broker.ErrFenced and changes nothing.
func StaleEpochIsFenced(t testing.TB, s broker.Store) {
	old, _ := own(t, s, shard)
	kept := record("app-day", "", 1_000, 60, 40)
	reserve(t, s, shard, old, kept)
	now, _ := own(t, s, shard)
	for _, epoch := range []uint64{0, old, now + 1} {
		err := s.Reserve(t.Context(), shard, epoch, []quota.Reservation{
			record("app-day", "", 1_000, 500, 500), record("app-day", "", 9_000, 1, 1), record("new", "", 1, 1, 1),
		})
		if !errors.Is(err, broker.ErrFenced) {
			t.Fatalf("Reserve under epoch %d while %d is the newest: %v, want ErrFenced", epoch, now, err)
		}
	}
	if err := s.Reserve(t.Context(), shard, old, nil); !errors.Is(err, broker.ErrFenced) {
		t.Fatalf("Reserve of nothing under a stale epoch: %v, want ErrFenced", err)
	}
	holds(t, s, shard, kept)
}

// UnownedShardIsFenced checks that nobody writes to a shard that nobody has owned.
func UnownedShardIsFenced(t testing.TB, s broker.Store) {
	for _, epoch := range []uint64{0, broker.FirstEpoch} {
		err := s.Reserve(t.Context(), shard, epoch, []quota.Reservation{record("app-day", "", 1, 1, 1)})
		if !errors.Is(err, broker.ErrFenced) {
			t.Fatalf("Reserve under epoch %d of a shard that nobody owns: %v, want ErrFenced", epoch, err)
		}
	}
	if epoch, records := own(t, s, shard); epoch != broker.FirstEpoch || len(records) != 0 {
		t.Fatalf("the first owner then has epoch %d and records %+v", epoch, records)
	}
}

// OneNewestOwner checks that owners that race get epochs of their own. Each is given
// everything that an older owner's successful writes reserved, so that none of
// them succeeds behind its back; and the newest owner's writes all succeed.
func OneNewestOwner(t testing.TB, s broker.Store) {
	const owners = 8
	results := make([]ownerResult, owners)
	var all sync.WaitGroup
	for i := range owners {
		all.Go(func() { results[i] = ownAndWrite(t, s, fmt.Sprint(i)) })
	}
	all.Wait()
	slices.SortFunc(results, func(a, b ownerResult) int { return cmp.Compare(a.epoch, b.epoch) })
	for i, newer := range results {
		if i > 0 && newer.epoch == results[i-1].epoch {
			t.Fatalf("epoch %d was given twice", newer.epoch)
		}
		for _, older := range results[:i] {
			if given := newer.given[older.user]; given < older.reserved {
				t.Errorf("epoch %d reserved %d units, and epoch %d was told of %d", older.epoch, older.reserved, newer.epoch, given)
			}
		}
	}
	if newest := results[owners-1]; newest.fenced {
		t.Errorf("the newest owner, epoch %d, was fenced", newest.epoch)
	}
}

// ownerResult is what one of several owners saw: what each user's bucket had
// reserved when it became the owner, and what it then reserved of its own.
type ownerResult struct {
	user     string
	epoch    uint64
	given    map[string]int64
	reserved int64
	fenced   bool
}

// ownAndWrite owns the shard and reserves one unit after the other until it is
// fenced, or has done so for a while.
func ownAndWrite(t testing.TB, s broker.Store, user string) ownerResult {
	const writes = 20
	res := ownerResult{user: user, given: map[string]int64{}}
	epoch, records, err := s.Own(t.Context(), shard, user)
	if err != nil {
		t.Errorf("Own: %v", err)
		return res
	}
	res.epoch = epoch
	for _, r := range records {
		res.given[r.Key.User] = r.Reserved
	}
	for n := int64(1); n <= writes; n++ {
		err := s.Reserve(t.Context(), shard, epoch, []quota.Reservation{record("member-day", user, 1_000, n, 0)})
		if errors.Is(err, broker.ErrFenced) {
			res.fenced = true
			return res
		}
		if err != nil {
			t.Errorf("Reserve: %v", err)
			return res
		}
		res.reserved = n
	}
	return res
}

// ShardsAreApart checks that shards whose names are alike, or would be alike when joined,
// share neither epochs nor records.
func ShardsAreApart(t testing.TB, s broker.Store) {
	ids := []broker.Shard{
		{API: "a", App: "b"}, {API: "a", App: ""}, {API: "a/b", App: ""}, {API: "a", App: "/b"}, {API: "a/", App: "b"},
		{API: "a:b", App: ""}, {API: "a", App: "b:"}, {API: "A", App: "b"}, {API: "a\x00b", App: ""}, {API: "a", App: "\x00b"},
		{API: "a{b}", App: ""}, {API: "a", App: "{b}"}, {API: "a ", App: "b"}, {API: "a", App: " b"}, {API: "ä", App: "b"},
		{API: "a\xff", App: "b"}, {API: "a\xfe", App: "b"}, {API: "a\n", App: "b"},
	}
	for i, id := range ids {
		epoch, records := own(t, s, id)
		if epoch != broker.FirstEpoch || len(records) != 0 {
			t.Fatalf("shard %q is new, and has epoch %d and records %+v", id, epoch, records)
		}
		reserve(t, s, id, epoch, record("app-day", "", 1_000, int64(i+1), 0))
	}
	for i, id := range ids {
		holds(t, s, id, record("app-day", "", 1_000, int64(i+1), 0))
	}
}

// EndedContext checks that a call whose context has ended returns the context's error; a
// write may or may not have happened, and an ownership that was not told of
// hurts nobody.
func EndedContext(t testing.TB, s broker.Store) {
	epoch, _ := own(t, s, shard)
	kept := record("app-day", "", 1_000, 60, 40)
	reserve(t, s, shard, epoch, kept)
	if err := s.Reserve(ended(t), shard, epoch, []quota.Reservation{kept}); !errors.Is(err, ended(t).Err()) {
		t.Fatalf("Reserve with an ended context: %v", err)
	}
	if _, _, err := s.Own(ended(t), shard, "other"); !errors.Is(err, ended(t).Err()) {
		t.Fatalf("Own with an ended context: %v", err)
	}
	if again, _ := own(t, s, shard); again <= epoch {
		t.Fatalf("epoch %d follows %d", again, epoch)
	}
	holds(t, s, shard, kept)
}
