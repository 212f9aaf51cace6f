package memory_test

import (
	"testing"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
	"github.com/quotabroker/quotabroker/server/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) broker.Store { return memory.New() })
}

// A day after their end the windows of users who are gone are forgotten, so that
// the store grows with what is in use and not with what ever was.
func TestForgetsEndedWindows(t *testing.T) {
	const day, users = int64(24 * 3600 * 1e9), 500
	store := memory.New()
	id := broker.Shard{API: "linkedin", App: "app1"}
	epoch, _, err := store.Own(t.Context(), id, "owner")
	if err != nil {
		t.Fatal(err)
	}
	for d := range int64(100) {
		var records []quota.Reservation
		for u := range int64(users) {
			key := quota.Scope{API: "linkedin", App: "app1", User: string(rune('A' + d*users + u))}
			records = append(records, quota.Reservation{Limit: "member-day", Key: key, Began: d * day, Hi: (d + 1) * day, Reserved: 1})
		}
		if err := store.Reserve(t.Context(), id, epoch, records); err != nil {
			t.Fatal(err)
		}
	}
	_, records, err := store.Own(t.Context(), id, "owner")
	if err != nil {
		t.Fatal(err)
	}
	newest := 0
	for _, r := range records {
		if r.Began == 99*day {
			newest++
		}
	}
	if newest != users {
		t.Errorf("%d of the newest windows are left, want all %d", newest, users)
	}
	if len(records) > 5*users {
		t.Errorf("%d records are left of 100 days of %d users each", len(records), users)
	}
}
