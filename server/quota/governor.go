package quota

import "time"

// The pace of a governor.
const (
	// minRate is the least it holds calls to, in thousandths of a call a second.
	minRate = 10
	// minClimb and maxClimb bound how long a rate takes to return to what was
	// refused.
	minClimb, maxClimb = 10 * time.Second, 10 * time.Minute
	// cycle is how soon after the last a refusal must come for both to say that
	// there is a limit: until then the calls were not held back at all.
	cycle = 10 * time.Minute
	// lasts is after how many climbs without a refusal a governor is let go: by
	// then it allows 20 times what was refused.
	lasts = 5
	// spread is how much of its calls may go at once.
	spread = 100 * time.Millisecond
	// unit is the parts of a climb that it is counted in.
	unit = 1024
)

// governor holds a group of calls to a rate that the upstream takes, where it
// refuses them without a word of a quota or a window. It is made by a first
// refusal and holds nothing back until a second: then what passed between the two
// is what the upstream takes. The rate falls to 0.7 of what was refused and returns
// by the curve of CUBIC: fast, slow about the rate that was refused, and fast again
// if that passes. Unlike TCP's, and that of AWS's SDKs, the curve is the same for
// a call an hour and a thousand a second; how long it takes to return doubles each
// time that the rate proves right. The rate is in thousandths of a call a second.
type governor struct {
	// refusedAt is when the last cool-down began, passed how many calls that were
	// granted since were taken.
	refusedAt instant
	passed    int64
	// ceiling is the rate that was refused; 0 while nothing is held back. climb is
	// how long the rate takes to return to it, from the instant origin; 0 until
	// calls go out again.
	ceiling int64
	climb   time.Duration
	origin  instant
	// next is when the next call would be due at an even pace.
	next instant
}

// rate is what is let through now.
func (g *governor) rate(now instant) int64 {
	if g.origin == 0 {
		return max(minRate, g.ceiling*7/10)
	}
	// x is how far the climb has come beyond the ceiling, from -1 to its end.
	x := min(int64(now.sub(g.origin)-g.climb)/(int64(g.climb)/unit), (lasts-1)*unit)
	grown := min(g.ceiling, MaxQuota/unit) * 3 / 10 * (x * x / unit * x / unit) / unit
	return max(minRate, g.ceiling+grown)
}

// refused notes that a cool-down begins. Where nothing passed since the last, that
// goes on.
func (g *governor) refused(now instant) {
	since := now.sub(g.refusedAt)
	switch {
	case g.refusedAt != 0 && g.passed == 0:
		return
	case g.refusedAt == 0 || since > cycle && g.ceiling == 0:
		*g = governor{}
	default:
		g.cut(now, g.passed*int64(time.Second)/max(1, int64(since/1000)))
	}
	g.refusedAt, g.passed, g.origin = now, 0, 0
}

// cut lowers the rate because it was refused; taken is what passed since it last
// was.
func (g *governor) cut(now instant, taken int64) {
	refused := taken
	if g.ceiling != 0 {
		// At times of the pause too, so that it is less than what was refused.
		refused = min(g.rate(now), taken+taken/4)
	}
	switch {
	case g.ceiling == 0 || refused >= 2*g.ceiling:
		g.climb = minClimb
	case g.origin != 0 && now.sub(g.origin) >= g.climb*3/4:
		g.climb = min(2*g.climb, maxClimb)
	}
	g.ceiling = max(minRate, refused)
}

// over reports whether nothing was refused for so long that the governor is not
// needed any more.
func (g *governor) over(now instant) bool {
	if g.ceiling == 0 {
		return now.sub(g.refusedAt) > cycle
	}
	return g.origin != 0 && now.sub(g.origin) >= lasts*g.climb
}

// holds is until when the next call is held back; 0 when it may go.
func (g *governor) holds(now instant) instant {
	if g.ceiling == 0 || g.origin == 0 {
		return 0
	}
	if due := g.next.add(-spread); due > now {
		return due
	}
	return 0
}

// granted notes a call that goes out: with the first the rate begins to return.
func (g *governor) granted(now instant) {
	if g.ceiling == 0 {
		return
	}
	if g.origin == 0 {
		g.origin, g.next = now, now
	}
	g.next = max(g.next, now).add(time.Second * 1000 / time.Duration(g.rate(now)))
}

// heard notes a call that was answered.
func (g *governor) heard(granted instant, passed bool) {
	if passed && granted >= g.refusedAt {
		g.passed++
	}
}

// govern notes at a gate that a cool-down begins.
func (b *Bucket) govern(now instant) {
	if !b.gate {
		return
	}
	if b.governor() == nil {
		b.doubt().governor = &governor{}
	}
	b.governor().refused(now)
}

// governed is whether a gate that does not cool down allows a call.
func (b *Bucket) governed(now instant) (why Reason, retry instant, firm bool) {
	if b.governor() == nil {
		return NoReason, 0, false
	}
	if due := b.governor().holds(now); due != 0 {
		return Exhausted, due, true
	}
	return NoReason, 0, false
}

// Governor is what is recorded of the rate to which a group of calls is held.
type Governor struct {
	// Ceiling is the rate that was refused, in thousandths of a call a second; 0
	// while nothing is held back. Climb is how long it takes to return to it.
	Ceiling int64
	Climb   time.Duration
	// RefusedAt is when it was last refused, in Unix nanoseconds.
	RefusedAt int64
}

// record is what is recorded of the governor.
func (g *governor) record() Governor {
	return Governor{Ceiling: g.ceiling, Climb: g.climb, RefusedAt: int64(g.refusedAt)}
}

// restoreGovernor goes on with what an earlier owner recorded, unless that would not
// be needed any more had its calls gone on: from what was refused last, with what
// passes from now on.
func (b *Bucket) restoreGovernor(now instant, r Governor) {
	g := governor{refusedAt: now, ceiling: min(r.Ceiling, MaxQuota)}
	if g.ceiling > 0 {
		g.climb = min(max(r.Climb, minClimb), maxClimb)
	}
	if b.gate && r.RefusedAt > 0 && g.ceiling >= 0 && now.sub(instant(r.RefusedAt)) < cycle+lasts*g.climb {
		b.doubt().governor = &g
	}
}
