package deliver

import (
	"slices"

	"github.com/quotabroker/quotabroker/server/alert"
)

// queue is what waits for one sink, in order. It is not safe for concurrent
// use.
type queue struct {
	most    int
	notices []*alert.Notice
}

// put adds a notice and returns those that had to go for it.
func (q *queue) put(n *alert.Notice) (dropped []*alert.Notice) {
	q.notices = append(q.notices, n)
	if len(q.notices) <= q.most {
		return nil
	}
	goes := q.leastMissed()
	q.notices = slices.DeleteFunc(q.notices, func(n *alert.Notice) bool {
		if goes(n) {
			dropped = append(dropped, n)
			return true
		}
		return false
	})
	return dropped
}

// leastMissed is which notices go first: all of the oldest alert that began and
// ended while it waited here; else the oldest of an alert that is not over,
// because its end will say that it was; else the oldest.
func (q *queue) leastMissed() func(*alert.Notice) bool {
	began := make(map[string]bool)
	goes := q.notices[0]
	for _, n := range q.notices {
		if n.Stage == alert.Resolved && began[n.Alert] {
			return func(o *alert.Notice) bool { return o.Alert == n.Alert }
		}
		began[n.Alert] = began[n.Alert] || n.Stage == alert.Firing
		if goes.Stage == alert.Resolved && n.Stage != alert.Resolved {
			goes = n
		}
	}
	return func(o *alert.Notice) bool { return o == goes }
}

// take removes the oldest; nil when there is none.
func (q *queue) take() *alert.Notice {
	if len(q.notices) == 0 {
		return nil
	}
	n := q.notices[0]
	q.notices[0] = nil
	q.notices = q.notices[1:]
	return n
}
