package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
)

// crowd is a broker of which so many users have each made a call.
func crowd(b testing.TB, users int) *bench {
	one := open(b, broker.Config{}, every("app", perApp, 1<<40, 24*time.Hour), every("user", perUser, 1000, 24*time.Hour))
	for i := range users {
		one.report(one.granted(ask(fmt.Sprint("u", i))), response(200))
	}
	return one
}

// Adding up what so many buckets hold.
func BenchmarkTotals(b *testing.B) {
	for _, users := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			one := crowd(b, users)
			b.ReportAllocs()
			for b.Loop() {
				one.Totals()
			}
		})
	}
}

// How long calls take while the totals of a crowd are added up all the time,
// beside how long they take while nobody asks. The slowest of each run shows what
// the walk holds up.
func BenchmarkAcquireBesideTotals(b *testing.B) {
	for _, asked := range []bool{false, true} {
		for _, users := range []int{100_000, 1_000_000} {
			b.Run(fmt.Sprint("asked=", asked, "/users=", users), func(b *testing.B) { besideTotals(b, users, asked) })
		}
	}
}

func besideTotals(b *testing.B, users int, asked bool) {
	one := crowd(b, users)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for asked {
			select {
			case <-stop:
				return
			default:
				one.Totals()
			}
		}
	}()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		acquireReport(b, one, fmt.Sprint("u", i%users))
		took = append(took, time.Since(began))
	}
	close(stop)
	<-stopped
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(took[len(took)*999/1000].Nanoseconds()), "p99.9-ns")
	b.ReportMetric(float64(took[len(took)-1].Nanoseconds()), "max-ns")
}
