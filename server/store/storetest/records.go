package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// MergesByTheGreater checks that of a bucket's window, Reserved and Settled are each the
// greater of what is stored and what is written, and neither ever falls.
func MergesByTheGreater(t testing.TB, s broker.Store) {
	epoch, _ := own(t, s, shard)
	reserve(t, s, shard, epoch, record("app-day", "", 1_000, 60, 40))
	reserve(t, s, shard, epoch, record("app-day", "", 1_000, 80, 30))
	reserve(t, s, shard, epoch, record("app-day", "", 1_000, 70, 50))
	_, records := own(t, s, shard)
	if len(records) != 1 || records[0].Reserved != 80 || records[0].Settled != 50 {
		t.Fatalf("shard holds %+v, want one record with 80 reserved and 50 settled", records)
	}
}

// RetriesAreHarmless checks that the same record again, in the same write or in another,
// by this owner or the next, changes nothing; nor does a write of nothing.
func RetriesAreHarmless(t testing.TB, s broker.Store) {
	r := record("app-day", "", 1_000, 60, 40)
	for range 3 {
		epoch, _ := own(t, s, shard)
		reserve(t, s, shard, epoch, r, r)
		reserve(t, s, shard, epoch, r)
		reserve(t, s, shard, epoch)
	}
	holds(t, s, shard, r)
}

// LateWritesAreHarmless checks that the rest of a record is as it was last written, but a
// record that comes late, with smaller numbers, does not put it back.
func LateWritesAreHarmless(t testing.TB, s broker.Store) {
	epoch, _ := own(t, s, shard)
	early, later := record("app-day", "", 1_000, 60, 40), record("app-day", "", 1_000, 80, 60)
	later.Lo, later.Hi, later.Quota = 1_200, 1_250, 400
	reserve(t, s, shard, epoch, early)
	reserve(t, s, shard, epoch, later)
	reserve(t, s, shard, epoch, early)
	holds(t, s, shard, later)
}

// FinalGivesBack checks that the last word of an owner that stops lowers what is reserved,
// never below what is settled. What comes after it counts as ever.
func FinalGivesBack(t testing.TB, s broker.Store) {
	epoch, _ := own(t, s, shard)
	last := record("app-day", "", 1_000, 62, 61)
	last.Final = true
	reserve(t, s, shard, epoch, record("app-day", "", 1_000, 80, 40))
	reserve(t, s, shard, epoch, last)
	reserve(t, s, shard, epoch, last)
	holds(t, s, shard, last)

	epoch, _ = own(t, s, shard)
	next := record("app-day", "", 1_000, 70, 61)
	reserve(t, s, shard, epoch, next)
	holds(t, s, shard, next)

	epoch, _ = own(t, s, shard)
	last.Reserved, last.Settled = 50, 61
	reserve(t, s, shard, epoch, last)
	last.Reserved = 61
	holds(t, s, shard, last)
}

