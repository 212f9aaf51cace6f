package broker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// What it takes to trust a score.
const (
	// enoughCalls is how many calls a score needs to say anything.
	enoughCalls = 100
	// tolerated is the share, as its divisor, of the calls that the upstream took
	// that may be held back without need: that much caution costs.
	tolerated = 100
)

// Advice says in one line whether the API can leave shadow mode, and why. It is
// safe when there were enough calls, every refusal would have been spared, and at
// most one in a hundred of the calls that the upstream took would have waited
// without need.
func (s Score) Advice() (safe bool, why string) {
	taken := s.GrantedTaken + s.HeldTaken + s.HeldAtTurn
	switch {
	case s.GrantedRefused > 0:
		limit := worst(s.Limits, func(c ShadowCounts) int64 { return c.GrantedRefused })
		return false, fmt.Sprintf("not safe yet: the upstream refused %s that the broker would have granted: %s", calls(s.GrantedRefused), tooHigh(limit))
	case s.HeldTaken*tolerated > taken:
		limit := worst(s.Limits, func(c ShadowCounts) int64 { return c.HeldTaken })
		return false, fmt.Sprintf("not safe yet: the broker would have held back %d of the %s that the upstream took: %s", s.HeldTaken, calls(taken), tooLow(limit))
	case s.Calls() < enoughCalls:
		return false, fmt.Sprintf("too early to say: %s, of %d that it takes", calls(s.Calls()), enoughCalls)
	}
	return true, fmt.Sprintf("safe to switch on: no call was refused that the broker would have granted, it would have held back %d of the %s that the upstream took, and spared %s a 429%s",
		s.HeldTaken, calls(taken), calls(s.HeldRefused), s.corrections())
}

// corrections says which limits are configured higher than the upstream has them.
func (s Score) corrections() string {
	var text strings.Builder
	for _, l := range s.Limits {
		if l.Told > 0 {
			fmt.Fprintf(&text, "; limit %s is configured too high: the upstream tells %d and not %d, which the broker keeps to", l.Limit, l.Told, l.Configured)
		}
	}
	return text.String()
}

func calls(n int64) string {
	if n == 1 {
		return "1 call"
	}
	return fmt.Sprintf("%d calls", n)
}

// worst is the limit with the greatest count; the first of equals.
func worst(limits []LimitScore, count func(ShadowCounts) int64) string {
	if len(limits) == 0 {
		return ""
	}
	return slices.MaxFunc(limits, func(a, b LimitScore) int {
		return cmp.Compare(count(a.ShadowCounts), count(b.ShadowCounts))
	}).Limit
}

func tooHigh(limit string) string {
	if limit == "" {
		return "a limit is configured too high, or missing, and nothing says which"
	}
	return fmt.Sprintf("limit %s is configured too high, its window is another, or others call with the same credentials", limit)
}

func tooLow(limit string) string {
	return fmt.Sprintf("limit %s is configured too low, its window is another, or it backs off for longer than the upstream asks", limit)
}
