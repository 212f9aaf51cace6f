package demo

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestScreen checks that a terminal has one line that is drawn anew and gone in
// the end, and that anything else has lines.
func TestScreen(t *testing.T) {
	for _, tt := range []struct {
		terminal bool
		want     string
	}{
		{false, "  5 s   alone 0/1088, 0 × 429\n 10 s   alone 0/1088, 0 × 429\n"},
		{true, "\r\x1b[K"},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			c, err := newContest(t.Context(), "alone", &memory{}, DefaultPlan(), start)
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
			defer cancel()
			var out bytes.Buffer
			Screen{Out: &out, Terminal: tt.terminal}.watch(ctx, start, c)
			got := out.String()
			if tt.terminal {
				if strings.Contains(got, "\n") || strings.Count(got, "\r 11 s   alone 0/1088") == 0 {
					t.Errorf("the terminal was written %q", got)
				}
				got = got[strings.LastIndex(got, "\r"):]
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestScreenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	Screen{}.watch(ctx, time.Now()) // returns, and writes to nothing
}