// LearnedIsKept checks that what was learned of a bucket is recorded: the
// quota, who told it and how sure that is, what a told limit counts, its window
// with its time zone, and the one that was found. A later write says what holds by
// then, also that nothing does.
func LearnedIsKept(t testing.TB, s broker.Store) {
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatalf("no time zones: %v", err)
	}
	labelled, err := quota.NewParts("app", "user", "tenant", "region")
	if err != nil {
		t.Fatalf("parts: %v", err)
	}
	day := record("told-day", "", 1_000, 60, 40)
	day.Provenance, day.Unit = quota.Told, "tokens"
	day.Window = quota.Window{Kind: quota.Calendar, Unit: quota.Day, Zone: vienna}
	utc := record("told-utc", "", 1_000, 60, 40)
	utc.Provenance, utc.Window = quota.Told, quota.Window{Kind: quota.Calendar, Unit: quota.Month, Zone: time.UTC}
	fixed := record("told-fixed", "u1", 1_000, 7, 7)
	fixed.Provenance, fixed.Per = quota.Told, labelled
	fixed.Window = quota.Window{Kind: quota.Fixed, Period: 90 * time.Second, Aligned: true}
	learned := record("learned", "u1", 1_000, 7, 7)
	learned.Provenance, learned.Window = quota.Learned, quota.Window{Kind: quota.Sliding, Period: time.Nanosecond}
	learned.Lesson = quota.Lesson{Confirmed: 3, ConfirmedAt: 900, Full: 5, Watched: true, Counted: 6}
	leaky := record("told-leaky", "", 1_000, 7, 7)
	leaky.Found = quota.Window{Kind: quota.Sliding, Period: time.Minute, Aligned: true, FirstUse: true, Burst: 7}
	leaky.Provenance, leaky.Window = quota.Told, quota.Window{Kind: quota.Refill, Period: time.Second, Burst: 40}
	firstUse, counter := record("told-first-use", "", 1_000, 7, 7), record("told-counter", "", 1_000, 7, 7)
	firstUse.Provenance, firstUse.Window = quota.Told, quota.Window{Kind: quota.Fixed, Period: time.Minute, FirstUse: true}
	counter.Provenance, counter.Window = quota.Told, quota.Window{Kind: quota.Sliding, Period: time.Minute, Counter: true}

	epoch, _ := own(t, s, shard)
	reserve(t, s, shard, epoch, day, utc, fixed, learned, leaky, firstUse, counter)
	holds(t, s, shard, day, utc, fixed, learned, leaky, firstUse, counter)

	epoch, _ = own(t, s, shard)
	day.Quota, day.Provenance, day.Unit, day.Window = 900, quota.Configured, "", quota.Window{}
	learned.Lesson.Full, learned.Lesson.Watched = 0, false
	reserve(t, s, shard, epoch, day, learned)
	holds(t, s, shard, day, utc, fixed, learned, leaky, firstUse, counter)
}

// CostsAreKept checks that what calls were learned to take is recorded, apart from the
// buckets of the limit; that a later record of it is another; and that it may be nothing.
func CostsAreKept(t testing.TB, s broker.Store) {
	bucket := record("app-day", "", 1_000, 60, 40)
	costs := quota.Reservation{
		Limit: "costs\x1fapp-day", Key: bucket.Key, Began: 1_000, Hi: 1_000, Provenance: quota.Learned, Unit: quota.Requests,
		Cost: quota.CostLesson{Requests: 5, Answers: 9, Needed: 4, Most: 3, Share: 70, Fell: 6, Calls: 7},
	}
	other, later := costs, costs
	other.Key.Endpoint, other.Cost = "GET /v2/me", quota.CostLesson{Requests: 1 << 40}
	later.Began, later.Hi, later.Cost = 2_000, 2_000, quota.CostLesson{}
	epoch, _ := own(t, s, shard)
	reserve(t, s, shard, epoch, bucket, costs, other)
	holds(t, s, shard, bucket, costs, other)

	epoch, _ = own(t, s, shard)
	reserve(t, s, shard, epoch, later)
	holds(t, s, shard, bucket, costs, other, later)
}

// BackOffIsKept checks that a cool-down is recorded, and the rate of calls that were refused
// without a word; and that neither goes on once it is written as over.
func BackOffIsKept(t testing.TB, s broker.Store) {
	gate := record("back-off", "u1", 1_000, 0, 0)
	gate.Quota, gate.CoolUntil, gate.CoolReason, gate.CoolTurns = 0, 2_000, "429 without a word: \"\xff\x00\"", true
	gate.Governor = quota.Governor{Ceiling: 1_500, Climb: time.Minute, RefusedAt: 1_900}
	epoch, _ := own(t, s, shard)
	reserve(t, s, shard, epoch, gate)
	holds(t, s, shard, gate)

	epoch, _ = own(t, s, shard)
	gate.CoolUntil, gate.CoolReason, gate.CoolTurns, gate.Governor = 0, "", false, quota.Governor{}
	reserve(t, s, shard, epoch, gate)
	holds(t, s, shard, gate)
}

// NewestWindowsAreKept checks that the newest two windows of a bucket are kept, in whatever
// order they were written.
func NewestWindowsAreKept(t testing.TB, s broker.Store) {
	epoch, _ := own(t, s, shard)
	for _, began := range []int64{3_000, 1_000, 5_000, 2_000, 4_000} {
		reserve(t, s, shard, epoch, record("app-day", "", began, began/100, 0), record("app-day", "other", began, 1, 1))
	}
	_, records := own(t, s, shard)
	for _, want := range []quota.Reservation{
		record("app-day", "", 5_000, 50, 0), record("app-day", "", 4_000, 40, 0),
		record("app-day", "other", 5_000, 1, 1), record("app-day", "other", 4_000, 1, 1),
	} {
		if !slices.Contains(records, want) {
			t.Errorf("%+v is not among %+v", want, records)
		}
	}
}

