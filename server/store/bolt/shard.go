package bolt

import (
	"bytes"
	"errors"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// keptWindows is how many windows of a bucket are kept: the open one, and the one
// before, of which late answers may speak.
const keptWindows = 2

// head is what is recorded of a shard besides its records: the newest epoch, the
// latest beginning of a window, and how many records there are and the sum of
// their checksums, by which one that is missing is found.
type head struct {
	epoch   uint64
	newest  int64
	records uint64
	sum     uint64
}

// The fields of a head.
const (
	fieldEpoch protowire.Number = iota + 1
	fieldNewest
	fieldRecords
	fieldSum
)

func (h *head) encode() []byte {
	b := appendInt(nil, fieldEpoch, int64(h.epoch)) //nolint:gosec // the bits
	b = appendInt(b, fieldNewest, h.newest)
	b = appendInt(b, fieldRecords, int64(h.records)) //nolint:gosec // the bits
	return appendInt(b, fieldSum, int64(h.sum))      //nolint:gosec // the bits
}

func decodeHead(payload []byte) (h head, err error) {
	err = eachField(payload, func(f field) {
		switch f.number { //nolint:exhaustive // a number that is not known is ignored
		case fieldEpoch:
			h.epoch = uint64(f.value) //nolint:gosec // the bits
		case fieldNewest:
			h.newest = f.value
		case fieldRecords:
			h.records = uint64(f.value) //nolint:gosec // the bits
		case fieldSum:
			h.sum = uint64(f.value) //nolint:gosec // the bits
		}
	})
	return h, err
}

// shard is a shard within a transaction. What its methods change counts once it
// is saved.
type shard struct {
	key     []byte
	head    head
	heads   *bbolt.Bucket
	records *bbolt.Bucket
}

// findShard is the shard; nil when nobody has ever owned it.
func findShard(tx *bbolt.Tx, id broker.Shard) (*shard, error) {
	return shardOf(tx, shardKey(id))
}

func shardOf(tx *bbolt.Tx, key []byte) (*shard, error) {
	heads, all := tx.Bucket(bucketHeads), tx.Bucket(bucketRecords)
	if heads == nil || all == nil {
		return nil, corrupt("its heads or records are missing")
	}
	s := &shard{key: key, heads: heads, records: all.Bucket(key)}
	value := heads.Get(key)
	switch {
	case value == nil && s.records == nil:
		return nil, nil //nolint:nilnil // there is none
	case s.records == nil:
		return nil, corrupt("a shard's records are missing")
	}
	payload, _, err := unseal(key, value)
	if err != nil {
		return nil, err
	}
	s.head, err = decodeHead(payload)
	return s, err
}

// openShard is the shard, a new one if there is none.
func openShard(tx *bbolt.Tx, id broker.Shard) (*shard, error) {
	s, err := findShard(tx, id)
	if s != nil || err != nil {
		return s, err
	}
	key := shardKey(id)
	records, err := tx.Bucket(bucketRecords).CreateBucket(key)
	if err != nil {
		return nil, err
	}
	if err := addShard(tx); err != nil {
		return nil, err
	}
	return &shard{key: key, head: head{epoch: broker.FirstEpoch - 1}, heads: tx.Bucket(bucketHeads), records: records}, nil
}

func (s *shard) save() error { return s.heads.Put(s.key, seal(s.key, s.head.encode())) }

// all is the records of the shard. It fails with ErrCorrupt when one of them is
// damaged or missing.
func (s *shard) all() ([]quota.Reservation, error) {
	var list []quota.Reservation
	var sum uint64
	err := s.records.ForEach(func(key, value []byte) error {
		r, check, err := open(key, value)
		sum += check
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if uint64(len(list)) != s.head.records || sum != s.head.sum {
		return nil, corrupt("a shard's records are not those that its head counts")
	}
	return list, nil
}

// open is the record of a sealed value, and its checksum.
func open(key, value []byte) (quota.Reservation, uint64, error) {
	payload, sum, err := unseal(key, value)
	if err != nil {
		return quota.Reservation{}, 0, err
	}
	r, err := decode(payload)
	return r, uint64(sum), err
}

// merge records one window of a bucket.
func (s *shard) merge(r quota.Reservation) error {
	prefix := bucketKey(r.Limit, r.Key)
	key := appendWindow(prefix, r.Began)
	old := s.records.Get(key)
	if old != nil {
		stored, _, err := open(key, old)
		if err != nil {
			return err
		}
		r = broker.Merge(stored, r)
	}
	payload, err := encode(r)
	if err != nil {
		return err
	}
	if err := s.put(key, old, seal(key, payload)); err != nil {
		return err
	}
	s.head.newest = max(s.head.newest, r.Began)
	if old == nil {
		return s.prune(prefix)
	}
	return nil
}

// put replaces a record; old is nil when there was none.
func (s *shard) put(key, old, value []byte) error {
	s.uncount(key, old)
	_, sum, err := unseal(key, value)
	if err != nil {
		return err
	}
	s.head.records++
	s.head.sum += uint64(sum)
	return s.records.Put(key, value)
}

// uncount takes a record that is replaced or deleted out of the head.
func (s *shard) uncount(key, value []byte) {
	if _, sum, err := unseal(key, value); err == nil {
		s.head.records--
		s.head.sum -= uint64(sum)
	}
}

// prune forgets the windows of a bucket before its newest ones.
func (s *shard) prune(prefix []byte) error {
	var keys [][]byte
	c := s.records.Cursor()
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix) && len(key) == len(prefix)+windowSize; key, _ = c.Next() {
		keys = append(keys, key)
	}
	return s.deleteAll(keys[:max(0, len(keys)-keptWindows)])
}

// forgetEnded forgets the windows that ended long ago.
func (s *shard) forgetEnded() error {
	var keys [][]byte
	err := s.records.ForEach(func(key, value []byte) error {
		r, _, err := open(key, value)
		if broker.Forgettable(r, s.head.newest) {
			keys = append(keys, key)
		}
		return err
	})
	return errors.Join(err, s.deleteAll(keys))
}

func (s *shard) deleteAll(keys [][]byte) error {
	for _, key := range keys {
		key = bytes.Clone(key) // it is the page's until something is deleted
		s.uncount(key, s.records.Get(key))
		if err := s.records.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
