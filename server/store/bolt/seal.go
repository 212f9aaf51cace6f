package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrCorrupt says that the file is damaged: what was read is not what was
// written. Nothing of it is used.
var ErrCorrupt = errors.New("the file is damaged")

func corrupt(what string) error { return fmt.Errorf("%w: %s", ErrCorrupt, what) }

const sealSize = crc32.Size

// checksum is CRC-32C of a key and its value's payload.
func checksum(key, payload []byte) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli) // made once, by the package
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, payload)
}

// seal appends to a payload the checksum of it and its key.
func seal(key, payload []byte) []byte {
	return binary.BigEndian.AppendUint32(payload, checksum(key, payload))
}

// unseal is the payload of a value, and its checksum. It fails with ErrCorrupt
// when the value was not sealed under this key.
func unseal(key, value []byte) (payload []byte, sum uint32, err error) {
	if len(value) < sealSize {
		return nil, 0, corrupt("a value is missing or too short")
	}
	payload = value[:len(value)-sealSize]
	sum = binary.BigEndian.Uint32(value[len(payload):])
	if sum != checksum(key, payload) {
		return nil, 0, corrupt("a value's checksum is wrong")
	}
	return payload, sum, nil
}
