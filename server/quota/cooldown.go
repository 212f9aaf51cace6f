package quota

import "time"

// Pace of probes and back-offs.
const (
	// probeGap is how long one probe is waited for before the next may go.
	probeGap = time.Second
	// backoffBase and backoffMax bound an exponential back-off without jitter;
	// a dialect may know a better base.
	backoffBase = time.Second
	backoffMax  = time.Minute
	// patience is the share, as its divisor, of the time for which nothing has passed
	// that a cool-down lasts at least: an upstream may count what it refuses, so that
	// probes alone would keep it closed. Where nobody knows whose a refusal was, it is
	// no more than maxPatience: the upstream may have been away.
	patience    = 4
	maxPatience = 15 * time.Minute
	// maxProbeGap is the slowest pace at which a bucket is probed that is closed
	// without a reason to stay closed.
	maxProbeGap = time.Minute
	// maxCooldown bounds what an upstream can ask for: no quota that is known
	// has a longer window than a month.
	maxCooldown = DefaultMaxReset
	// doubtedFor is for how long after its end a cool-down is carried over a restart
	// that no probe is known to have ended.
	doubtedFor = 24 * time.Hour
)

// cooldown closes a bucket until an instant, then lets one call probe, then a
// few more with each success: open → cooling → probing → ramping → open.
type cooldown struct {
	// closure is nil until the bucket is first closed.
	*closure

	// flying counts the calls that are under way: the permits in o.
	flying int32
	state  State
	// turns says that the end is the window's own turn, which needs no probe.
	turns bool
	// doublings is how often the back-off has grown.
	doublings uint8
	// age is for how many days nothing was granted, or one more.
	age uint8
}

// closure is what is known of a cool-down that is not over; of one that is, when it
// began.
type closure struct {
	// began is when it began: a refusal of a call that was granted before
	// belongs to it and starts no other. since is when the first of those began
	// since a call passed last; 0 when one has passed since this one.
	began, since instant
	// reason is the upstream's words, whose is why this bucket is to blame.
	reason, whose string
	// refused is the endpoint of the call that was refused last of a user's, the user
	// of an endpoint's; cleared is true once one passed since that differs in it.
	refused string
	cleared bool
	// nth is the entry of the bucket in the ledger's heap, from 1; 0 when it has none.
	nth int32
	// until is when it ends; the latest of all reports.
	until instant
	// probing is when the first probe could go; answers to calls granted
	// earlier say nothing of whether the upstream answers again.
	probing instant
	// nextProbe is when the next probe may go: a second after the last, or as
	// soon as that is heard of.
	nextProbe instant
	// width is how many calls may be in flight while ramping; left is how many
	// more successes must come without anybody held back until it ends.
	width, left int64
}

// close puts the bucket in a state in which it is not open.
func (c *cooldown) close(s State) {
	if c.state = s; c.closure == nil {
		c.closure = &closure{}
	}
}

// clone is a cool-down of another bucket that goes on like this one.
func (c *cooldown) clone() cooldown {
	other := *c
	if c.closure != nil {
		shut := *c.closure
		shut.nth = 0
		other.closure = &shut
	}
	return other
}

// refusal is one response that said wait.
type refusal struct {
	// granted is when the call was granted.
	granted instant
	// until is when to try again, zero when nobody knows; turns says that the
	// window has turned by then.
	until instant
	turns bool
	// asks is when a window turns that may be the one that is spent; 0 when that is
	// not known.
	asks instant
	// base is where the back-off begins when nobody knows.
	base time.Duration
	// reason is the upstream's words; by is on whom the refusal is blamed and whose
	// why, in words.
	reason, whose string
	by            Attribution
	// jitter is a random number, not negative, used once.
	jitter int64
}

// refuse begins, or lengthens, the cool-down. It reports whether a new one
// began.
func (c *cooldown) refuse(now instant, r refusal) bool {
	if c.state == Cooling || c.closure != nil && r.granted < c.began {
		c.lengthen(now, r)
		return false
	}
	c.doublings = c.grown()
	if r.until == 0 {
		r.until = now.add(c.backoff(r))
	}
	c.close(Cooling)
	if c.since == 0 {
		c.since = now
	}
	if !r.turns {
		r.until = max(r.until, c.patient(now, &r))
	}
	c.began, c.reason, c.whose = now, r.reason, r.whose
	c.until, c.turns = min(r.until, now.add(maxCooldown)), r.turns
	return true
}

