package quota

import "container/heap"

// coolings are the buckets that cool down, by when that ends: a heap of those that may
// be many, of users who are refused until tomorrow and never call again.
type coolings []coolingUntil

// coolingUntil is one bucket; until is when its cool-down ended as it was entered.
type coolingUntil struct {
	bucket *Bucket
	until  instant
}

// Len, Less, Swap, Push and Pop are for the heap alone.
func (c *coolings) Len() int           { return len(*c) }
func (c *coolings) Less(i, j int) bool { return (*c)[i].until < (*c)[j].until }
func (c *coolings) Push(x any)         { *c = append(*c, x.(coolingUntil)) }

func (c *coolings) Swap(i, j int) {
	list := *c
	list[i], list[j] = list[j], list[i]
	list[i].bucket.nth, list[j].bucket.nth = int32(i+1), int32(j+1) //nolint:gosec // fewer buckets than that
}

func (c *coolings) Pop() any {
	list := *c
	last := list[len(list)-1]
	list[len(list)-1] = coolingUntil{}
	*c = list[:len(list)-1]
	last.bucket.nth = 0
	return last
}

// cool enters a bucket that cools down, or moves it to where its cool-down ends by now.
// One that is not closed by time needs no entry.
func (l *Ledger) cool(b *Bucket) {
	switch {
	case b.state != Cooling:
	case b.nth != 0:
		i := int(b.nth - 1)
		l.cooling[i].until = b.until
		heap.Fix(&l.cooling, i)
	default:
		b.nth = int32(len(l.cooling) + 1) //nolint:gosec // fewer buckets than that
		heap.Push(&l.cooling, coolingUntil{b, b.until})
	}
}

// uncool takes a bucket out.
func (l *Ledger) uncool(b *Bucket) {
	if b.closure != nil && b.nth != 0 {
		heap.Remove(&l.cooling, int(b.nth-1))
	}
}

// warm ends the cool-downs that time ends.
func (l *Ledger) warm(now instant) {
	for len(l.cooling) > 0 && now >= l.cooling[0].until {
		b := heap.Pop(&l.cooling).(coolingUntil).bucket
		if b.advance(now); b.state == Open {
			l.change(b)
		}
	}
}

// warms is when the next cool-down ends; 0 when there is none.
func (l *Ledger) warms() instant {
	for len(l.cooling) > 0 {
		if first := l.cooling[0]; first.bucket.state == Cooling {
			return first.until
		}
		heap.Pop(&l.cooling) // it was heard of sooner
	}
	return 0
}
