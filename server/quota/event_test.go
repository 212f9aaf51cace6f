package quota

import "time"

// event is something that happens in the tests' virtual time.
type event struct {
	at  time.Time
	seq int
	do  func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

// rounding is how the upstream writes a reset in whole seconds.
type rounding int

const (
	roundCeil rounding = iota
	roundFloor
	roundNearest
)

func (r rounding) seconds(d time.Duration) int64 {
	switch r {
	case roundCeil:
		return int64((d + time.Second - 1) / time.Second)
	case roundFloor:
		return int64(d / time.Second)
	default:
		return int64((d + time.Second/2) / time.Second)
	}
}
