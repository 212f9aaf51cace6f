package quota

import "time"

// Finding is which kind of window answers show, where nobody declared it. The zero
// value is none: it is declared, or they have not shown any.
type Finding struct {
	// Window is what to declare. Of a refill it is the time in which one unit comes
	// back: with that goes a quota of 1.
	Window Window
	// Confidence is how sure that is: more than 0 and less than 1.
	Confidence float64
}

// narrowEnough is the share, as its divisor, of a period within which its end must
// be known to be seen as aligned.
const narrowEnough = 20

// After a restart what was found counts as so many turns that showed it, and is shown
// until there were so many others.
const (
	lentWhole, lentPart = sureAfter + 1, 2
	seenAnew            = 2
)

// restoreFound goes on with the kind of window that an earlier owner found, which this
// owner's answers can soon refute.
func (b *Bucket) restoreFound(now instant, r Reservation) {
	old := b.found()
	if !b.undeclared() || r.Found.Period <= 0 || old != nil && old.beforeAt >= r.Began {
		return
	}
	f := &finding{since: now, before: r.Found, beforeAt: r.Began}
	switch r.Found.Kind {
	case Fixed:
		f.lent, f.whole = lentWhole, lentWhole
	case Sliding, Refill:
		f.lent, f.part = lentPart, lentPart
	default:
		return
	}
	b.family.finding = f
}

// finds is the kind of window that the bucket's answers show.
func (b *Bucket) finds(now instant) Finding {
	f := b.found()
	if f == nil || !b.undeclared() {
		return Finding{}
	}
	if f.before.Kind != Unstated && f.whole+f.rolling() < f.lent+seenAnew {
		return Finding{f.before, sure(f.lent, 0)}
	}
	for _, found := range []Finding{f.refill(b), f.refillOfNext(b, now), f.sliding(b), f.fixed(b)} {
		if found != (Finding{}) {
			return found
		}
	}
	return Finding{}
}

// sure is the confidence that so much evidence gives.
func sure(in, against int64) float64 { return float64(in+1) / float64(in+against+2) }

// refill finds that the resets are as far away as there are units used: that is
// when all are back.
func (f *finding) refill(b *Bucket) Finding {
	if f.most < 4*f.least || f.each.lo <= 0 || f.each.hi < f.each.lo || f.each.hi >= 2*f.each.lo {
		return Finding{}
	}
	return Finding{refillOf((f.each.lo+f.each.hi)/2, b.quota), float64(f.each.lo) / float64(f.each.hi+1)}
}

// refillOfNext finds that resets are never as far away as what is used takes to
// come back: they are when the next unit is.
func (f *finding) refillOfNext(b *Bucket, now instant) Finding {
	if f.passed < 2*b.quota || f.most == 0 {
		return Finding{}
	}
	each := time.Duration(float64(now.sub(f.since)) / float64(f.passed) * float64(f.buckets))
	if all := each * time.Duration(f.most); 4*f.furthest >= all || f.rolling()*doubtWeighs < f.whole && 4*f.furthest >= b.rule.Window.period() {
		return Finding{}
	}
	return Finding{refillOf(each, b.quota), sure(f.rolling(), 0)}
}

// refillOf is a window in which a unit comes back each so often, shown to three
// digits.
func refillOf(each time.Duration, burst int64) Window {
	digit := time.Duration(1)
	for each/digit >= 1000 {
		digit *= 10
	}
	return Window{Kind: Refill, Period: each.Round(digit), Burst: burst}
}

// sliding finds that at the end not all is back.
func (f *finding) sliding(b *Bucket) Finding {
	in := f.rolling() * doubtWeighs
	if f.rolling() < 2 || in <= f.whole {
		return Finding{}
	}
	period := b.rule.Window.period()
	if period == 0 {
		period = seconds(f.furthest + defaultSlack)
	}
	return Finding{Window{Kind: Sliding, Period: period}, sure(in, f.whole)}
}

// fixed finds that at the end all is back: of windows that are whole periods apart,
// or that begin at their first use.
func (f *finding) fixed(b *Bucket) Finding {
	if f.whole == 0 {
		return Finding{}
	}
	period := b.rule.Window.period()
	if period == 0 && f.steps > 0 {
		period = seconds(f.apart / time.Duration(f.steps))
	}
	found := Finding{Window{Kind: Fixed, Period: period}, sure(f.whole, f.rolling()*doubtWeighs)}
	switch {
	case f.astray > f.inStep:
		found.Window.FirstUse = true
		if b.rule.Window.period() == 0 {
			found.Window.Period = seconds(f.furthest + defaultSlack)
		}
		found.Confidence *= sure(f.astray, f.inStep)
	case f.inStep > 0 && period > 0:
		found.Confidence *= sure(f.inStep, f.astray)
		found.Window.Aligned = f.onTheClock(period)
	}
	return found
}

// onTheClock reports whether the last end was a multiple of the period, and is
// known well enough to say so.
func (f *finding) onTheClock(period time.Duration) bool {
	into := time.Duration(f.ended.lo) % period
	width := f.ended.hi.sub(f.ended.lo)
	return width < period/narrowEnough && (into == 0 || into+width >= period)
}

// seconds rounds to whole seconds, and at least one.
func seconds(d time.Duration) time.Duration { return max(time.Second, d.Round(time.Second)) }
