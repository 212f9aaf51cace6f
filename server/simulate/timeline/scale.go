package timeline

import (
	"math"
	"strconv"
	"time"
)

// step is the smallest of the times that a reader counts in of which no more than
// most make the length; the largest where each is too small.
func step(length time.Duration, most int) time.Duration {
	var s time.Duration
	for _, u := range units() {
		for _, n := range u.steps {
			if s = time.Duration(n) * u.length; length <= s*time.Duration(most) {
				return s
			}
		}
	}
	return s
}

// unit is what times are said in.
type unit struct {
	length time.Duration
	name   string
	// steps are how many of them a reader counts at once.
	steps []int
}

// units are from the smallest to the largest.
func units() []unit {
	return []unit{
		{time.Millisecond, "ms", []int{1, 2, 5, 10, 20, 50, 100, 200, 500}},
		{time.Second, "s", []int{1, 2, 5, 10, 15, 30}},
		{time.Minute, "min", []int{1, 2, 5, 10, 15, 30}},
		{time.Hour, "h", []int{1, 2, 3, 6, 12}},
		{24 * time.Hour, "d", []int{1, 2, 5, 10, 20, 50}},
	}
}

// unitOf is the largest unit of which a time is at least one.
func unitOf(d time.Duration) unit {
	all := units()
	best := all[0]
	for _, u := range all {
		if d >= u.length {
			best = u
		}
	}
	return best
}

// span is a time in words.
func span(d time.Duration) string {
	u := unitOf(d)
	return in(d, u.length) + " " + u.name
}

// in is a time by a unit, to three figures.
func in(d, unit time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(unit), 'g', 3+digits(float64(d)/float64(unit)), 64)
}

// digits is how many there are beyond three before the point.
func digits(v float64) int {
	if v < 1000 {
		return 0
	}
	return int(math.Log10(v)) - 2
}

// round is the smallest number of 1, 2 or 5 and zeros that is at least v.
func round(v float64) float64 {
	if v <= 1 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

// amount is a number with a thin space between thousands.
func amount(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}
