package strategy

import (
	"fmt"
	"math"
	"testing"
)

// Until the first throttle nobody is held back.
func TestAdaptiveBeginsFreely(t *testing.T) {
	d := newDesk(t, "adaptive")
	for i := range 100 {
		d.want(0, fmt.Sprint(i), 0, "")
		d.answer(0, fmt.Sprint(i), 200)
	}
	if len(d.sent) != 100 {
		t.Errorf("sent %d of 100 at once", len(d.sent))
	}
}

// A throttle lowers the rate to 0.7 of what was measured; a cubic brings it back to
// where it was and beyond, to no more than twice what is measured.
func TestAdaptiveRate(t *testing.T) {
	p := &paced{}
	second := 0.0
	answers := func(n int, every float64, throttled bool) {
		for range n {
			second += every
			p.heard(at(second), throttled)
		}
	}
	answers(100, 0.1, false)
	if p.on || math.Abs(p.measured-10) > 0.5 {
		t.Fatalf("on %v and measured %v a second, want off and about 10", p.on, p.measured)
	}
	peak := p.measured
	answers(1, 0.1, true)
	if !p.on || math.Abs(p.rate-0.7*peak) > 0.3 {
		t.Fatalf("after a throttle: on %v, %v a second, want 0.7 of %v", p.on, p.rate, peak)
	}
	answers(19, 0.1, false) // the cubic's flat part is at ∛(10 × 0.3 / 0.4) ≈ 2 s
	if math.Abs(p.rate-peak) > 0.3 {
		t.Errorf("2 s later: %v a second, want about %v", p.rate, peak)
	}
	answers(100, 0.1, false)
	if math.Abs(p.rate-2*p.measured) > 0.1 {
		t.Errorf("long after: %v a second, want twice the measured %v", p.rate, p.measured)
	}
	answers(50, 0.1, true)
	if p.rate != rateFloor {
		t.Errorf("after many throttles: %v a second, want the least, %v", p.rate, rateFloor)
	}
}

func TestAdaptiveHoldsBack(t *testing.T) {
	d := newDesk(t, "adaptive")
	d.want(0, "a", 0, "")
	d.answer(0.1, "a", 429) // nothing was measured yet: half a call a second
	d.sent = nil
	d.want(1.2, "b", 0, "")
	d.want(1.2, "other", 1, "") // another service knows nothing of it
	d.until(9)
	if len(d.sent) != 3 || d.sent[0] != "other@1.2" {
		t.Errorf("sent %q, want the other's at once, then the two of the throttled one", d.sent)
	}
}
