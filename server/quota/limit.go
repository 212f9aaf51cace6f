package quota

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Requests is the unit of a limit that names none.
const Requests = "requests"

// Share is the unit of a limit of which the upstream tells only what share of it
// is used: parts per billion, so that the share of a single call is a whole number.
// Such a limit has a quota of [WholeShare]; [OnePercent] is a hundredth of that.
const (
	Share            = "ppb"
	WholeShare int64 = 1_000_000_000
	OnePercent int64 = WholeShare / 100
)

// Unknown stands for a number that nobody has told: a remaining, a limit.
const Unknown int64 = -1

// MaxQuota is the greatest quota, and the greatest sum of costs, that the model
// counts with; far from where an int64 would overflow.
const MaxQuota int64 = 1 << 50

// Provenance is who told a limit.
type Provenance uint8

// Who can tell a limit, from nobody to the operator. What a response told is
// trusted over what we counted; it never exceeds what was configured.
const (
	// Nobody: the limit is not known.
	Nobody Provenance = iota
	// Configured by the operator.
	Configured
	// Told by a response.
	Told
	// Learned from our own count at a refusal.
	Learned
)

// String is the word for it in logs.
func (p Provenance) String() string {
	return [...]string{"nobody", "configured", "told", "learned"}[p]
}

// Limit is one rule: quota units a window, counted by some parts of the scope.
type Limit struct {
	// Name is the limit's name within its API, such as "app-day".
	Name string
	// Per says by which parts of the scope calls are counted together.
	Per Parts
	// Unit is what is counted; empty means [Requests].
	Unit string
	// Quota is the units a window; 0 means it is not known and to be learned.
	Quota int64
	// Window says when the count begins anew; its zero value is to be learned.
	Window Window
	// Provenance is who told the quota.
	Provenance Provenance
}

// Counts is the unit of the limit: never empty.
func (l *Limit) Counts() string {
	if l.Unit == "" {
		return Requests
	}
	return l.Unit
}

func (l *Limit) countsRequests() bool { return l.Unit == "" || l.Unit == Requests }

// Override is another quota for the calls of one endpoint.
type Override struct {
	// Endpoint is an exact endpoint, or a template: a segment in braces matches
	// any one segment, and a last segment "*" all that follow.
	Endpoint string
	// Limit is the name of the limit whose quota is replaced.
	Limit string
	// Quota is the units a window for that endpoint.
	Quota int64
}

// EndpointCost is what a call of one endpoint takes of a unit where its caller
// does not say.
type EndpointCost struct {
	// Endpoint is an exact endpoint or a template, as that of an [Override].
	Endpoint string
	// Unit is what is counted.
	Unit string
	// Cost is the units of one call, 0 to [MaxCost].
	Cost int64
}

// Rules is what is known of one API before it says anything. It must not be
// changed once a ledger has it; it is then safe for concurrent use.
type Rules struct {
	// API is the upstream's name.
	API string
	// Limits are the configured limits; none means that all are learned.
	Limits []Limit
	// Overrides replace quotas by endpoint: an exact endpoint first, then the
	// template with the most literal bytes.
	Overrides []Override
	// Costs are what calls take by endpoint: the closest counts, as of Overrides.
	Costs []EndpointCost
	// Labels are the names of the labels that a scope of this API may have.
	Labels []string
	// SendWithin is how long a permit may wait to be sent; 0 means
	// [DefaultSendWithin].
	SendWithin time.Duration
	// ReportWithin is how long a permit's report is awaited; 0 means
	// [DefaultReportWithin].
	ReportWithin time.Duration
	// MaxReset is the furthest a reset can be when a window's length is not
	// known; further is no reset. 0 means [DefaultMaxReset].
	MaxReset time.Duration
}

// Defaults of [Rules].
const (
	DefaultSendWithin   = 5 * time.Second
	DefaultReportWithin = 5 * time.Minute
	// DefaultMaxReset is a month and a day: no quota that is known has a longer
	// window.
	DefaultMaxReset = 32 * 24 * time.Hour
)

// Flight is how long after its send deadline a call may take to be counted by
// the upstream.
const Flight = time.Second

// CheckScope reports, as a *FieldError, labels that the rules do not declare.
func (r *Rules) CheckScope(s Scope) error {
	for name := range s.Labels.All {
		if !slices.Contains(r.Labels, name) {
			return &FieldError{"scope.labels", name, fmt.Sprintf("declare it under apis.%s.labels, or leave it out", r.API)}
		}
	}
	return nil
}

// Deadlines is how long after its grant a permit may be sent, and its report is
// awaited: the defaults where the rules have none.
func (r *Rules) Deadlines() (send, report time.Duration) {
	return orDefault(r.SendWithin, DefaultSendWithin), orDefault(r.ReportWithin, DefaultReportWithin)
}

func (r *Rules) maxReset() time.Duration { return orDefault(r.MaxReset, DefaultMaxReset) }

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// For is the limits that count a call of this scope, overrides applied.
func (r *Rules) For(s Scope) []Limit {
	var limits []Limit
	for i := range r.Limits {
		if l := &r.Limits[i]; l.Per.Applies(s) {
			limits = append(limits, *r.overridden(l, s.Endpoint))
		}
	}
	return limits
}

// override is the quota of the closest override for the limit and endpoint.
func (r *Rules) override(limit, endpoint string) (quota int64, ok bool) {
	i := closest(r.Overrides, endpoint, func(o *Override) (string, bool) { return o.Endpoint, o.Limit == limit })
	if i < 0 {
		return 0, false
	}
	return r.Overrides[i].Quota, true
}

// CostOf is what a call of the endpoint takes of a unit where its caller does not
// say; false where the rules do not say either.
func (r *Rules) CostOf(endpoint, unit string) (cost int64, ok bool) {
	i := closest(r.Costs, endpoint, func(c *EndpointCost) (string, bool) { return c.Endpoint, c.Unit == unit })
	if i < 0 {
		return 0, false
	}
	return r.Costs[i].Cost, true
}

// closest is the index of the rule that fits an endpoint best: the one that names
// it exactly, else the template with the most literal bytes; -1 when none fits.
// The rules that count, and what they say of endpoints, are for about to tell.
func closest[T any](rules []T, endpoint string, about func(*T) (template string, counts bool)) int {
	found, best := -1, -1
	for i := range rules {
		template, counts := about(&rules[i])
		switch {
		case !counts:
		case template == endpoint:
			return i
		default:
			if n := literalBytes(template); n > best && matchTemplate(template, endpoint) {
				found, best = i, n
			}
		}
	}
	return found
}

// matchTemplate reports whether the endpoint fits the template, segment by
// segment.
func matchTemplate(template, endpoint string) bool {
	for {
		want, wanted, more := strings.Cut(template, "/")
		if want == "*" && !more {
			return true
		}
		got, rest, longer := strings.Cut(endpoint, "/")
		switch {
		case want != got && !isVariable(want):
			return false
		case !more || !longer:
			return more == longer
		}
		template, endpoint = wanted, rest
	}
}

// literalBytes counts the bytes of a template that are not variable.
func literalBytes(template string) int {
	n := 0
	for seg := range strings.SplitSeq(template, "/") {
		if !isVariable(seg) && seg != "*" {
			n += len(seg) + 1
		}
	}
	return n
}

func isVariable(segment string) bool {
	return len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}'
}
