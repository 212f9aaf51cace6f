package broker

import "sync"

// admission bounds the callers that wait, in all and per connection. Safe for
// concurrent use.
type admission struct {
	most, mostPerConn int

	mu      sync.Mutex
	all     int
	perConn map[any]int
}

// enter counts one more waiter, and reports false when there are too many.
func (a *admission) enter(conn any) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= a.most || conn != nil && a.perConn[conn] >= a.mostPerConn {
		return false
	}
	a.all++
	if conn != nil {
		a.perConn[conn]++
	}
	return true
}

// leave takes one waiter off the count.
func (a *admission) leave(conn any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if conn == nil {
		return
	}
	if a.perConn[conn]--; a.perConn[conn] == 0 {
		delete(a.perConn, conn)
	}
}
