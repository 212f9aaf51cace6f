package broker

import (
	"context"
	"errors"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// ErrFenced says that another process owns the shard by now: what was written
// was refused, and nothing may be granted on it.
var ErrFenced = errors.New("another broker owns this shard")

// Shard identifies all buckets of one application of one API: the unit of
// ownership and persistence.
type Shard struct {
	API, App string
}

// FirstEpoch is the epoch of a shard's first owner.
const FirstEpoch = 1

// Store is where a shard's durable facts and its ownership live. Every method
// is safe for concurrent use, and returns once what it did is durable, or an
// error; after an error the write may or may not have happened. Writing the same
// thing again is harmless, because records are absolute and merged: see [Merge].
type Store interface {
	// Own makes owner the shard's owner under an epoch that is greater than any
	// before, and returns what is recorded of the shard. The first epoch of a
	// shard is [FirstEpoch]: it says that nobody can have granted anything.
	Own(ctx context.Context, s Shard, owner string) (epoch uint64, records []quota.Reservation, err error)
	// Reserve merges records into the shard. It returns [ErrFenced], and writes
	// nothing, when the epoch is not the shard's newest. Windows of a bucket
	// older than the newest two may be forgotten; so may one that is
	// [Forgettable].
	Reserve(ctx context.Context, s Shard, epoch uint64, records []quota.Reservation) error
}

// How long before the newest Began of its shard a window must have ended to be
// forgotten: by then it is over, whoever's clock one asks. What a bucket learned
// by its own count is needed as long as anybody may call again.
const (
	keptFor        = 24 * time.Hour
	keptForLessons = 35 * 24 * time.Hour
)

// Forgettable reports whether a store may forget a record of a shard whose newest
// window began at newest, in Unix nanoseconds. One whose end is not known ends no later
// than any window does.
func Forgettable(r quota.Reservation, newest int64) bool {
	kept, ends := keptFor, r.Hi
	if r.Provenance == quota.Learned {
		kept = keptForLessons
	}
	if ends == 0 {
		ends = r.Began + int64(quota.DefaultMaxReset)
	}
	return max(ends, r.CoolUntil) <= newest-int64(kept)
}

// Merge joins two records of the same bucket and window, the one that is stored
// and one that is written: Reserved and Settled are the greater of both. The
// rest is as written, unless the written record is an older one that comes late.
// Only a final record may lower what is reserved: its owner grants nothing more,
// so what it had reserved ahead is free. A write of the same owner's that comes
// even later reserves it again, which only wastes it.
func Merge(stored, written quota.Reservation) quota.Reservation {
	merged := written
	if written.Settled < stored.Settled || written.Reserved < stored.Reserved && !written.Final {
		merged = stored
	}
	merged.Settled = max(stored.Settled, written.Settled)
	merged.Reserved = max(stored.Reserved, written.Reserved)
	if written.Final {
		merged.Reserved = max(written.Reserved, merged.Settled)
	}
	merged.Final = written.Final
	return merged
}
