package client

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bounds of the time between two tries.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
)

// pause is how long to wait after the given failed try (0 is the first): doubled
// each time, at least half of it, the rest at random so that a fleet that lost
// its broker does not come back as one; never less than what the broker said.
func pause(try int, told time.Duration) time.Duration {
	d := min(firstPause<<min(try, 16), lastPause)
	d = d/2 + rand.N(d/2+1) //nolint:gosec // it spreads load and keeps no secret
	return max(d, told)
}

// sleep waits for d, and reports whether it did: false when ctx ended first, or
// would.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// retry calls f until it succeeds, fails for another reason than that the broker
// is away, or has been tried often enough; and returns its last error.
func (c *Client) retry(ctx context.Context, f func(try int) error) error {
	for try := 0; ; try++ {
		err := f(try)
		if status.Code(err) != codes.Unavailable || try+1 >= c.set.attempts {
			return err
		}
		_, told := details(status.Convert(err))
		if !sleep(ctx, pause(try, told)) {
			return err
		}
	}
}
