package alert

import (
	"math"
	"time"
)

// pace is how fast a window's quota is used: an average of the window so far in
// which the last twelfth of the period weighs most. Forecasts are guesses, so it
// counts in floats; nothing is granted by it.
type pace struct {
	// memory is the time constant of the weights.
	memory time.Duration
	// from is since when it has been watched, at when it was last looked at.
	from, at time.Time
	used     int64
	// rate is in units a second, and too low by how short it has been watched.
	rate float64
}

// newPace begins with a window of which some was used since it began. What was
// used by then of one that has just begun, or nobody knows when, says nothing.
func newPace(now, began time.Time, used int64, period time.Duration) pace {
	p := pace{memory: period / 12, from: began, at: began}
	p.look(now, used)
	p.used = used
	return p
}

// look notes how much has been used by now. Looks less than a second apart wait
// for the next.
func (p *pace) look(now time.Time, used int64) {
	dt := now.Sub(p.at)
	if dt < time.Second {
		return
	}
	keep := math.Exp(-dt.Seconds() / p.memory.Seconds())
	p.rate = p.rate*keep + float64(used-p.used)/dt.Seconds()*(1-keep)
	p.at, p.used = now, used
}

// perSecond is the pace in units a second, 0 as long as nothing is known.
func (p *pace) perSecond() float64 {
	watched := p.at.Sub(p.from)
	if watched <= 0 {
		return 0
	}
	return max(0, p.rate/(1-math.Exp(-watched.Seconds()/p.memory.Seconds())))
}

// lasts is how long what remains lasts at this pace, at most a year.
func (p *pace) lasts(remaining int64) time.Duration {
	const most = 366 * 24 * time.Hour
	rate := p.perSecond()
	if rate <= 0 || float64(remaining)/rate >= most.Seconds() {
		return most
	}
	return time.Duration(float64(remaining) / rate * float64(time.Second))
}
