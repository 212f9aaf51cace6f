package storetest

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Run runs every behaviour on a store of its own that open makes. Each store
// must be empty, and closed by t.Cleanup where it needs to be.
func Run(t *testing.T, open func(t *testing.T) broker.Store) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { b.check(t, open(t)) })
	}
}

type behaviour struct {
	name  string
	check func(t testing.TB, s broker.Store)
}

var behaviours = [...]behaviour{ //nolint:gochecknoglobals // a table that nobody writes
	{"EpochsGrow", EpochsGrow},
	{"OwnReturnsRecords", OwnReturnsRecords},
	{"StaleEpochIsFenced", StaleEpochIsFenced},
	{"UnownedShardIsFenced", UnownedShardIsFenced},
	{"MergesByTheGreater", MergesByTheGreater},
	{"RetriesAreHarmless", RetriesAreHarmless},
	{"LateWritesAreHarmless", LateWritesAreHarmless},
	{"FinalGivesBack", FinalGivesBack},
	{"LearnedIsKept", LearnedIsKept},
	{"CostsAreKept", CostsAreKept},
	{"BackOffIsKept", BackOffIsKept},
	{"NewestWindowsAreKept", NewestWindowsAreKept},
	{"OneNewestOwner", OneNewestOwner},
	{"ConcurrentWritesMerge", ConcurrentWritesMerge},
	{"RecordsAreCopies", RecordsAreCopies},
	{"ShardsAreApart", ShardsAreApart},
	{"BucketsAreApart", BucketsAreApart},
	{"ManyRecords", ManyRecords},
	{"EndedContext", EndedContext},
}

// shard is the one that behaviours use that need no more.
var shard = broker.Shard{API: "linkedin", App: "app1"} //nolint:gochecknoglobals // nobody writes it

// record is a record of a bucket's window that began at an instant.
func record(limit, user string, began, reserved, settled int64) quota.Reservation {
	return quota.Reservation{
		Limit: limit, Key: quota.Scope{API: "linkedin", App: "app1", User: user},
		Began: began, Lo: began + 100, Hi: began + 102, Quota: 500, Reserved: reserved, Settled: settled,
	}
}

// own owns a shard, and fails the test when it cannot.
func own(t testing.TB, s broker.Store, id broker.Shard) (uint64, []quota.Reservation) {
	t.Helper()
	epoch, records, err := s.Own(t.Context(), id, "owner")
	if err != nil {
		t.Fatalf("Own(%v): %v", id, err)
	}
	return epoch, records
}

// reserve writes records, and fails the test when it cannot.
func reserve(t testing.TB, s broker.Store, id broker.Shard, epoch uint64, records ...quota.Reservation) {
	t.Helper()
	if err := s.Reserve(t.Context(), id, epoch, records); err != nil {
		t.Fatalf("Reserve(%v, epoch %d): %v", id, epoch, err)
	}
}

// holds fails the test unless the shard holds these records and no others.
func holds(t testing.TB, s broker.Store, id broker.Shard, want ...quota.Reservation) {
	t.Helper()
	_, got := own(t, s, id)
	sortRecords(got)
	sortRecords(want)
	if !slices.EqualFunc(got, want, same) {
		t.Fatalf("shard %v holds\n  %+v, want\n  %+v", id, got, want)
	}
}

// same compares time zones by their names: an engine may load them anew.
func same(a, b quota.Reservation) bool {
	if (a.Window.Zone == nil) != (b.Window.Zone == nil) || a.Window.Zone.String() != b.Window.Zone.String() {
		return false
	}
	a.Window.Zone, b.Window.Zone = nil, nil
	return a == b
}

func sortRecords(list []quota.Reservation) {
	slices.SortFunc(list, func(a, b quota.Reservation) int {
		return cmp.Or(cmp.Compare(a.Limit, b.Limit), cmp.Compare(a.Key.String(), b.Key.String()), cmp.Compare(a.Began, b.Began))
	})
}

// ended is a context that has ended.
func ended(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
