package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// API is what an upstream enforces and what it says of it. The zero value
// enforces nothing and says nothing.
type API struct {
	Limits []Limit `yaml:"limits"`
	// Refusals says whether a refused call costs as much as one that is served.
	Refusals Refusals `yaml:"refusals"`
	Headers  Headers  `yaml:"headers"`
	Noise    Noise    `yaml:"noise"`
	Clock    Clock    `yaml:"clock"`
	Latency  Latency  `yaml:"latency"`
	// Changes are of limits' quotas, while it runs.
	Changes []Change `yaml:"changes"`
	// Outages are times when every call is refused, whatever is left.
	Outages []Outage `yaml:"outages"`
	// Others are other consumers of the same quotas.
	Others []Other `yaml:"others"`
}

// Refusals is whether refused calls cost.
type Refusals string

// The kinds of refusals; the zero value is [RefusalsFree].
const (
	RefusalsFree  Refusals = "free"
	RefusalsCount Refusals = "counted"
)

func (Refusals) choices() []string { return []string{"free", "counted"} }

// Clock is how far the upstream's clocks are off.
type Clock struct {
	// Skew is how far the limiter's clock is ahead of the callers': it moves
	// epochs, dates and the turns of calendars.
	Skew time.Duration `yaml:"skew"`
	// Date is how far the Date header's clock is ahead of the limiter's.
	Date time.Duration `yaml:"date"`
}

// Latency is how long the parts of a call take.
type Latency struct {
	// Request is from the caller to the limiter, Work how long the upstream then
	// is busy, Answer the way back.
	Request Spread `yaml:"request"`
	Work    Spread `yaml:"work"`
	Answer  Spread `yaml:"answer"`
}

// typical is a round trip, at least a millisecond.
func (l Latency) typical() time.Duration {
	return max(time.Millisecond, l.Request.Typical+l.Work.Typical+l.Answer.Typical)
}

// Change is a new quota of a limit, from an instant after the start of the run.
type Change struct {
	At    time.Duration `yaml:"at"`
	Limit string        `yaml:"limit"`
	Quota int64         `yaml:"quota"`
}

// Outage is a time in which the upstream refuses every call, and says nothing of
// its quotas.
type Outage struct {
	// From is after the start of the run.
	From time.Duration `yaml:"from"`
	For  time.Duration `yaml:"for"`
	// Status is 429 or 503; 0 is 429.
	Status int64 `yaml:"status"`
	// RetryAfter is told when it is not 0, in whole seconds.
	RetryAfter time.Duration `yaml:"retry_after"`
}

func (o Outage) status() int {
	if o.Status == StatusUnavailable {
		return StatusUnavailable
	}
	return StatusTooManyRequests
}

func (o Outage) headers() []Header {
	if o.RetryAfter == 0 {
		return nil
	}
	return []Header{{"Retry-After", strconv.FormatInt(Up.seconds(o.RetryAfter), 10)}}
}

// Other is another consumer, which calls whatever happens, and does not try again
// what was refused.
type Other struct {
	// Rate is its calls a second, on average. Share says the same as a share of the
	// first limit's quota, if Rate is 0.
	Rate  float64 `yaml:"rate"`
	Share Share   `yaml:"share"`
	// Bursts makes it call only while on, by so much more.
	Bursts Bursts `yaml:"bursts"`
	// User and Endpoint are whose calls they are; empty are the fleet's, at random.
	User     string `yaml:"user"`
	Endpoint string `yaml:"endpoint"`
}

// Bursts is a time on, then a time off, and so on. The zero value is always on.
type Bursts struct {
	On  time.Duration `yaml:"on"`
	Off time.Duration `yaml:"off"`
}

// Share is a part of a whole, 0 to 1; YAML has it in percent, "30%".
type Share float64

// String is the share in percent.
func (s Share) String() string { return strconv.FormatFloat(100*float64(s), 'g', 6, 64) + "%" }

// rate is the other's mean rate at an API.
func (o Other) rate(a *API) float64 {
	if o.Rate > 0 || len(a.Limits) == 0 {
		return o.Rate
	}
	l := a.Limits[0]
	period := l.Window.Fixed + l.Window.Sliding + l.Window.Counter + l.Window.Refill
	if l.Window.Calendar != "" {
		began, ends := newRule(l, 0).bounds(0)
		period = time.Duration(ends - began)
	}
	if period == 0 {
		return 0
	}
	return float64(o.Share) * float64(l.Quota) / period.Seconds()
}

// Error is what is wrong with a scenario, or a part of one.
type Error struct {
	// Problems are in the order in which they were found; there is at least one.
	Problems []Problem
}

// Problem is one thing that is wrong.
type Problem struct {
	// File is the name of the file; empty without one.
	File string
	// Line and Column count from 1; both are 0 where there is no file.
	Line, Column int
	// Field is the path of the field, such as "upstream.limits[0].quota".
	Field string
	// Value is what stands there, or a sign for it where that is long.
	Value string
	// Remedy says what would be accepted.
	Remedy string
}

// String is the problem in one line: file:line:column, field, value and remedy.
func (p Problem) String() string {
	where := ""
	if p.File != "" {
		where = p.File + ": "
	}
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	}
	value := ""
	if p.Value != "" {
		value = fmt.Sprintf("%q: ", p.Value)
	}
	return where + p.Field + ": " + value + p.Remedy
}

// Error has one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
