package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// API is one upstream: what is known of its limits, and how it spells them.
type API struct {
	// Rules are its limits. Required.
	Rules *quota.Rules
	// Dialect reads its responses. Required.
	Dialect dialect.Dialect
	// Shadow decides and holds nobody back: every call is granted at once, and
	// what would have become of it is scored. See [Broker.Scores].
	Shadow bool
}

// Config is what a broker needs. Store is required; every other zero value
// means the default that its field names.
type Config struct {
	// APIs are the upstreams by name.
	APIs map[string]API
	// Unknown makes the upstream for a name that APIs does not have; nil, or a
	// false answer, refuses it. It must be safe for concurrent use.
	Unknown func(name string) (API, bool)
	// Store is where reservations and ownership live. The broker does not close it.
	Store Store
	// Owner names this process to the store; empty means a random name.
	Owner string
	// MaxWait caps every wait; 0 means [DefaultMaxWait].
	MaxWait time.Duration
	// MaxWaiters bounds the callers that wait, in all; 0 means [DefaultMaxWaiters].
	MaxWaiters int
	// MaxWaitersPerConn bounds those of one connection; 0 means [DefaultMaxWaitersPerConn].
	MaxWaitersPerConn int
	// MaxShards bounds the applications of which this process keeps the state;
	// 0 means [DefaultMaxShards].
	MaxShards int
	// Log receives what an operator should know; nil discards it.
	Log *slog.Logger
}

// Defaults of [Config].
const (
	DefaultMaxWait           = 5 * time.Minute
	DefaultMaxWaiters        = 100_000
	DefaultMaxWaitersPerConn = 512
	DefaultMaxShards         = 10_000
)

// Broker is the use cases. It is safe for concurrent use.
type Broker struct {
	config   Config
	clock    clock
	shards   shards
	lives    lives
	counts   *counts
	scores   scores
	waiting  admission
	draining atomic.Bool

	// reconfiguring lets one reconfiguration happen after the other.
	reconfiguring sync.Mutex
	upstreams     atomic.Pointer[upstreams]

	// keepers counts the keepers. closing is closed when they should try what is
	// owed once more and end; the end of ctx ends what they are at.
	ctx     context.Context
	cancel  context.CancelFunc
	closing chan struct{}
	keepers sync.WaitGroup
}

// New starts a broker. It returns an error that names the field for a
// configuration it cannot run with.
func New(c Config) (*Broker, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	b := &Broker{config: c, clock: newClock(), closing: make(chan struct{})}
	b.waiting = admission{most: c.MaxWaiters, mostPerConn: c.MaxWaitersPerConn, perConn: map[any]int{}}
	b.counts = newCounts(b.listed)
	b.scores = scores{byAPI: map[string]*score{}}
	b.shards = shards{most: c.MaxShards, byID: map[Shard]*shard{}, watchers: map[*Watcher]struct{}{}}
	b.upstreams.Store(&upstreams{c.APIs, c.Unknown})
	b.config.APIs, b.config.Unknown = nil, nil // they can be replaced
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// complete checks the configuration and fills its defaults in.
func (c *Config) complete() error {
	if c.Store == nil {
		return &quota.FieldError{Field: "Store", Value: "nil", Remedy: "give the broker a store"}
	}
	if err := checkAPIs(c.APIs); err != nil {
		return err
	}
	if err := errors.Join(
		orDefault("MaxWait", &c.MaxWait, DefaultMaxWait),
		orDefault("MaxWaiters", &c.MaxWaiters, DefaultMaxWaiters),
		orDefault("MaxWaitersPerConn", &c.MaxWaitersPerConn, DefaultMaxWaitersPerConn),
		orDefault("MaxShards", &c.MaxShards, DefaultMaxShards),
	); err != nil {
		return err
	}
	if c.Owner == "" {
		c.Owner = rand.Text()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// orDefault fills a zero in.
func orDefault[N int | time.Duration](field string, value *N, def N) error {
	if *value < 0 {
		return &quota.FieldError{Field: field, Value: fmt.Sprint(*value), Remedy: "must not be negative; 0 means the default"}
	}
	if *value == 0 {
		*value = def
	}
	return nil
}
