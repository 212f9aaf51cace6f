package bolt

import (
	"bytes"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"
)

// version is that of the format.
const version = 1

// The names of the file's top: see the package's documentation.
var (
	bucketMeta    = []byte("quotabroker") //nolint:gochecknoglobals // nobody writes it
	bucketHeads   = []byte("heads")       //nolint:gochecknoglobals // nobody writes it
	bucketRecords = []byte("records")     //nolint:gochecknoglobals // nobody writes it
	keyVersion    = []byte("version")     //nolint:gochecknoglobals // nobody writes it
	keyShards     = []byte("shards")      //nolint:gochecknoglobals // nobody writes it
)

// fieldShards is the only field of the value that counts the shards.
const fieldShards protowire.Number = 1

// begin makes an empty store of a file without buckets.
func begin(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketHeads, bucketRecords} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	if err := countShards(tx, 0); err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Put(keyVersion, strconv.AppendInt(nil, version, 10))
}

func countShards(tx *bbolt.Tx, n int64) error {
	return tx.Bucket(bucketMeta).Put(keyShards, seal(keyShards, appendInt(nil, fieldShards, n)))
}

// addShard counts a new shard.
func addShard(tx *bbolt.Tx) error {
	n, err := shards(tx)
	if err != nil {
		return err
	}
	return countShards(tx, n+1)
}

// shards is how many there are.
func shards(tx *bbolt.Tx) (n int64, err error) {
	payload, _, err := unseal(keyShards, tx.Bucket(bucketMeta).Get(keyShards))
	if err != nil {
		return 0, err
	}
	err = eachField(payload, func(f field) {
		if f.number == fieldShards {
			n = f.value
		}
	})
	return n, err
}

// verify reads the whole file and reports the first thing that is wrong.
func verify(tx *bbolt.Tx) error {
	if err := verifyVersion(tx); err != nil {
		return err
	}
	want, err := shards(tx)
	if err != nil {
		return err
	}
	found := int64(0)
	heads := tx.Bucket(bucketHeads)
	if heads == nil || tx.Bucket(bucketRecords) == nil {
		return corrupt("its heads or records are missing")
	}
	err = heads.ForEach(func(key, _ []byte) error {
		s, err := shardOf(tx, bytes.Clone(key))
		if err != nil {
			return err
		}
		found++
		_, err = s.all()
		return err
	})
	if err == nil && found != want {
		return corrupt("a shard is missing")
	}
	return err
}

func verifyVersion(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return ErrForeign
	}
	text := string(meta.Get(keyVersion))
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 1:
		return corrupt(fmt.Sprintf("its version is %q", text))
	case n > version:
		return fmt.Errorf("%w (version %d of the format; this one knows up to %d)", ErrNewer, n, version)
	}
	return nil
}

// verifyPages has bbolt check how its pages hang together: reading the records
// alone does not find a page that is also listed as free. It must come after
// verify, which survives what this would not.
func verifyPages(tx *bbolt.Tx) error {
	var first error
	for err := range tx.Check() { // to its end: it has a goroutine
		if first == nil {
			first = corrupt(short(err.Error()))
		}
	}
	return first
}
