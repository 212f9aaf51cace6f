package simulate

// happening is what an event is of.
type happening uint8

const (
	// wants: a worker wants its next call, a call falls due, a batch does.
	wants happening = iota
	// arrives: a call reaches the upstream.
	arrives
	// answered: the answer has reached the caller.
	answered
	// dies: a caller has died before it sent.
	dies
	// returns: it is back, and wants the same call.
	returns
	// leaves: a caller gives up.
	leaves
	// drops: a caller gives its right to send back.
	drops
	// intrudes: another consumer calls.
	intrudes
	// samples: the timeline wants its next sample.
	samples
)

// event is something that will happen. Those of one instant happen in the order
// in which they were planned.
type event struct {
	at   int64
	nth  int64
	what happening
	// try is the job's sending of which it is; one that was recalled is not.
	try    uint32
	job    *Job
	source *source
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.nth < o.nth }

// queue is a heap of events. It is written out because a run spends much of its
// time here.
type queue struct {
	events []event
	nth    int64
}

func (q *queue) push(e event) {
	q.nth++
	e.nth = q.nth
	q.events = append(q.events, e)
	h := q.events
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			break
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// next is when the next event happens; ok is false without one.
func (q *queue) next() (at int64, ok bool) {
	if len(q.events) == 0 {
		return 0, false
	}
	return q.events[0].at, true
}

func (q *queue) pop() event {
	h := q.events
	top, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < last && h[child].before(&h[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	q.events = h
	return top
}
