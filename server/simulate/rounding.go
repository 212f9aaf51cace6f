package simulate

import "time"

// Rounding is how an upstream makes whole seconds of the time until a reset.
type Rounding string

// The roundings; the zero value is [Up].
const (
	// Up never says a reset that is too early: 0.2 s to go is 1.
	Up Rounding = "up"
	// Down drops the fraction: 0.9 s to go is 0.
	Down Rounding = "down"
	// Nearest rounds halves up.
	Nearest Rounding = "nearest"
)

func (Rounding) choices() []string { return []string{"up", "down", "nearest"} }

// seconds is d, not negative, in whole seconds.
func (r Rounding) seconds(d time.Duration) int64 {
	switch r {
	case Down:
	case Nearest:
		d += time.Second / 2
	default:
		d += time.Second - 1
	}
	return int64(d / time.Second)
}
