package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// What an upstream refused without a word is left alone by the broker that comes
// after, and asked by one call at a time: whether the one before stopped or died.
func TestRestartBacksOff(t *testing.T) {
	for _, stops := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			store := memory.New()
			limit := every("app", perApp, 1000, time.Hour)
			b := open(t, broker.Config{Store: store}, limit)
			b.report(b.granted(ask("u1")), response(429, "retry-after", "10"))
			restart := func() {
				time.Sleep(time.Second) // for the store
				if stops {
					if err := b.Close(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				b = open(t, broker.Config{Store: store}, limit)
			}
			restart()
			b.denied("COOLING_DOWN", ask("u1"))
			b.report(b.granted(ask("u2")), response(200)) // the application's probe
			time.Sleep(11 * time.Second)
			restart()
			probe := b.granted(ask("u1"))
			b.denied("PROBING", ask("u1"))
			for range 5 { // it ramps
				b.report(probe, response(200))
				probe = b.granted(ask("u1"))
			}
			restart()
			b.take(10, ask("u1"))
		})
	}
}
