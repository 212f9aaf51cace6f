package quota

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// benchLimits is one limit, or three that count a call together, of a size that a
// benchmark does not exhaust.
func benchLimits(buckets int) []Limit {
	limits := []Limit{
		{Name: "app"},
		{Name: "user", Per: Parts{User: true}},
		{Name: "endpoint", Per: Parts{User: true, Endpoint: true}},
	}[:buckets]
	for i := range limits {
		limits[i].Quota, limits[i].Provenance = MaxQuota, Configured
		limits[i].Window = Window{Kind: Calendar, Unit: Day}
	}
	return limits
}

// grant takes with a store that confirms at once.
func grant(b *testing.B, l *Ledger, now time.Time, s Scope) *Permit {
	for range 8 {
		d := l.Take(now, Request{Scope: s})
		switch {
		case d.Allowed():
			return d.Permit
		case d.Reason != Reserving:
			b.Fatalf("denied: %v by %s", d.Reason, d.Bucket.Name())
		}
		l.Reserved(now, l.Wanted(now))
	}
	b.Fatal("the store confirms, and that is not enough")
	return nil
}

// One call: granted, answered and settled, with everything that a broker does.
func BenchmarkTakeSettle(b *testing.B) {
	for _, buckets := range []int{1, 3} {
		for name, a := range map[string]Answer{"silent": {}, "told": numbersReset(0, 1<<40, 11*time.Hour)} {
			b.Run(fmt.Sprintf("buckets=%d/%s", buckets, name), func(b *testing.B) {
				l := NewLedger(&Rules{API: "api", Limits: benchLimits(buckets)}, 1)
				now := epoch
				b.ReportAllocs()
				for b.Loop() {
					now = now.Add(time.Microsecond)
					l.Advance(now)
					l.Settle(now, grant(b, l, now, call), a)
					l.Changed()
				}
			})
		}
	}
}

const manyUsers = 100_000

func benchScopes() []Scope {
	scopes := make([]Scope, manyUsers)
	for i := range scopes {
		scopes[i] = userScope(fmt.Sprintf("user-%06d", i))
	}
	return scopes
}

// One call of one of very many users, who take turns.
func BenchmarkManyUsers(b *testing.B) {
	l := NewLedger(&Rules{API: "api", Limits: benchLimits(2)}, 1)
	scopes := benchScopes()
	for _, s := range scopes {
		l.Settle(epoch, grant(b, l, epoch, s), Answer{})
	}
	l.Changed()
	now, i := epoch, 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		l.Advance(now)
		l.Settle(now, grant(b, l, now, scopes[i%manyUsers]), Answer{})
		l.Changed()
		i++
	}
}

// What a bucket takes of memory, with all that the ledger keeps for it.
func BenchmarkBucketBytes(b *testing.B) {
	scopes := benchScopes()
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		l := NewLedger(&Rules{API: "api", Limits: benchLimits(2)[1:]}, 1)
		for _, s := range scopes {
			l.Settle(epoch, grant(b, l, epoch, s), Answer{})
		}
		l.Changed()
		l.Advance(epoch.Add(time.Minute)) // forgets the permits
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(l)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/manyUsers, "B/bucket")
	}
}

// A call that is denied, as a fleet that stampedes makes it.
func BenchmarkDenied(b *testing.B) {
	l := NewLedger(&Rules{API: "api", Limits: []Limit{daily(1)}}, 1)
	grant(b, l, epoch, call)
	b.ReportAllocs()
	for b.Loop() {
		if l.Take(epoch, Request{Scope: call}).Allowed() {
			b.Fatal("allowed")
		}
	}
}
