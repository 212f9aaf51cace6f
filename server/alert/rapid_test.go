package alert

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quotabroker/quotabroker/server/quota"
)

// anyStatus is a status of one of a few buckets, near the edges of the rules.
func anyStatus(t *rapid.T, now time.Time) quota.Status {
	st := quota.Status{
		Limit: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "limit"), Unit: quota.Requests,
		Key:       quota.Scope{API: "api", App: "app", User: rapid.SampledFrom([]string{"", "u1", "u2"}).Draw(t, "user")},
		Quota:     rapid.SampledFrom([]int64{quota.Unknown, 9, 100, 200, quota.MaxQuota}).Draw(t, "quota"),
		Remaining: quota.Unknown,
		State:     quota.State(rapid.IntRange(0, 3).Draw(t, "state")),
		Period:    rapid.SampledFrom([]time.Duration{0, 10 * time.Second, time.Hour, 24 * time.Hour}).Draw(t, "period"),
	}
	if st.Quota > 0 {
		st.Provenance = rapid.SampledFrom([]quota.Provenance{quota.Configured, quota.Told}).Draw(t, "provenance")
		st.Remaining = st.Quota / 100 * rapid.SampledFrom([]int64{0, 9, 11, 14, 16, 100}).Draw(t, "remaining")
		st.Used = st.Quota - st.Remaining
		st.Others = st.Quota / 100 * rapid.SampledFrom([]int64{0, 4, 6}).Draw(t, "others")
	}
	if rapid.Bool().Draw(t, "reset known") {
		st.ResetAt = now.Add(time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "reset")))
	}
	if st.State != quota.Open {
		st.CoolUntil = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "cool")))
	}
	return st
}

// talk checks what a receiver relies on: each alert begins once, then may grow,
// ends once, and nothing is said of it any more; of one subject there is one
// alert at a time; no two notices have one id; no two edges of a subject are
// closer than a minute, so nothing flaps.
type talk struct {
	t      *rapid.T
	ids    map[string]bool
	fires  map[string]string // alerts by subject
	ended  map[string]bool
	edges  map[string]time.Time
	counts map[string]int
}

func (k *talk) hear(now time.Time, notices []Notice) {
	for _, n := range notices {
		if k.ids[n.ID] {
			k.t.Fatalf("id %s twice", n.ID)
		}
		k.ids[n.ID] = true
		if k.ended[n.Alert] {
			k.t.Fatalf("%s after its end: %s", n.Alert, n.ID)
		}
		switch fires := k.fires[n.Subject]; n.Stage {
		case Firing:
			if fires != "" {
				k.t.Fatalf("%s while %s fires", n.ID, fires)
			}
			k.fires[n.Subject], k.edges[n.Subject], k.counts[n.Alert] = n.Alert, now, n.Buckets
		case Grown:
			if fires != n.Alert || n.Buckets < 10*k.counts[n.Alert] {
				k.t.Fatalf("%s, while %q fires of %d", n.ID, fires, k.counts[n.Alert])
			}
			k.counts[n.Alert] = n.Buckets
		default:
			if fires != n.Alert || now.Sub(k.edges[n.Subject]) < settleFor {
				k.t.Fatalf("%s at %v, while %q fires since %v", n.ID, now, fires, k.edges[n.Subject])
			}
			delete(k.fires, n.Subject)
			k.ended[n.Alert] = true
		}
		if n.Summary == "" || n.Status.Key.User != "" || !n.At.Equal(now) {
			k.t.Fatalf("notice %+v", n)
		}
	}
}

func TestTalkIsOrderly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book, now := NewBook(Settings{Users: HideUsers}), day
		k := &talk{t, map[string]bool{}, map[string]string{}, map[string]bool{}, map[string]time.Time{}, map[string]int{}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 10 * time.Second, time.Minute, time.Hour}).Draw(t, "pass"))
			if rapid.Bool().Draw(t, "tick") {
				k.hear(now, book.Tick(now))
			}
			k.hear(now, book.See(now, anyStatus(t, now)))
		}
		// Left alone, everything ends, and nothing is kept for ever.
		for range 60 {
			now = now.Add(24 * time.Hour)
			k.hear(now, book.Tick(now))
		}
		if len(k.fires) > 0 || len(book.alerts) > 0 || len(book.buckets) > 0 {
			t.Fatal(fmt.Sprintf("still firing: %v; kept: %d alerts, %d buckets", k.fires, len(book.alerts), len(book.buckets)))
		}
	})
}