// patient is the earliest end of a cool-down that begins now, by how long nothing has
// passed; but no later than when a window turns. What the upstream refuses to protect
// itself it does not count.
func (c *cooldown) patient(now instant, r *refusal) instant {
	if r.by == Upstream {
		return now
	}
	wait := now.sub(c.since) / patience
	if r.by == Unattributed {
		wait = min(wait, maxPatience)
	}
	end := now.add(wait)
	if r.asks > now {
		end = min(end, r.asks)
	}
	return end
}

// served notes that a call passed.
func (c *cooldown) served(granted instant) {
	if c.closure != nil && granted >= c.began {
		c.since = 0
	}
}

// grown is the number of doublings of a cool-down that begins now: it grows only
// by an event that follows a probe.
func (c *cooldown) grown() uint8 {
	if c.state == Open {
		return 0
	}
	return min(c.doublings+1, 16)
}

// lengthen is for a refusal that belongs to the cool-down. Without a hint it
// says nothing new.
func (c *cooldown) lengthen(now instant, r refusal) {
	until := min(r.until, now.add(maxCooldown))
	if until <= now || c.state != Open && until <= c.until {
		return
	}
	c.close(Cooling)
	c.until, c.turns, c.whose = until, r.turns, r.whose
}

// probe lets one call at a time find out whether the upstream answers.
func (c *cooldown) probe(now instant, whose string) {
	c.close(ProbingState)
	c.probing, c.nextProbe, c.whose = now, now, whose
}

// backoff is exponential with full positive jitter: never shorter than the
// back-off itself, so that nobody is early.
func (c *cooldown) backoff(r refusal) time.Duration {
	d := max(r.base, backoffBase)
	most := max(d, backoffMax)
	d = min(d<<c.doublings, most)
	return d + time.Duration(r.jitter%int64(d))
}

// advance ends what time ends.
func (c *cooldown) advance(now instant) {
	if c.state != Cooling || now < c.until {
		return
	}
	if c.turns {
		c.open()
		return
	}
	c.state, c.probing, c.nextProbe = ProbingState, now, now
}

// open forgets the cool-down but for when it began: refusals of calls that were
// granted before may still come.
func (c *cooldown) open() {
	*c.closure = closure{began: c.began, since: c.since, refused: c.refused, cleared: c.cleared, nth: c.nth}
	*c = cooldown{closure: c.closure, flying: c.flying, age: c.age}
}

// blocks is why the cool-down holds a call back, and until when; the instant is
// zero when only an answer can tell.
func (c *cooldown) blocks(now instant) (Reason, instant) {
	switch {
	case c.state == Cooling:
		return CoolingDown, c.until
	case c.state == ProbingState && now < c.nextProbe:
		return Probing, c.nextProbe
	case c.state == Ramping && int64(c.flying) >= c.width:
		return Probing, 0
	}
	return NoReason, 0
}

// granted notes a call that goes out.
func (c *cooldown) granted(now instant) {
	if c.state == ProbingState {
		c.nextProbe = now.add(probeGap)
	}
}

// heldBack notes that somebody was held back by the ramp: it is still needed.
func (c *cooldown) heldBack() { c.left = c.width }

// heard notes the end of a call that was granted at g; passed says that the
// upstream took it. It reports whether that ended the probing.
func (c *cooldown) heard(now, g instant, passed bool) (answered bool) {
	switch {
	case c.state == Open || c.state == Cooling || g < c.probing:
		return false
	case c.state == ProbingState:
		c.nextProbe = now
		if passed {
			c.state, c.width, c.left = Ramping, 2, 2
		}
		return passed
	case passed:
		c.width++
		if c.left--; c.left <= 0 {
			c.open()
		}
	}
	return false
}

// record adds the cool-down to its bucket's record.
func (c *cooldown) record(r *Reservation) {
	if c.state != Open {
		r.CoolUntil, r.CoolReason, r.CoolTurns = int64(max(c.until, c.probing)), c.reason, c.turns
	}
}

// restore goes on with a cool-down that an earlier owner recorded. Nobody knows how
// its probes went since.
func (c *cooldown) restore(now instant, r Reservation) {
	until := instant(r.CoolUntil)
	if until <= 0 || now >= until && r.CoolTurns || now.sub(until) >= doubtedFor {
		return
	}
	c.close(Cooling)
	c.began, c.until, c.reason, c.turns = now, min(until, now.add(maxCooldown)), r.CoolReason, r.CoolTurns
	c.advance(now)
}
