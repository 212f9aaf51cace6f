package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
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
	waiting  admission
	draining atomic.Bool

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
	b.shards = shards{most: c.MaxShards, byID: map[Shard]*shard{}, watchers: map[*Watcher]struct{}{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// complete checks the configuration and fills its defaults in.
func (c *Config) complete() error {
	if c.Store == nil {
		return &quota.FieldError{Field: "Store", Value: "nil", Remedy: "give the broker a store"}
	}
	for name, api := range c.APIs {
		if api.Rules == nil || api.Dialect == nil {
			return &quota.FieldError{Field: "APIs." + name, Value: "", Remedy: "Rules and Dialect are required"}
		}
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

// configured names the APIs that there are, the first few of many.
func (b *Broker) configured() string {
	const most = 10
	names := slices.Sorted(maps.Keys(b.config.APIs))
	if len(names) == 0 {
		return "the broker's configuration has none"
	}
	text := "the broker's configuration has " + strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// api is the upstream of a name, or a *quota.FieldError.
func (b *Broker) api(name string) (API, error) {
	if api, ok := b.config.APIs[name]; ok {
		return api, nil
	}
	if b.config.Unknown != nil {
		if api, ok := b.config.Unknown(name); ok {
			return api, nil
		}
	}
	return API{}, &quota.FieldError{Field: "scope.api", Value: name, Remedy: "no such API: " + b.configured()}
}
