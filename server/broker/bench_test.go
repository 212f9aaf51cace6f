package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// A call of an application with two limits, acquired and reported, one after the
// other and from many callers at once: what the broker adds to a call that need
// not wait.
func BenchmarkAcquireReport(b *testing.B) {
	for _, users := range []int{1, 10_000} {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			one, ids := forBench(b, users)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				acquireReport(b, one, ids[i%users])
			}
		})
	}
	b.Run("parallel", func(b *testing.B) {
		one, ids := forBench(b, 1)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				acquireReport(b, one, ids[0])
			}
		})
	})
}

func forBench(b *testing.B, users int) (*bench, []string) {
	one := open(b, broker.Config{}, every("app", perApp, quota.MaxQuota, time.Hour), every("user", perUser, quota.MaxQuota, time.Hour))
	ids := make([]string, users)
	for i := range ids {
		ids[i] = fmt.Sprint("u", i)
		one.report(one.granted(ask(ids[i])), response(200))
	}
	return one, ids
}

func acquireReport(b *testing.B, one *bench, user string) {
	a, err := one.Acquire(b.Context(), ask(user))
	if err != nil || a.Denied != nil {
		b.Error(a.Denied, err)
		return
	}
	r := broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: response(200)}
	if _, err := one.Report(b.Context(), r); err != nil {
		b.Error(err)
	}
}

// Quota that returns while ten thousand wait: each release lets the first one go,
// whose permit the next release gives back.
func BenchmarkReleaseToWaiter(b *testing.B) {
	const waiters = 10_000
	one := open(b, broker.Config{}, every("app", perApp, 1, 24*time.Hour))
	held := one.granted(ask("u1"))
	granted := make(chan broker.Acquired)
	wait := func() {
		if a, err := one.Acquire(b.Context(), patient("u1", time.Minute)); err == nil && a.Denied == nil {
			granted <- a
		}
	}
	for range waiters {
		go wait()
	}
	b.ReportAllocs()
	for b.Loop() {
		go wait()
		one.release(held)
		held = <-granted
	}
	b.StopTimer()
	one.Drain()
}
