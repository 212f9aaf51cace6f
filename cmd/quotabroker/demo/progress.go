package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Screen is where progress is shown. The zero value shows nothing.
type Screen struct {
	// Out receives the progress; nil discards it.
	Out io.Writer
	// Terminal says that Out can redraw a line.
	Terminal bool
}

// watch shows how far the contests are until the context ends.
func (s Screen) watch(ctx context.Context, start time.Time, contests ...*contest) {
	if s.Out == nil {
		return
	}
	every, format := 5*time.Second, "%s\n"
	if s.Terminal {
		// Back to the line's start, and clear what is left of the last text.
		every, format = 200*time.Millisecond, "\r%s\x1b[K"
		defer fmt.Fprint(s.Out, "\r\x1b[K")
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			fmt.Fprintf(s.Out, format, line(now.Sub(start), contests))
		}
	}
}

// line is where the contests stand so long after their start, which may be still
// to come. It fits a terminal of 80 columns: a longer one would wrap, and could not be
// drawn anew.
func line(elapsed time.Duration, contests []*contest) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%3d s", elapsed/time.Second)
	for _, c := range contests {
		done, _, _ := c.fleet.state()
		fmt.Fprintf(&text, "   %s %d/%d, %d × 429", c.name, done, c.fleet.plan.Calls, c.api.refused())
	}
	return text.String()
}
