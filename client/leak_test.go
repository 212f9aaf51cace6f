package client_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
)

// TestNothingIsLeftBehind works in real time, which a bubble's own check for what
// is left does not see: every way a permit can end, many at a time.
func TestNothingIsLeftBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := clienttest.NewBroker()
	c := client.New(b.Conn())
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p, err := c.Acquire(ctx, people)
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Drop()
			switch i % 4 {
			case 0:
				_, err = p.Done(ctx, client.Outcome{Status: 200})
			case 1:
				err = p.DoneAsync(client.Outcome{Status: 200})
			case 2:
				cancel()
				if _, err = p.Done(ctx, client.Outcome{Status: 200}); errors.Is(err, context.Canceled) {
					err = nil
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	b.Revoke(client.Scope{}, "while they are out")
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if left := b.Outstanding(); len(left) != 0 {
		t.Errorf("%d permits have not ended", len(left))
	}
	if r, d := len(b.Reports()), len(b.Releases()); r < 150 || r+d < 200 {
		t.Errorf("%d reports and %d releases", r, d)
	}
	b.Close()
}
