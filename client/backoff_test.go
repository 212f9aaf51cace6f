package client

import (
	"testing"
	"time"
)

// TestPeerBug19: those that failed at the same time do not all come back at the
// same time, and none comes back sooner than it was told to.
func TestPeerBug19(t *testing.T) {
	for try, most := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 200 * time.Millisecond, 5: 3200 * time.Millisecond, 9: 30 * time.Second, 1000: 30 * time.Second,
	} {
		seen := map[time.Duration]bool{}
		for range 1000 {
			d := pause(try, 0)
			if d < most/2 || d > most {
				t.Fatalf("try %d: %v, want %v to %v", try, d, most/2, most)
			}
			seen[d] = true
		}
		if len(seen) < 900 {
			t.Errorf("try %d: only %d different pauses of 1000", try, len(seen))
		}
		if d := pause(try, time.Minute); d != time.Minute {
			t.Errorf("try %d: %v, told a minute", try, d)
		}
	}
}
