package bolt_test

import (
	"path/filepath"
	"testing"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/store/bolt"
	"github.com/quotabroker/quotabroker/server/store/storetest"
)

// open opens a file until the test ends.
func open(t testing.TB, path string) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // it may be closed already
	return store
}

func inTemp(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "quotabroker.db")
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) broker.Store { return open(t, inTemp(t)) })
}
