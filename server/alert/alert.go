package alert

import (
	"fmt"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Rule is what an alert is about.
type Rule uint8

// The rules. The zero value is none of them.
const (
	// Remaining: less of a quota is left than a threshold.
	Remaining Rule = iota + 1
	// Cooldown: the upstream said wait.
	Cooldown
	// LimitChanged: the upstream tells another quota than before, or refuses at
	// another one.
	LimitChanged
	// Others: somebody spends the quota who does not ask the broker.
	Others
	// Forecast: at the present pace the quota ends well before it resets.
	Forecast
)

// Rules is every rule, in their order.
func Rules() []Rule { return []Rule{Remaining, Cooldown, LimitChanged, Others, Forecast} }

// String is the rule as the configuration and notices have it.
func (r Rule) String() string {
	return [...]string{"none", "remaining", "cooldown", "limit_changed", "others", "forecast"}[r]
}

// Severity is "info" for what changed and works, else "warning".
func (r Rule) Severity() string {
	if r == LimitChanged {
		return "info"
	}
	return "warning"
}

// Stage is what a notice tells of its alert. Each alert has one Firing, perhaps
// some Grown, and one Resolved, in this order.
type Stage uint8

// The stages. The zero value is none of them.
const (
	// Firing: it has begun.
	Firing Stage = iota + 1
	// Grown: ten times as many buckets are concerned as when it was last told.
	Grown
	// Resolved: it is over.
	Resolved
)

// String is the stage as notices have it.
func (s Stage) String() string { return [...]string{"none", "firing", "grown", "resolved"}[s] }

// Share is a part of a quota in tenths of a percent, 1 to 999; the zero value
// stands for a default.
type Share int64

// Percent makes a share of whole percents.
func Percent(n int64) Share { return Share(n * 10) }

// String is the share in percent, such as "10%" or "0.5%".
func (s Share) String() string {
	if s%10 == 0 {
		return fmt.Sprintf("%d%%", s/10)
	}
	return fmt.Sprintf("%d.%d%%", s/10, s%10)
}

// under reports whether n is less than this share of the quota.
func (s Share) under(n, of int64) bool { return n*1000 < of*int64(s) }

// exceededBy reports whether n is more than this share of the quota.
func (s Share) exceededBy(n, of int64) bool { return n*1000 > of*int64(s) }

// Notice is one thing to say. It must not be changed: several sinks share it.
type Notice struct {
	// ID is unique to the notice: who gets it twice has had it already.
	ID string
	// Alert is the same for all notices of one alert. Subject is the same for
	// all alerts of one rule about one thing, also after a restart.
	Alert, Subject string
	// Stage is what happened to the alert, Rule what it is about.
	Stage Stage
	Rule  Rule
	// Threshold is the share at which the rule fires; 0 when it has none.
	Threshold Share
	// At is when this was decided, Began when the alert fired.
	At, Began time.Time
	// Summary says everything in a sentence or two, with what to do.
	Summary string
	// Status is the bucket's. Where several buckets are one alert, only Limit,
	// Unit and the parts of Key that they have in common are set; no notice has
	// a user there.
	Status quota.Status
	// RunsOutAt is when the quota ends at this pace; zero but for a forecast.
	RunsOutAt time.Time
	// Was is the quota before a change; 0 but for that.
	Was int64
	// Buckets is how many buckets the alert is about at the moment; 0 once it
	// is over. Examples names some of them where it may be several.
	Buckets  int
	Examples []string
}
