package quota

import "cmp"

// witnessSteps is in how many steps of its quota a witness counts.
const witnessSteps = 16

// witness is what the answers of one window showed of a claim within one scope
// that it may be counted by. Every call that a limit counts changes what remains,
// so of the answers that show one true bucket at most v say that v or less is
// used. More than that, and the scope holds calls together that the upstream
// counts apart. That is so in whatever order the answers come, and of whichever
// part of them.
type witness struct {
	// end bounds when the window ends, epoch is that as the upstream wrote it.
	end   span
	epoch int64
	// most is the most that an answer said was used.
	most int64
	// counts is how many answers lie in each step.
	counts [witnessSteps]uint32
}

// sighting is what one answer shows of a claim.
type sighting struct {
	quota, used int64
	end         span
	epoch       int64
	// sure is true when the answer cannot be of another window that is as likely
	// by its reset.
	sure bool
}

// sight reads an observation; false when it cannot be told which of the windows
// it is of, or how much of it was used.
func (s *answerState) sight(o *Observation) (sighting, bool) {
	end := resetSpan(&o.Reset, o.Window.period(), s.sent, s.received, s.maxReset)
	if o.Quota <= 0 || o.Quota > MaxQuota || o.Remaining == Unknown || !end.known() {
		return sighting{}, false
	}
	return sighting{
		quota: o.Quota, used: max(0, o.Quota-o.Remaining), end: end, epoch: o.Reset.Epoch,
		// Two windows whose resets could be taken for one another are no longer
		// than what both leave open, and so is what is left of either.
		sure: o.Reset.Epoch != 0 || end.lo.sub(s.received) > 2*end.hi.sub(end.lo),
	}, true
}

// hear takes what an answer shows, and reports whether it is the first of a new
// window. One of an earlier window is ignored.
func (w *witness) hear(x *sighting) (began bool) {
	switch w.place(x) {
	case 1:
		*w, began = witness{end: x.end, epoch: x.epoch}, true
	case -1:
		return false
	}
	if narrowed := (span{max(w.end.lo, x.end.lo), min(w.end.hi, x.end.hi)}); narrowed.lo <= narrowed.hi {
		w.end = narrowed
	}
	w.most = max(w.most, x.used)
	if x.sure {
		w.counts[step(x.used, x.quota)]++
	}
	return began
}

// place is 1 for an answer of a later window, -1 for one of an earlier.
func (w *witness) place(x *sighting) int {
	switch {
	case x.epoch != 0 && w.epoch != 0:
		return cmp.Compare(x.epoch, w.epoch)
	case x.end.lo > w.end.hi:
		return 1
	case x.end.hi < w.end.lo:
		return -1
	}
	return 0
}

// step is the step in which so much of a quota lies.
func step(used, quota int64) int {
	return int(max(0, used-1) * witnessSteps / quota)
}

// contradicts reports whether too many answers, by more than the slack, show no
// more use than the end of some step.
func (w *witness) contradicts(quota, slack int64) bool {
	var answers int64
	for i, n := range w.counts {
		answers += int64(n)
		ends := (int64(i+1)*quota + witnessSteps - 1) / witnessSteps
		if answers > ends+slack {
			return true
		}
	}
	return false
}
