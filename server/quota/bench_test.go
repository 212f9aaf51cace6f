package quota

import (
	"fmt"
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

// benchAnswers are those of an upstream that tells nothing, of the widest limit, of
// each of the three, and of one that may be any of them.
func benchAnswers() map[string]Answer {
	told := numbersReset(0, 0, 0)
	return map[string]Answer{
		"silent": {}, "told": told, "told each": each(told, "app", "user", "endpoint"), "told any": numbersReset(MaxQuota, 0, 0),
	}
}

// each is an answer that says the same of each of these limits.
func each(a Answer, limits ...string) Answer {
	said := a.Observations[0]
	a.Observations = nil
	for _, said.Limit = range limits {
		a.Observations = append(a.Observations, said)
	}
	return a
}

// grant takes with a store that confirms at once.
func grant(b testing.TB, l *Ledger, now time.Time, s Scope, into *Permit) *Permit {
	for range 8 {
		d := l.Take(now, Request{Scope: s, Into: into})
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

// calls makes one call after the other, with everything that a broker does. Their
// answers tell what nobody else takes of, until the next midnight.
func calls(b testing.TB, a Answer) func() {
	l := NewLedger(&Rules{API: "api", Limits: benchLimits(3)}, 1)
	now, midnight, left := epoch, 12*time.Hour, MaxQuota
	var room Permit
	r := Request{Scope: call, Into: &room}
	return func() {
		now = now.Add(time.Microsecond)
		midnight -= time.Microsecond
		left--
		for i := range a.Observations {
			a.Observations[i].Remaining, a.Observations[i].Reset.After = left, midnight
		}
		l.Advance(now)
		if !l.Take(now, r).Allowed() {
			grant(b, l, now, call, &room)
		}
		l.Settle(now, &room, a)
		l.Changed()
		if l.size != 3 {
			b.Fatalf("%d buckets, want the three that count the call", l.size)
		}
	}
}

// One call: granted, answered and settled.
func BenchmarkTakeSettle(b *testing.B) {
	for name, a := range benchAnswers() {
		b.Run(name, func(b *testing.B) {
			once := calls(b, a)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
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
		l.Settle(epoch, grant(b, l, epoch, s, nil), Answer{})
	}
	l.Changed()
	now, i, room := epoch, 0, Permit{}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		l.Advance(now)
		l.Settle(now, grant(b, l, now, scopes[i%manyUsers], &room), Answer{})
		l.Changed()
		i++
	}
}

// What each of a million buckets takes of memory, with all that the ledger keeps
// for it.
func BenchmarkBucketBytes(b *testing.B) {
	for _, f := range fleets() {
		b.Run(f.name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(f.bytes(b, 1_000_000), "B/bucket")
			}
		})
	}
}

// A call that is denied, as a fleet that stampedes makes it.
func BenchmarkDenied(b *testing.B) {
	l := NewLedger(&Rules{API: "api", Limits: []Limit{daily(1)}}, 1)
	grant(b, l, epoch, call, nil)
	b.ReportAllocs()
	for b.Loop() {
		if l.Take(epoch, Request{Scope: call}).Allowed() {
			b.Fatal("allowed")
		}
	}
}
