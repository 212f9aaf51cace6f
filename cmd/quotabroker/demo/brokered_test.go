package demo

import (
	"net/http"
	"strings"
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

func TestBrokeredStopsAtAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker()
		t.Cleanup(b.Close)
		if err := asking(t, b, "500").call(t.Context(), job{}); err == nil || !strings.Contains(err.Error(), "500") {
			t.Errorf("got %v, want an error that says 500", err)
		}
	})
}
