package quota

import "time"

const (
	// chunkLasts is how long a chunk should last at the pace of the grants: many
	// times what a store takes to confirm the next one, and what a crash wastes.
	chunkLasts = 100 * time.Millisecond
	// pacedOver is the least time over which a pace says anything.
	pacedOver = 10 * time.Millisecond
)

// chunks is how much a bucket reserves ahead: as much as it grants within
// chunkLasts, so that a crash wastes no more than that.
type chunks struct {
	// ahead is the size of a chunk; 0 until there is a pace.
	ahead int64
	// pacedAt is when the pace was last taken, and pacedSpent what was spent then.
	pacedAt    instant
	pacedSpent int64
}

// chunk is how much is reserved ahead: never more than a twentieth of the quota,
// and a hundredth as long as nobody knows better.
func (b *Bucket) chunk() int64 {
	if b.ahead == 0 {
		return max(1, b.quota/100)
	}
	return max(1, min(b.ahead, b.quota/20))
}

// wanted is how much to reserve beyond what is spent: a chunk, or what those who
// wait at the bucket want, within the bounds of a chunk but for the first of them.
func (b *Bucket) wanted() int64 {
	want := b.want()
	all := min(want, b.quota) * int64(max(1, min(b.queued, 20)))
	return max(b.chunk(), want, min(all, b.quota/20))
}

// pace takes the pace of the grants when a reservation is confirmed; before is
// what was reserved until then. A chunk that did not last until the next was
// written grows, one that lasted long shrinks at once.
func (b *Bucket) pace(now instant, before int64) {
	spent, since := b.spent(), now.sub(b.pacedAt)
	starved := before > 0 && spent >= before && since < chunkLasts
	if since < pacedOver && !starved {
		return
	}
	used, known := spent-b.pacedSpent, b.pacedAt != 0
	b.pacedAt, b.pacedSpent = now, spent
	switch {
	case starved:
		b.ahead = 2 * b.chunk()
	case !known || used < 0: // the window turned, or an answer showed a rise
	case since >= chunkLasts:
		b.ahead = max(1, used/int64(since/chunkLasts))
	default:
		b.ahead = max(1, used*int64(chunkLasts/since))
	}
}
