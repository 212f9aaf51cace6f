package client

import (
	"maps"
	"time"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Defaults of the options.
const (
	// DefaultMaxWait is how long Acquire waits when its context has no deadline.
	DefaultMaxWait = 30 * time.Second
	// DefaultReportTimeout is how long a report or a release may take, retries
	// included.
	DefaultReportTimeout = 5 * time.Second
	// DefaultMaxWaiting is how many calls of a client wait at the broker at the
	// same time: half of the streams that the broker allows a connection.
	DefaultMaxWaiting = 512
	// DefaultAttempts is how often a call to the broker is tried.
	DefaultAttempts = 4
)

// BrokerAway says what Acquire does when the broker cannot be reached.
type BrokerAway uint8

// The choices.
const (
	// Deny sends nothing: Acquire fails with an *UnavailableError. The default.
	Deny BrokerAway = iota
	// Allow sends uncounted: Acquire returns an unmanaged permit. While the
	// broker is away nothing keeps the fleet within its quotas.
	Allow
)

// Priority is the class of a call: how it stands among those that wait.
type Priority uint8

// The classes. The zero value is Normal.
const (
	// Normal is the default.
	Normal Priority = iota
	// Critical: somebody is blocked until this is done.
	Critical
	// High: a person waits for it.
	High
	// Background is for batches and nightly jobs.
	Background
)

// message is the priority on the wire.
func (p Priority) message() pb.Priority {
	switch p {
	case Critical:
		return pb.Priority_PRIORITY_CRITICAL
	case High:
		return pb.Priority_PRIORITY_HIGH
	case Background:
		return pb.Priority_PRIORITY_BACKGROUND
	default:
		return pb.Priority_PRIORITY_NORMAL
	}
}

// Option configures a [Client].
type Option interface{ apply(*settings) }

// AcquireOption configures one [Client.Acquire]. Given to [New], it is the
// default of every Acquire of that client.
type AcquireOption interface {
	Option
	applyCall(*call)
}

// settings is what a client was configured with.
type settings struct {
	caller        string
	reportTimeout time.Duration
	maxWaiting    int
	attempts      int
	call          call
}

// call is what one Acquire was configured with.
type call struct {
	maxWait  time.Duration
	waitSet  bool
	costs    map[string]int64
	priority Priority
	away     BrokerAway
}

func newSettings(opts []Option) settings {
	s := settings{
		reportTimeout: DefaultReportTimeout,
		maxWaiting:    DefaultMaxWaiting,
		attempts:      DefaultAttempts,
	}
	for _, o := range opts {
		o.apply(&s)
	}
	return s
}

type option func(*settings)

func (o option) apply(s *settings) { o(s) }

type callOption func(*call)

func (o callOption) apply(s *settings) { o(&s.call) }
func (o callOption) applyCall(c *call) { o(c) }

// WithCaller names the calling service to the broker; at most 256 bytes. A permit
// is good only for the caller that acquired it. An authenticated identity
// overrides the name.
func WithCaller(name string) Option {
	return option(func(s *settings) { s.caller = name })
}

// WithReportTimeout sets how long a report or a release may take, retries
// included; [DefaultReportTimeout] unless d is positive.
func WithReportTimeout(d time.Duration) Option {
	return option(func(s *settings) {
		if d > 0 {
			s.reportTimeout = d
		}
	})
}

// WithMaxWaiting sets how many calls wait at the broker at the same time;
// [DefaultMaxWaiting] unless n is positive. More than the broker allows a
// connection is denied with TOO_MANY_WAITERS.
func WithMaxWaiting(n int) Option {
	return option(func(s *settings) {
		if n > 0 {
			s.maxWaiting = n
		}
	})
}

// WithAttempts sets how often a call to a broker that is away is tried, the
// first time included; [DefaultAttempts] unless n is positive.
func WithAttempts(n int) Option {
	return option(func(s *settings) {
		if n > 0 {
			s.attempts = n
		}
	})
}

// WithMaxWait bounds the wait for a permit. The context's deadline always wins,
// and without this option it alone decides; 0 or less asks for an answer at once.
func WithMaxWait(d time.Duration) AcquireOption {
	return callOption(func(c *call) { c.maxWait, c.waitSet = max(d, 0), true })
}

// WithCost sets what the call takes of a unit, such as "tokens", 0 to 10⁹. A
// call costs one request unless this says otherwise of the unit "requests".
func WithCost(unit string, amount int64) AcquireOption {
	return callOption(func(c *call) {
		costs := maps.Clone(c.costs) // the client's defaults are shared
		if costs == nil {
			costs = map[string]int64{}
		}
		costs[unit] = amount
		c.costs = costs
	})
}

// WithPriority sets the class of the call.
func WithPriority(p Priority) AcquireOption {
	return callOption(func(c *call) { c.priority = p })
}

// WithBrokerAway says what happens when the broker cannot be reached; [Deny]
// unless set.
func WithBrokerAway(b BrokerAway) AcquireOption {
	return callOption(func(c *call) { c.away = b })
}
