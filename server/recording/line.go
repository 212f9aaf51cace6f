package recording

import "time"

// Format is the version of the form that this package writes. It reads those before,
// too: the first one has of an API no more than its dialect and limits.
const Format = 2

// Line is one line. Exactly one of its pointers is not nil.
type Line struct {
	// AtUS is when it happened, in microseconds since the recording began.
	AtUS    int64    `json:"at_us"`
	Began   *Began   `json:"began,omitempty"`
	Config  *Config  `json:"config,omitempty"`
	Acquire *Acquire `json:"acquire,omitempty"`
	Report  *Report  `json:"report,omitempty"`
	Release *Release `json:"release,omitempty"`
}

// At is when the line happened, since its recording began.
func (l *Line) At() time.Duration { return time.Duration(l.AtUS) * time.Microsecond }

// Began is the first line of a recording.
type Began struct {
	Format  int    `json:"format"`
	Version string `json:"version"`
	// Wall is the beginning by the broker's wall clock.
	Wall time.Time `json:"wall"`
	// Users is [Hidden] or [Shown].
	Users string `json:"users"`
}

// Whether users and the values of labels are shown or pseudonyms.
const (
	Hidden = "hidden"
	Shown  = "shown"
)

// Config is what the broker was told of its upstreams, from now on.
type Config struct {
	APIs map[string]API `json:"apis"`
}

// API is one upstream, as it was configured.
type API struct {
	Dialect string   `json:"dialect"`
	Labels  []string `json:"labels,omitempty"`
	Limits  []Limit  `json:"limits,omitempty"`
	// Overrides are the quotas of limits that are others for some endpoints, Costs
	// what calls of endpoints take that do not say it.
	Overrides []Override `json:"overrides,omitempty"`
	Costs     []Cost     `json:"costs,omitempty"`
	// Free are the statuses of answers that are not counted.
	Free []int `json:"free,omitempty"`
	// Shadow says that nobody was held back.
	Shadow bool `json:"shadow,omitempty"`
	// SendWithinUS and ReportWithinUS are how long permits were good; 0 in the first
	// format, which does not say.
	SendWithinUS   int64 `json:"send_within_us,omitempty"`
	ReportWithinUS int64 `json:"report_within_us,omitempty"`
}

// Override is the quota of a limit for an endpoint, or a template of one.
type Override struct {
	Endpoint string `json:"endpoint"`
	Limit    string `json:"limit"`
	Quota    int64  `json:"quota"`
}

// Cost is what a call of an endpoint, or of a template of one, takes of a unit.
type Cost struct {
	Endpoint string `json:"endpoint"`
	Unit     string `json:"unit"`
	Cost     int64  `json:"cost"`
}

// Limit is one limit.
type Limit struct {
	Name string   `json:"name"`
	Per  []string `json:"per"`
	Unit string   `json:"unit,omitempty"`
	// Quota is the units a window; 0 is to be learned.
	Quota  int64  `json:"quota,omitempty"`
	Window Window `json:"window"`
}

// Window is a limit's window; the fields that its kind does not have are zero.
type Window struct {
	// Kind is one of the kinds of window.
	Kind     string `json:"kind"`
	PeriodUS int64  `json:"period_us,omitempty"`
	Aligned  bool   `json:"aligned,omitempty"`
	FirstUse bool   `json:"first_use,omitempty"`
	Counter  bool   `json:"counter,omitempty"`
	Burst    int64  `json:"burst,omitempty"`
	// Unit is hour, day, week or month, Zone the IANA name of a time zone.
	Unit string `json:"unit,omitempty"`
	Zone string `json:"zone,omitempty"`
}

// The kinds of window.
const (
	Learned    = "learned"
	Fixed      = "fixed"
	Calendar   = "calendar"
	Sliding    = "sliding"
	Refill     = "refill"
	Concurrent = "concurrent"
)

// Period is the window's length.
func (w *Window) Period() time.Duration { return time.Duration(w.PeriodUS) * time.Microsecond }

