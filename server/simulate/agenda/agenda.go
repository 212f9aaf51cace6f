package agenda

import (
	"container/heap"
	"time"
)

// Agenda holds things until they are due, in the order of their instants; of one
// instant, in the order in which they were added. The zero value is empty. It is
// not safe for concurrent use.
type Agenda[T any] struct {
	entries entries[T]
	seq     uint64
}

// Add notes something for an instant.
func (a *Agenda[T]) Add(at time.Time, what T) {
	a.seq++
	heap.Push(&a.entries, entry[T]{at, a.seq, what})
}

// Next is the instant of the first one; zero when there is none.
func (a *Agenda[T]) Next() time.Time {
	if len(a.entries) == 0 {
		return time.Time{}
	}
	return a.entries[0].at
}

// Take takes the first one if it is due; false when none is.
func (a *Agenda[T]) Take(now time.Time) (what T, due bool) {
	if len(a.entries) == 0 || a.entries[0].at.After(now) {
		return what, false
	}
	return heap.Pop(&a.entries).(entry[T]).what, true
}

type entry[T any] struct {
	at   time.Time
	seq  uint64
	what T
}

type entries[T any] []entry[T]

func (e entries[T]) Len() int      { return len(e) }
func (e entries[T]) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

func (e entries[T]) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].seq < e[j].seq
	}
	return e[i].at.Before(e[j].at)
}

func (e *entries[T]) Push(x any) { *e = append(*e, x.(entry[T])) }

func (e *entries[T]) Pop() any {
	old := *e
	last := len(old) - 1
	popped := old[last]
	old[last] = entry[T]{}
	*e = old[:last]
	return popped
}
