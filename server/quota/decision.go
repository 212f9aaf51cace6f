package quota

import (
	"fmt"
	"time"
)

// Costs is what a call takes of each unit. Nil means one request.
type Costs map[string]int64

// MaxCost is the greatest cost of one call in one unit.
const MaxCost int64 = 1_000_000_000

// MaxUnits is the greatest number of units in one [Costs].
const MaxUnits = 8

// Validate reports, as a *FieldError under the given path, an amount outside 0
// to [MaxCost], too many units, or a unit without a proper name.
func (c Costs) Validate(field string) error {
	if len(c) > MaxUnits {
		return &FieldError{field, fmt.Sprint(len(c), " units"), fmt.Sprintf("at most %d", MaxUnits)}
	}
	for unit, n := range c {
		if unit == "" || len(unit) > 64 {
			return &FieldError{field, unit, "a unit's name has 1 to 64 bytes"}
		}
		if err := CheckPart(field, unit); err != nil {
			return err
		}
		if n < 0 || n > MaxCost {
			return &FieldError{field + "." + unit, fmt.Sprint(n), fmt.Sprintf("must be 0 to %d", MaxCost)}
		}
	}
	return nil
}

// Reason is why a call is not allowed.
type Reason uint8

// The reasons.
const (
	// NoReason: it is allowed.
	NoReason Reason = iota
	// Exhausted: the quota is spent, or may be.
	Exhausted
	// CoolingDown: the upstream said wait.
	CoolingDown
	// Probing: a few calls are in flight to see whether the upstream answers
	// again; or the limit is not known and its first call is in flight.
	Probing
	// Queued: others wait for the same bucket and were there first.
	Queued
	// Reserving: the bucket's reservation has to be written to the store first;
	// it takes no longer than the store does.
	Reserving
	// TooLarge: the call costs more than the whole limit and can never be
	// allowed.
	TooLarge
)

// String is the reason as errors and logs have it.
func (r Reason) String() string {
	return [...]string{"ALLOWED", "QUOTA_EXHAUSTED", "COOLING_DOWN", "PROBING", "QUEUED", "RESERVING", "COST_TOO_LARGE"}[r]
}

// Decision is whether a call may be made. A denial is a value, never an error.
type Decision struct {
	// Permit is the right to make the call; nil when it is denied and was not
	// forced, and for a check that spends nothing.
	Permit *Permit
	// Reason is why not; [NoReason] when it is allowed.
	Reason Reason
	// Bucket is the bucket that decides a denial; nil when it is allowed.
	Bucket *Bucket
	// RetryAt is the earliest known instant at which the same call could be
	// allowed; zero when only news from the upstream can tell.
	RetryAt time.Time
	// Firm says that nothing but time can help: waiting for less than until
	// RetryAt is in vain. Otherwise a permit that is given back could.
	Firm bool
}

// Allowed reports whether the call may be made.
func (d Decision) Allowed() bool { return d.Reason == NoReason }

// State is where a bucket stands in its cool-down.
type State uint8

// The states, in the order in which a bucket passes through them.
const (
	// Open grants as the quota allows.
	Open State = iota
	// Cooling grants nothing until an instant.
	Cooling
	// ProbingState has one call in flight.
	ProbingState
	// Ramping has a few calls in flight, more with each success.
	Ramping
)

// String is the state in lower case.
func (s State) String() string { return [...]string{"open", "cooling", "probing", "ramping"}[s] }

// Status is what can be shown of one bucket.
type Status struct {
	// Limit is the limit's name, Key what the bucket counts, Unit in what.
	Limit, Unit string
	Key         Scope
	// Quota is the units a window, or [Unknown].
	Quota int64
	// Remaining is the units that can still be granted, or [Unknown]: what is left
	// to others is not among them.
	Remaining int64
	// Used is the units that this window has lost, whoever took them, and what is
	// on its way; 0 when the quota is not known.
	Used int64
	// Others is how many of those the upstream counted since we came and we did not
	// send, as far as its numbers show. OthersToday is what others took since midnight in the window's time
	// zone, as seen so far.
	Others, OthersToday int64
	// Outstanding is the permits that are granted and not settled, Waiting the
	// callers that stand at the bucket.
	Outstanding, Waiting int64
	// ResetAt is the latest instant at which the window turns, or all of a quota is
	// back that refills; zero when that is not known.
	ResetAt time.Time
	// Window is the window as it was declared or told; zero when it was not. Period
	// is its nominal length; 0 when it is not known, or has none.
	Window Window
	Period time.Duration
	// Found is which kind of window answers show, where it is not declared.
	Found Finding
	// State is where the bucket stands; CoolUntil and CoolReason are the end of
	// a cool-down and why it began, zero and empty when there is none.
	State      State
	CoolUntil  time.Time
	CoolReason string
	// Whose is in a few words why it is this bucket that is closed, or why a limit
	// that responses tell of is counted as it is; empty when there is no doubt.
	Whose string
	// Rate is what is let through of a group of calls that are refused without a
	// word, in thousandths of a call a second; 0 when nothing is held back so.
	Rate int64
	// Provenance is who told the quota, Confidence what a learned one rests on.
	Provenance Provenance
	Confidence Confidence
	// Pressure is the share of the quota that is taken, 0 to 1.
	Pressure float64
}

// Confidence is what a learned quota rests on; zero for any other.
type Confidence struct {
	// Confirmed is how many windows the upstream refused a call at this number, and
	// ConfirmedAt when it last did; 0 and zero where other users' buckets say so, or
	// more has passed since than was ever refused.
	Confirmed   int64
	ConfirmedAt time.Time
	// Full is how many windows were used up since without a refusal.
	Full int64
	// Siblings is by how many more of the other users' buckets learned this number
	// than another.
	Siblings int64
}

// Revocation makes permits void that were granted and not yet sent.
type Revocation struct {
	// Scope matches the permits: see [Scope.Matches].
	Scope Scope
	// Generation is greater than that of every permit that is void.
	Generation uint64
	// Reason says why in one line.
	Reason string
}
