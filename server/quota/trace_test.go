package quota

import (
	"fmt"
	"time"
)

// What a failing case shows of its world.

// stuck names a bucket at which somebody waits that no event can open.
func (w *world) stuck() string {
	for b := range w.ledger.queued {
		if why, retry, _ := b.decide(at(w.now), b.want()); why != NoReason && retry == 0 && b.o == 0 && b.flying == 0 {
			return fmt.Sprintf("%s is closed for ever: %v at %v", b.Name(), why, w.now.Sub(epoch))
		}
	}
	return ""
}

func (w *world) logf(format string, args ...any) {
	if w.trace != nil {
		w.trace("%8v "+format, append([]any{w.now.Sub(epoch)}, args...)...)
	}
}

func (w *world) state(p *Permit) string {
	var s string
	rel := func(i instant) string {
		if i == 0 {
			return "-"
		}
		return i.time().Sub(epoch).Round(time.Millisecond).String()
	}
	for _, c := range p.charges {
		b := c.bucket
		until := "-"
		if b.state != Open {
			until = rel(b.until)
		}
		s += fmt.Sprintf("[%s m=%d n=%d o=%d a=%d cov=%d av=%d end=%s..%s pad=%v turned=%v log=%d bare=%d doubt=%v lapsed=%d %v until=%v]",
			b.Name(), b.m, b.n, b.o, b.a, b.aCov, b.available(), rel(b.end.lo), rel(b.end.hi), b.pad(),
			rel(b.turned), heldBy(b), b.bare(), b.doubtful, b.lapsed(), b.state, until)
	}
	return s
}

// heldBy is what the bucket's log holds, if it has one.
func heldBy(b *Bucket) int64 {
	if !b.logged() {
		return 0
	}
	return b.kind.log.held
}

func short(o []Observation) string {
	if len(o) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("q=%d r=%d reset=%v %v", o[0].Quota, o[0].Remaining, o[0].Reset.Known, o[0].Reset.After)
}
