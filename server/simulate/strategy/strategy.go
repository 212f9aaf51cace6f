package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/ours"
)

// Strategy is one by its name.
type Strategy struct {
	// Name is what it is called on a command line and in a table.
	Name string
	// About says what it does, in one line.
	About string
	// New makes it for a run.
	New simulate.NewStrategy
}

// The names of the strategies that stand apart: ours is what is judged, nobody
// can have more served than the clairvoyant.
const (
	Ours        = "ours"
	Clairvoyant = "clairvoyant"
)

// All is every strategy, ours first and the clairvoyant last.
func All() []Strategy {
	return []Strategy{
		{Ours, "the broker: one place that counts, reads every answer, and holds the whole fleet back", ours.New},
		{"guide", "each service alone: after a 429 wait X-RateLimit-Reset, 60 s if it is missing, doubled with each try", newGuide},
		{"jitter", "each service alone: exponential back-off with full jitter, after Retry-After", newJitter},
		{"split", "each service alone: a token bucket of its share of each true quota", newSplit},
		{"central", "one limiter for all: the true quotas, in windows by its own clock", newCentral},
		{"adaptive", "each service alone: the AWS SDKs' adaptive mode, CUBIC after a 429", newAdaptive},
		{Clairvoyant, "knows everything before it happens: the upper bound", newClairvoyant},
	}
}

// Named is the strategies of these names, in this order. The error names the one
// that there is not, and all that there are.
func Named(names ...string) ([]Strategy, error) {
	var chosen []Strategy
	for _, name := range names {
		i := slices.IndexFunc(All(), func(s Strategy) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no strategy %q: choose of %s", name, strings.Join(listed(), ", "))
		}
		chosen = append(chosen, All()[i])
	}
	return chosen, nil
}

func listed() []string {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
	}
	return names
}
