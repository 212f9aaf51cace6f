package broker_test

import (
	"fmt"
	"testing"

	"github.com/quotabroker/quotabroker/server/broker"
)

// Listing the fullest of so many buckets.
func BenchmarkList(b *testing.B) {
	for _, users := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			one := crowd(b, users)
			b.ReportAllocs()
			for b.Loop() {
				if l := one.list(broker.ListRequest{Order: broker.ByUsed}); l.Matched < int64(users) {
					b.Fatalf("%d matched", l.Matched)
				}
			}
		})
	}
}
