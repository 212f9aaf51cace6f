package timeline

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

// Picture is a variant of a scenario, and what strategies made of it.
type Picture struct {
	Scenario *simulate.Scenario
	Runs     []Run
}

// Run is what a strategy made of the scenario.
type Run struct {
	// Strategy is its name.
	Strategy string
	Result   *simulate.Result
}

const (
	// mostBars is how many bars fit beside each other, perBar how many samples are
	// taken for each, so that the lines are as fine as the eye.
	mostBars = 300
	perBar   = 16
)

// Play has the strategies play a scenario with a seed, and takes the samples that
// the picture is made of. The error is the context's, or that of a run, which is
// named.
func Play(ctx context.Context, s *simulate.Scenario, seed uint64, strategies []strategy.Strategy) (*Picture, error) {
	sampled := *s
	sampled.Sample = barOf(s.Duration) / perBar
	p := &Picture{Scenario: &sampled}
	for _, one := range strategies {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := simulate.Run(&sampled, seed, one.New)
		if err != nil {
			return nil, fmt.Errorf("%s, seed %d: %w", one.Name, seed, err)
		}
		p.Runs = append(p.Runs, Run{one.Name, r})
	}
	return p, nil
}

// barOf is how much time a bar stands for, in a run of that length.
func barOf(length time.Duration) time.Duration { return step(length, mostBars) }

// WriteSVG writes the picture. The error is the writer's.
func (p *Picture) WriteSVG(w io.Writer) error {
	_, err := io.WriteString(w, p.svg())
	return err
}
