package broker

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// fatalMutex is a mutex under which a panic ends the process. Whatever was being
// changed is half changed then, and a broker that went on would grant by it: the
// store has what is needed to begin again, as after a kill. Unlock must be
// deferred wherever something can panic.
type fatalMutex struct {
	sync.Mutex
	log *slog.Logger
}

// Unlock unlocks, unless it is deferred and a panic is on its way out: that goes no
// further, and ends the process before any of those who recover from a handler's
// panic can.
func (m *fatalMutex) Unlock() {
	if p := recover(); p != nil {
		m.crash(p)
	}
	m.Mutex.Unlock()
}

// crash does not return, and leaves the mutex locked.
func (m *fatalMutex) crash(p any) {
	stack := string(debug.Stack())
	m.log.Error("panic in the quota model: the process ends, since what it counts may be wrong now; it can be started again at once",
		"panic", fmt.Sprint(p), "stack", stack)
	// Nobody recovers from the panic of a goroutine that has no callers.
	go panic(fmt.Sprintf("quotabroker: panic in the quota model: %v\n\n%s", p, stack))
	select {}
}
