package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// Spread is how long something takes: at least Min, and as much more as a
// log-normal distribution has it. The zero value takes no time.
type Spread struct {
	Min time.Duration `yaml:"min"`
	// Typical is the median.
	Typical time.Duration `yaml:"typical"`
	// Sigma is the standard deviation of the logarithm; 0 always takes the
	// typical time, with 0.6 one in a hundred takes four times that.
	Sigma float64 `yaml:"sigma"`
}

// Draw is one of these times.
func (s Spread) Draw(r *rand.Rand) time.Duration {
	more := float64(s.Typical - s.Min)
	if s.Sigma > 0 && more > 0 {
		more *= math.Exp(s.Sigma * r.NormFloat64())
	}
	return s.Min + time.Duration(min(more, float64(time.Hour)))
}
