// Package bolt is the store of a broker that stands alone: one file, one
// process, nothing to set up. Its README says what that costs.
//
// The file is one of bbolt, whose own checksums cover little more than its two
// first pages. So each value carries one of its own, over its key too, and each
// shard's head the number and the sum of those of its records: what was damaged,
// or is missing, is found when the file is opened, and whenever it is read.
//
//	quotabroker  version → "1"
//	             shards  → sealed: how many shards there are
//	heads        shard   → sealed: epoch, newest window, how many records and their sum
//	records      shard   → bucket, limit, scope and beginning → sealed: the record
//
// What calls were learned to cost is recorded as the windows of a bucket are whose limit
// no other can have.
//
// Keys are made of their parts, each after its length, so that no two lists of
// parts make the same key whatever bytes they have. Values are fields in the
// encoding of protocol buffers, told apart by number: a reader ignores numbers
// that it does not know, and zero is not written. So a later version may add
// fields that earlier ones can do without; anything else is another version of
// the format, which earlier ones refuse to open.
package bolt