// ConcurrentWritesMerge checks that writes of one owner that race with each other all count.
func ConcurrentWritesMerge(t testing.TB, s broker.Store) {
	const writers, writes = 8, 25
	epoch, _ := own(t, s, shard)
	var all sync.WaitGroup
	for i := range int64(writers) {
		all.Go(func() {
			for n := range int64(writes) {
				err := s.Reserve(t.Context(), shard, epoch, []quota.Reservation{
					record("shared", "", 1_000, i*writes+n+1, n), record("own", fmt.Sprint(i), 1_000, n+1, n),
				})
				if err != nil {
					t.Errorf("Reserve: %v", err)
				}
			}
		})
	}
	all.Wait()
	want := []quota.Reservation{record("shared", "", 1_000, writers*writes, writes-1)}
	for i := range writers {
		want = append(want, record("own", fmt.Sprint(i), 1_000, writes, writes-1))
	}
	holds(t, s, shard, want...)
}

// RecordsAreCopies checks that what a caller does with the records that it wrote, or was
// given, changes nothing in the store.
func RecordsAreCopies(t testing.TB, s broker.Store) {
	epoch, _ := own(t, s, shard)
	want := record("app-day", "", 1_000, 60, 40)
	written := []quota.Reservation{want}
	if err := s.Reserve(t.Context(), shard, epoch, written); err != nil {
		t.Fatalf("Reserve: %v", err)
	}
	written[0].Reserved = 1
	_, given := own(t, s, shard)
	for i := range given {
		given[i].Reserved, given[i].Key.User = 1, "changed"
	}
	holds(t, s, shard, want)
}

// BucketsAreApart checks that buckets whose limits, keys or labels are alike, or would be
// alike when joined, are different buckets, whatever bytes their names have.
func BucketsAreApart(t testing.TB, s broker.Store) {
	epoch, _ := own(t, s, shard)
	var want []quota.Reservation
	n := int64(0)
	for _, limit := range []string{"day", "day ", "day/u", "day\x00", "dây", "d:a:y", "{day}", "day\xff", "day\nu"} {
		for _, key := range keys(t) {
			n++
			want = append(want, quota.Reservation{Limit: limit, Key: key, Began: 1_000, Quota: 500, Reserved: n, Settled: 1})
		}
	}
	for _, r := range want {
		reserve(t, s, shard, epoch, r)
	}
	holds(t, s, shard, want...)
}

// keys are scopes that are easily mistaken for each other.
func keys(t testing.TB) []quota.Scope {
	t.Helper()
	scopes := []quota.Scope{
		{}, {User: "u"}, {Endpoint: "u"}, {User: "u", Endpoint: "e"}, {User: "ue"}, {User: "u e"}, {User: "u\x00e"},
		{User: "u/e"}, {User: "u=e"}, {User: "U"}, {User: "ü"}, {User: "\""}, {User: "{u}"}, {Endpoint: "GET /v2/{id}"},
	}
	for _, labels := range []map[string]string{{"a": "b"}, {"a": "b", "c": "d"}, {"a": "bc", "d": "e"}, {"ab": "c"}} {
		l, err := quota.NewLabels(labels)
		if err != nil {
			t.Fatalf("labels %v: %v", labels, err)
		}
		scopes = append(scopes, quota.Scope{Labels: l})
	}
	for i := range scopes {
		scopes[i].API, scopes[i].App = shard.API, shard.App
	}
	return scopes
}

// ManyRecords checks that one write can hold the records of a thousand buckets, and numbers
// as great as there are.
func ManyRecords(t testing.TB, s broker.Store) {
	const buckets, greatest = 1_000, 1<<63 - 1
	epoch, _ := own(t, s, shard)
	var want []quota.Reservation
	for i := range buckets {
		r := record("member-day", fmt.Sprint(i), greatest-1_000, quota.MaxQuota, quota.MaxQuota)
		r.Lo, r.Hi, r.Quota = greatest-1, greatest, quota.MaxQuota
		want = append(want, r)
	}
	reserve(t, s, shard, epoch, want...)
	holds(t, s, shard, want...)
}