// Scope is whose call it is.
type Scope struct {
	API      string            `json:"api"`
	App      string            `json:"app,omitempty"`
	User     string            `json:"user,omitempty"`
	Endpoint string            `json:"endpoint,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// Acquire is a call that was asked for, when it was answered. Permit, Denied and
// Failed are what became of it; a dry run that was not denied has none of them.
type Acquire struct {
	Scope    Scope            `json:"scope"`
	Caller   string           `json:"caller,omitempty"`
	Costs    map[string]int64 `json:"costs,omitempty"`
	Priority string           `json:"priority,omitempty"`
	// MaxWaitUS is how long it would have waited, WaitedUS how long it did.
	MaxWaitUS int64 `json:"max_wait_us,omitempty"`
	WaitedUS  int64 `json:"waited_us"`
	DryRun    bool  `json:"dry_run,omitempty"`
	// Permit is the grant's pseudonym.
	Permit string  `json:"permit,omitempty"`
	Denied *Denied `json:"denied,omitempty"`
	// Failed is why it was not decided: one of the failures.
	Failed string `json:"failed,omitempty"`
}

// Waited is how long it waited.
func (a *Acquire) Waited() time.Duration { return time.Duration(a.WaitedUS) * time.Microsecond }

// MaxWait is how long it was willing to wait.
func (a *Acquire) MaxWait() time.Duration { return time.Duration(a.MaxWaitUS) * time.Microsecond }

// Denied is why a call was not allowed.
type Denied struct {
	Reason       string `json:"reason"`
	Limit        string `json:"limit,omitempty"`
	RetryAfterUS int64  `json:"retry_after_us"`
}

// The failures: of calls that were valid, and of which nothing was decided.
const (
	// GaveUp: the caller went away while it waited.
	GaveUp = "gave_up"
	// Unavailable: the store was away, or the broker about to stop.
	Unavailable = "unavailable"
	// NoPermit: no such permit.
	NoPermit = "no_permit"
)

// Report is what came back of a call.
type Report struct {
	// Permit is the pseudonym of the call's permit; empty without one.
	Permit string `json:"permit,omitempty"`
	// Scope is whose call it was, where the report says so.
	Scope  *Scope `json:"scope,omitempty"`
	Caller string `json:"caller,omitempty"`
	// Result is one of the results.
	Result string `json:"result"`
	Status int    `json:"status,omitempty"`
	// Headers and Trailers are names and values of those that a dialect wants, Body
	// the beginning of the body where one wants that.
	Headers  [][2]string `json:"headers,omitempty"`
	Trailers [][2]string `json:"trailers,omitempty"`
	Body     string      `json:"body,omitempty"`
	// SinceSentUS and SinceReceivedUS are how long ago the request was sent, 0 when
	// that is not told, and the response came.
	SinceSentUS     int64            `json:"since_sent_us,omitempty"`
	SinceReceivedUS int64            `json:"since_received_us,omitempty"`
	ActualCosts     map[string]int64 `json:"actual_costs,omitempty"`
	FromCache       bool             `json:"from_cache,omitempty"`
	// RetryAfterUS is when the caller was advised to try again; nil when it was not.
	RetryAfterUS *int64 `json:"retry_after_us,omitempty"`
	Failed       string `json:"failed,omitempty"`
}

// The results.
const (
	Sent    = "sent"
	NotSent = "not_sent"
	Lost    = "lost"
)

// Received is when the response came, of a report at that time.
func (r *Report) Received(at time.Duration) time.Duration {
	return at - time.Duration(r.SinceReceivedUS)*time.Microsecond
}

// Took is how long the call took; 0 when that is not told.
func (r *Report) Took() time.Duration {
	return max(0, time.Duration(r.SinceSentUS-r.SinceReceivedUS)*time.Microsecond)
}

// Release is a permit that came back unsent.
type Release struct {
	Permit string `json:"permit"`
	Caller string `json:"caller,omitempty"`
	Failed string `json:"failed,omitempty"`
}

// US is a time in whole microseconds, as a recording can hold it.
func US(d time.Duration) int64 { return min(max(0, d.Microseconds()), maxUS) }
