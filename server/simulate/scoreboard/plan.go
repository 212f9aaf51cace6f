package scoreboard

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

// Plan is what is to be played: every variant against every strategy, with the
// seeds from 1.
type Plan struct {
	// Variants are the scenarios' variants, in the order in which they are shown.
	Variants []*simulate.Scenario
	// Strategies are in the order in which they are shown.
	Strategies []strategy.Strategy
	// Seeds is how often each is played; at least 1.
	Seeds int
}

// Run plays the plan, and calls each with the rows of one variant after the other.
// It stops at the first error: the context's, each's own, or that of a run, which
// is named.
func (p *Plan) Run(ctx context.Context, each func(rows []Row) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var players sync.WaitGroup
	defer players.Wait()
	defer cancel()
	matches := make([]*match, len(p.Variants))
	for i, s := range p.Variants {
		matches[i] = p.match(s)
	}
	games := make(chan game)
	for range runtime.GOMAXPROCS(0) {
		players.Go(func() {
			for g := range games {
				g.play()
			}
		})
	}
	players.Go(func() {
		defer close(games)
		p.deal(ctx, matches, games)
	})
	for i, m := range matches {
		rows, err := m.rows(ctx, p)
		if err != nil {
			return err
		}
		if err := each(rows); err != nil {
			return err
		}
		matches[i] = nil // its results are many
	}
	return nil
}

// deal has every game played, in order.
func (p *Plan) deal(ctx context.Context, matches []*match, games chan<- game) {
	for _, m := range matches {
		for i := range p.Strategies {
			for seed := range p.Seeds {
				select {
				case games <- game{m, &p.Strategies[i], i*p.Seeds + seed, uint64(seed) + 1}:
				case <-ctx.Done():
					return
				}
			}
		}
	}
}

// match is one variant against all strategies.
type match struct {
	scenario *simulate.Scenario
	// done is closed after the last game.
	done chan struct{}

	mu sync.Mutex
	// results are by strategy and seed, err is that of the first of them that
	// failed, at failed; left is the games to come.
	results []*simulate.Result
	err     error
	failed  int
	left    int
}

func (p *Plan) match(s *simulate.Scenario) *match {
	n := len(p.Strategies) * p.Seeds
	return &match{scenario: s, done: make(chan struct{}), results: make([]*simulate.Result, n), left: n}
}

// game is one run of a match.
type game struct {
	match    *match
	strategy *strategy.Strategy
	nth      int
	seed     uint64
}

func (g game) play() {
	m := g.match
	r, err := simulate.Run(m.scenario, g.seed, g.strategy.New)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.results[g.nth] = r
	if err != nil && (m.err == nil || g.nth < m.failed) {
		m.err, m.failed = fmt.Errorf("%s against %s, seed %d: %w", title(m.scenario.Name, m.scenario.Variant), g.strategy.Name, g.seed, err), g.nth
	}
	if m.left--; m.left == 0 {
		close(m.done)
	}
}

// title is the scenario's name, and its variant's.
func title(name, variant string) string {
	if variant == "" {
		return name
	}
	return name + " (" + variant + ")"
}

// rows waits for the match to end, and judges it.
func (m *match) rows(ctx context.Context, p *Plan) ([]Row, error) {
	select {
	case <-m.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.err != nil {
		return nil, m.err
	}
	rows := make([]Row, len(p.Strategies))
	for i, s := range p.Strategies {
		rows[i] = newRow(m.scenario, s.Name, m.results[i*p.Seeds:(i+1)*p.Seeds])
	}
	compare(rows)
	return rows, nil
}
