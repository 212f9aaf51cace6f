package demo

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	"github.com/quotabroker/quotabroker/client/quotahttp"
)

// asking is a service that asks a scripted broker, at an API that gives these
// answers.
func asking(t *testing.T, b *clienttest.Broker, list ...string) *brokered {
	t.Helper()
	api := answers(t, list...)
	permits := client.New(b.Conn())
	t.Cleanup(func() { _ = permits.Close() }) // always nil
	return &brokered{
		http: &http.Client{Transport: quotahttp.New(permits, "linkedin", quotahttp.WithBase(api.http.Transport))},
		url:  api.url,
	}
}

// TestDeniedAsksAgain checks that a service which the broker refuses asks again
// when it is told to, and sends nothing meanwhile.
func TestDeniedAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker()
		t.Cleanup(b.Close)
		b.Deny(client.Scope{API: "linkedin"}, clienttest.Denial{RetryAfter: 3 * time.Second})
		time.AfterFunc(5*time.Second, b.Grant)
		began := time.Now()
		if err := asking(t, b, "200").call(t.Context(), job{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 6*time.Second || len(b.Acquires()) != 3 {
			t.Errorf("got it after %v and %d requests, want 6 s and 3", took, len(b.Acquires()))
		}
	})
}

// TestTextOf429 lets others spend the quota of an API that tells nothing. The text
// of the one 429 names the bucket that the broker has configured, which then
// stays closed until its window ends.
func TestTextOf429(t *testing.T) {
	bubble(t, func(t *testing.T) {
		plan := DefaultPlan()
		plan.Headers = None
		start := time.Now() // a multiple of the window
		c, err := newBrokered(t.Context(), &memory{}, plan, start)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		spend(c.api)
		var calls sync.WaitGroup
		for i, s := range c.services[:3] {
			calls.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				if err := s.call(t.Context(), job{id: i, user: fmt.Sprint("member-", i)}); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if took := time.Since(start); c.api.refused() != 1 || took < plan.Window || took > plan.Window+time.Second {
			t.Errorf("all served after %v and %d refusals, want soon after %v and 1", took, c.api.refused(), plan.Window)
		}
	})
}

// spend uses the application's quota of this window up, for members of others.
func spend(a *api) {
	for i := range a.plan.AppQuota {
		a.count(fmt.Sprint("other-", i))
	}
}

func TestBrokeredStopsAtAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker()
		t.Cleanup(b.Close)
		if err := asking(t, b, "500").call(t.Context(), job{}); err == nil || !strings.Contains(err.Error(), "500") {
			t.Errorf("got %v, want an error that says 500", err)
		}
	})
}
