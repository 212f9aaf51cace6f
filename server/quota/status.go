package quota

import "time"

// Status shows one bucket.
func (l *Ledger) Status(now time.Time, b *Bucket) Status {
	b.advance(at(now))
	s := Status{
		Limit: b.rule.Name, Unit: b.rule.Counts(), Key: b.Key(),
		Quota: Unknown, Remaining: Unknown, Period: b.rule.Window.period(),
		State: b.state, Provenance: b.provenance, Window: b.rule.Window, Found: b.finds(at(now)),
	}
	s.Outstanding, s.Waiting = int64(b.flying), int64(b.queued)
	if b.quota > 0 {
		s.Quota, s.Used, s.Others = b.quota, b.spent(), b.drift().others()
		s.OthersToday = b.drift().since(b.dayOf(at(now)))
	}
	if free := b.available() - b.theirs(at(now)); b.quota > 0 || b.m < unbounded {
		s.Remaining = max(0, free)
	}
	if b.governor() != nil && b.governor().ceiling > 0 {
		s.Rate = b.governor().rate(at(now))
	}
	if b.lesson != nil && b.provenance == Learned {
		s.Confidence = b.lesson.confidence(b.quota)
	}
	switch {
	case b.refills():
		s.ResetAt = b.fullAt().time()
	case b.end.known() && !b.gate:
		s.ResetAt = b.turnsAt().time()
	}
	s.Whose = l.whoseOf(b)
	if b.state != Open {
		s.CoolUntil, s.CoolReason = b.until.time(), b.reason
	}
	s.Pressure = b.pressure(s)
	return s
}

// pressure is the share of the quota that is taken.
func (b *Bucket) pressure(s Status) float64 {
	switch {
	case b.state == Cooling || s.Remaining == 0:
		return 1
	case s.Quota <= 0:
		return 0
	}
	return min(1, max(0, 1-float64(s.Remaining)/float64(s.Quota)))
}
