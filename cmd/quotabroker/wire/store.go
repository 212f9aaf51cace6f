package wire

import (
	"io"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/store/bolt"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// store is an engine, open.
type store interface {
	broker.Store
	io.Closer
}

// openStore opens the engine that the configuration chooses.
func openStore(c config.Store) (store, error) {
	if c.Kind == config.Bolt {
		return openBolt(c.Path)
	}
	return forgetful{memory.New()}, nil
}

func openBolt(path string) (store, error) {
	st, err := bolt.Open(path)
	if err != nil {
		return nil, err // not a nil *bolt.Store, which would be a store
	}
	return st, nil
}

// forgetful is a store with nothing to close.
type forgetful struct{ *memory.Store }

// Close does nothing.
func (forgetful) Close() error { return nil }
