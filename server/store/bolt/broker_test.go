package bolt_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/bolt"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// brokerOn is a broker with a daily limit of an application, closed with the test.
func brokerOn(t testing.TB, store broker.Store, limit int64) *broker.Broker {
	t.Helper()
	auto, _ := dialect.Builtin("auto")
	day := quota.Limit{Name: "day", Quota: limit, Provenance: quota.Configured, Window: quota.Window{Kind: quota.Calendar, Unit: quota.Day}}
	b, err := broker.New(broker.Config{
		Store: store,
		APIs:  map[string]broker.API{"api": {Rules: &quota.Rules{API: "api", Limits: []quota.Limit{day}}, Dialect: auto}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close(t.Context()) })
	return b
}

func ask(app string) broker.AcquireRequest {
	return broker.AcquireRequest{Scope: quota.Scope{API: "api", App: app}, Caller: "svc"}
}

// grants is how many calls are granted at once, and answered, until one is denied.
func grants(t *testing.T, b *broker.Broker, most int) int {
	t.Helper()
	for n := range most {
		a, err := b.Acquire(t.Context(), ask("app"))
		must(t, err)
		if a.Denied != nil {
			return n
		}
		_, err = b.Report(t.Context(), broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: dialect.Response{Status: 200}})
		must(t, err)
	}
	return most
}

// A broker that is started again on the same file on the same day goes on where
// it was; on the next day it begins anew.
func TestRestartKeepsTheDay(t *testing.T) {
	path := inTemp(t)
	synctest.Test(t, func(t *testing.T) {
		const limit = 100
		spent := 0
		for _, n := range []int{30, 50, limit} {
			store := open(t, path)
			b := brokerOn(t, store, limit)
			got := grants(t, b, n)
			if want := min(n, limit-spent); got != want {
				t.Errorf("%d were granted after %d of %d, want %d", got, spent, limit, want)
			}
			spent += got
			must(t, b.Close(t.Context()))
			must(t, store.Close())
			time.Sleep(time.Minute)
		}
		time.Sleep(24 * time.Hour)
		store := open(t, path)
		b := brokerOn(t, store, limit)
		if got := grants(t, b, 2*limit); got != limit {
			t.Errorf("%d were granted the next day of %d", got, limit)
		}
		must(t, b.Close(t.Context()))
		must(t, store.Close())
	})
}

// What calls were learned to cost is in the file, whether the broker was stopped or died.
func TestRestartKeepsLearnedCosts(t *testing.T) {
	for _, stops := range []bool{true, false} {
		path := inTemp(t)
		synctest.Test(t, func(t *testing.T) {
			const limit, weight = 1000, 5
			store := open(t, path)
			b := brokerOn(t, store, limit)
			for i := range 12 {
				a, err := b.Acquire(t.Context(), ask("app"))
				must(t, err)
				told := []dialect.Field{{Name: "x-ratelimit-limit", Value: fmt.Sprint(limit)}, {Name: "x-ratelimit-remaining", Value: fmt.Sprint(limit - weight*(i+1))}}
				_, err = b.Report(t.Context(), broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: dialect.Response{Status: 200, Headers: told}})
				must(t, err)
				time.Sleep(time.Second)
			}
			before := learned(t, b)
			if stops {
				must(t, b.Close(t.Context()))
			}
			must(t, store.Close())
			store = open(t, path)
			b = brokerOn(t, store, limit)
			grants(t, b, 1)
			if after := learned(t, b); len(before) != 1 || len(after) != 1 || before[0].Cost != weight || after[0].Cost != weight {
				t.Errorf("stops %v: learned %+v, and after the restart %+v", stops, before, after)
			}
			must(t, b.Close(t.Context()))
			must(t, store.Close())
		})
	}
}

// learned is what calls were learned to cost.
func learned(t *testing.T, b *broker.Broker) []quota.LearnedCost {
	t.Helper()
	e, err := b.Explain(t.Context(), broker.ExplainRequest{Scope: ask("app").Scope})
	must(t, err)
	return e.Buckets[0].Costs
}

// BenchmarkReserve is one write after the other, and many at once, which share
// commits: what a commit costs is what the disk takes to make it durable.
func BenchmarkReserve(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			store := open(b, inTemp(b))
			var next atomic.Int64
			b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
			b.RunParallel(func(pb *testing.PB) {
				i := next.Add(1)
				id := shardNo(int(i))
				epoch, _, err := store.Own(b.Context(), id, "o")
				for n := i; err == nil && pb.Next(); n++ {
					err = store.Reserve(b.Context(), id, epoch, []quota.Reservation{record("a", "", 1, n, n)})
				}
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkBroker is a call, acquired and reported, by a broker with either
// engine: reservations are written off its path.
func BenchmarkBroker(b *testing.B) {
	for name, engine := range map[string]func() broker.Store{
		"memory": func() broker.Store { return memory.New() },
		"bolt":   func() broker.Store { return open(b, inTemp(b)) },
	} {
		b.Run(name, func(b *testing.B) {
			one := brokerOn(b, engine(), 1_000_000_000)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a, err := one.Acquire(b.Context(), ask("app"))
					if err == nil && a.Denied == nil {
						_, err = one.Report(b.Context(), broker.ReportRequest{
							PermitID: a.Permit.ID, Caller: "svc", Response: dialect.Response{Status: 200},
						})
					}
					if err != nil || a.Denied != nil {
						b.Error(err, a.Denied)
						return
					}
				}
			})
		})
	}
}

// BenchmarkOpen is the start with a file of many records, all of which are read.
func BenchmarkOpen(b *testing.B) {
	const records = 100_000
	path := inTemp(b)
	store := open(b, path)
	epoch, _, err := store.Own(b.Context(), shardNo(1), "o")
	var list []quota.Reservation
	for i := range records {
		list = append(list, record("a", fmt.Sprint(i), 1, 1, 1))
	}
	if err == nil {
		err = store.Reserve(b.Context(), shardNo(1), epoch, list)
	}
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		if store, err = bolt.Open(path); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	_ = store.Close()
}
