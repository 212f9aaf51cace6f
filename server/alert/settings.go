package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// UserDisplay says how users stand in notices.
type UserDisplay uint8

// The ways to show a user.
const (
	// HashUsers shows the start of the SHA-256 of the id: who has the id can
	// find it. It hides nothing from who can guess ids.
	HashUsers UserDisplay = iota
	// ShowUsers shows the id.
	ShowUsers
	// HideUsers shows nothing.
	HideUsers
)

// show is a user as notices have it.
func (d UserDisplay) show(user string) string {
	switch d {
	case ShowUsers:
		return "user " + user
	case HashUsers:
		sum := sha256.Sum256([]byte(user))
		return "user #" + hex.EncodeToString(sum[:4])
	default:
		return ""
	}
}

// Settings is what an operator may choose. The zero value is a good default. It
// must not be changed once a [Book] has it.
type Settings struct {
	// Thresholds are the shares of a quota below which its remaining is told,
	// each an alert of its own; nil means [DefaultThreshold].
	Thresholds []Share
	// Others is the share of a quota that somebody else may spend; 0 means
	// [DefaultOthers].
	Others Share
	// Rules are those that are in force; nil means all.
	Rules []Rule
	// Users says how users stand in notices.
	Users UserDisplay
	// Limits are exceptions, by limit.
	Limits []LimitSettings
}

// LimitSettings are the exceptions of one limit. Naming a limit here also lifts
// the bounds on what is worth an alert: [SmallQuota] and [ShortWindow], but for
// forecasts.
type LimitSettings struct {
	// API and Limit are the names.
	API, Limit string
	// Thresholds and Others are as in [Settings]; zero means what stands there.
	Thresholds []Share
	Others     Share
	// Rules are those that are in force for the limit; nil means what stands in
	// [Settings], empty and not nil means none.
	Rules []Rule
}

// Defaults and bounds of what is worth an alert.
const (
	// DefaultThreshold is the share that remains.
	DefaultThreshold Share = 100
	// DefaultOthers is the share that others spend.
	DefaultOthers Share = 50
	// SmallQuota is a quota below which a share means nothing.
	SmallQuota = 10
	// ShortWindow is a window so short that its quota is soon back: to use it up
	// is how it should be.
	ShortWindow = 5 * time.Minute
)

// plan is what is in force for one limit.
type plan struct {
	thresholds []Share
	others     Share
	rules      []Rule
	// chosen is true for a limit that the operator named.
	chosen bool
}

func (p plan) has(r Rule) bool { return slices.Contains(p.rules, r) }

// planFor is what is in force for a limit of an API.
func (s *Settings) planFor(api, limit string) plan {
	p := plan{thresholds: s.Thresholds, others: s.Others, rules: s.Rules}
	for _, l := range s.Limits {
		if l.API != api || l.Limit != limit {
			continue
		}
		p.chosen = true
		if l.Thresholds != nil {
			p.thresholds = l.Thresholds
		}
		if l.Others != 0 {
			p.others = l.Others
		}
		if l.Rules != nil {
			p.rules = l.Rules
		}
	}
	return p
}

// Silent reports whether no rule is in force for any limit.
func (s *Settings) Silent() bool {
	if s.Rules == nil || len(s.Rules) > 0 {
		return false
	}
	return !slices.ContainsFunc(s.Limits, func(l LimitSettings) bool { return len(l.Rules) > 0 })
}

// completed is the settings with the defaults filled in.
func (s Settings) completed() Settings {
	if s.Thresholds == nil {
		s.Thresholds = []Share{DefaultThreshold}
	}
	if s.Others == 0 {
		s.Others = DefaultOthers
	}
	if s.Rules == nil {
		s.Rules = Rules()
	}
	return s
}
