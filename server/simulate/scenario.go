package simulate

import "time"

// Scenario is a run to be made: an upstream, a fleet, and what goes wrong. It is
// read from YAML by [Parse], or made in Go. Parts that [Run] is to find wrong are
// named by [Scenario.Validate].
type Scenario struct {
	// Name is what it is called; required.
	Name string `yaml:"name"`
	// About says what it shows.
	About string `yaml:"about"`
	// Variant names which of the values that a file varies this has; empty
	// without any.
	Variant string `yaml:"-"`
	// Start is when the run begins, Duration how long it takes; both required, but
	// a file may leave the start out. A run begins up to StartWithin later, by its
	// seed: so each seed has its own phase of the windows.
	Start       time.Time     `yaml:"start"`
	StartWithin time.Duration `yaml:"start_within"`
	Duration    time.Duration `yaml:"duration"`
	// Upstream is the API that is called.
	Upstream API `yaml:"upstream"`
	// Costs is what calls cost in another unit than requests.
	Costs Costs `yaml:"costs"`
	// Fleet is who calls it.
	Fleet Fleet `yaml:"fleet"`
	// Broker is what a broker's operator would have configured for the API: one
	// value of apis in its configuration, in YAML of one line. Empty is nothing.
	Broker []byte `yaml:"broker"`
	// Expect is what a good strategy achieves.
	Expect Expect `yaml:"expect"`
	// Because says why a good broker may meet more 429s here than another strategy,
	// or serve less than the best; empty where it may not.
	Because string `yaml:"because"`
	// Sample is how far apart the timeline's samples are; 0 for none.
	Sample time.Duration `yaml:"sample"`
}

// Costs is what a call takes of limits that count another unit than requests.
// The zero value is one of it.
type Costs struct {
	// Unit is what the limits count.
	Unit string `yaml:"unit"`
	// Estimate is what a caller expects a call to cost; 0 is 1.
	Estimate int64 `yaml:"estimate"`
	// Endpoints has the estimates of endpoints of their own.
	Endpoints map[string]int64 `yaml:"endpoints"`
	// Sigma is how far the true cost is from the estimate: the standard deviation
	// of the logarithm; 0 is the estimate.
	Sigma float64 `yaml:"sigma"`
	// Most is the highest true cost; 0 is without one.
	Most int64 `yaml:"most"`
	// Free is the share of calls that turn out to cost nothing of any limit.
	Free Share `yaml:"free"`
}

// Fleet is the services that call an upstream.
type Fleet struct {
	Services []Service `yaml:"services"`
	// Users is for whom they call; without any, calls are made for none.
	Users Users `yaml:"users"`
	// Endpoints are what they call, each as often; empty is one.
	Endpoints []string `yaml:"endpoints"`
	// Patience is how long a caller waits for a call to be served before it gives
	// up; 0 is for ever.
	Patience time.Duration `yaml:"patience"`
	// Network is one way between a service and a broker, for strategies that have
	// one.
	Network Spread `yaml:"network"`
	// Store is how long such a broker's store takes until something is durable.
	Store  Spread `yaml:"store"`
	Faults Faults `yaml:"faults"`
}

// Service is one service. Exactly one of Workers, Rate, Batch and Arrivals says when
// it wants calls.
type Service struct {
	Name string `yaml:"name"`
	// Count is its instances; 0 is one. The rest is that of each.
	Count int64 `yaml:"count"`
	// Workers is how many calls it always wants: each the moment that its last is
	// done.
	Workers int64 `yaml:"workers"`
	// Rate is how many calls fall due in a second, at random.
	Rate float64 `yaml:"rate"`
	// Bursts makes calls fall due only while on.
	Bursts Bursts `yaml:"bursts"`
	// Batch makes calls fall due all at once.
	Batch Batch `yaml:"batch"`
	// Arrivals are the calls, each by itself.
	Arrivals []Arrival `yaml:"arrivals"`
	// User and Endpoint are whose calls they are; empty is at random.
	User     string `yaml:"user"`
	Endpoint string `yaml:"endpoint"`
}

// Batch is calls that fall due together. The zero value is none.
type Batch struct {
	// At is when, after the start of the run, and Every how long after that
	// again; 0 is never.
	At    time.Duration `yaml:"at"`
	Every time.Duration `yaml:"every"`
	Calls int64         `yaml:"calls"`
}

// Arrival is one call that falls due.
type Arrival struct {
	// At is when, after the start of the run, and not before the one before it.
	At time.Duration `yaml:"at"`
	// App, User and Endpoint are whose call it is; an empty app is the fleet's, an
	// empty user none.
	App      string `yaml:"app"`
	User     string `yaml:"user"`
	Endpoint string `yaml:"endpoint"`
	// Cost is what it takes in the scenario's unit, in fact and as its caller
	// thinks; 0 is as the scenario's costs have it.
	Cost int64 `yaml:"cost"`
	// Patience is how long its caller waits; 0 is as the fleet has it.
	Patience time.Duration `yaml:"patience"`
}

// Users is for how many users calls are made.
type Users struct {
	Count int64 `yaml:"count"`
	// Zipf is the exponent of how much more often the first is called for than
	// the next, above 1; 0 is each as often.
	Zipf float64 `yaml:"zipf"`
}

// Faults is what goes wrong between a strategy's decision to send and its hearing
// of the answer.
type Faults struct {
	// DieBefore is the share of calls whose caller dies before it sends, and comes
	// back for the same call; DieAfter of those whose caller dies after: the
	// upstream counts, nobody hears of it.
	DieBefore Share `yaml:"die_before"`
	DieAfter  Share `yaml:"die_after"`
	// Drop is the share of calls that are given back unsent.
	Drop Share `yaml:"drop"`
	// Unreported is the share of calls whose caller has its answer and tells nobody.
	Unreported Share `yaml:"unreported"`
	// Slow is calls that are sent, given back or never sent only after a while.
	Slow Slow `yaml:"slow"`
	// Dead is times in which callers die before they send, each time.
	Dead []Dead `yaml:"dead"`
	// Restart is how long a dead caller takes to come back; 0 is a second.
	Restart time.Duration `yaml:"restart"`
}

// Slow is a share of calls that wait up to a time before they are sent.
type Slow struct {
	Share Share         `yaml:"share"`
	UpTo  time.Duration `yaml:"up_to"`
}

// Dead is a time in which callers die before they send.
type Dead struct {
	// From is after the start of the run.
	From time.Duration `yaml:"from"`
	For  time.Duration `yaml:"for"`
	// Service is the service; empty is all of them.
	Service string `yaml:"service"`
}

// restart is how long a dead caller takes.
func (f *Faults) restart() time.Duration {
	if f.Restart == 0 {
		return time.Second
	}
	return f.Restart
}
