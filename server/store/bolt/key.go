package bolt

import (
	"encoding/binary"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// appendPart appends a part of a key after its length.
func appendPart(key []byte, part string) []byte {
	key = binary.AppendUvarint(key, uint64(len(part)))
	return append(key, part...)
}

// shardKey is the key of a shard.
func shardKey(id broker.Shard) []byte {
	return appendPart(appendPart(nil, id.API), id.App)
}

// bucketKey is what the keys of all windows of one bucket begin with, and no
// others.
func bucketKey(limit string, s quota.Scope) []byte {
	key := make([]byte, 0, 128)
	for _, part := range []string{limit, s.API, s.App, s.User, s.Endpoint} {
		key = appendPart(key, part)
	}
	var labels []byte
	for name, value := range s.Labels.All {
		labels = appendPart(appendPart(labels, name), value)
	}
	return appendPart(key, string(labels))
}

// windowSize is how much a window's beginning adds to its bucket's key.
const windowSize = 8

// appendWindow appends the beginning of a window, so that keys are in its order.
func appendWindow(key []byte, began int64) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(began)^1<<63) //nolint:gosec // the bits, for their order
}
