package client

import (
	"context"
	"sync"
	"time"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

const (
	// maxWatches is how many applications a client follows at the same time.
	maxWatches = 64
	// idleAfter is how long an application is followed that nobody calls.
	idleAfter = time.Minute
)

// application is what revocations are counted by.
type application struct{ api, app string }

// watches has a watch for each application in use.
type watches struct {
	ctx    context.Context // ends when the client is closed
	stub   pb.QuotaBrokerServiceClient
	caller string

	mu      sync.Mutex
	byApp   map[application]*watch
	running sync.WaitGroup // grows only while ctx lasts
}

func newWatches(ctx context.Context, stub pb.QuotaBrokerServiceClient, caller string) *watches {
	return &watches{ctx: ctx, stub: stub, caller: caller, byApp: map[application]*watch{}}
}

// hold returns the watch of an application, and keeps it until it is released.
// It is nil when more are in use than may be.
func (s *watches) hold(api, app string) *watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := application{api, app}
	w := s.byApp[key]
	if w == nil {
		if w = s.startLocked(key); w == nil {
			return nil
		}
	}
	w.holds++
	return w
}

// startLocked starts to follow an application, in the place of the one that is
// idle the longest if there is no other.
func (s *watches) startLocked(key application) *watch {
	if s.ctx.Err() != nil || len(s.byApp) >= maxWatches && !s.evictLocked() {
		return nil
	}
	ctx, stop := context.WithCancel(s.ctx)
	w := &watch{set: s, application: key, stop: stop, permits: map[*Permit]struct{}{}}
	s.byApp[key] = w
	s.running.Go(func() { w.run(ctx) })
	return w
}

// evictLocked stops the watch that is idle the longest, and reports whether
// there was one.
func (s *watches) evictLocked() bool {
	var oldest *watch
	for _, w := range s.byApp {
		if w.holds == 0 && (oldest == nil || w.idleSince.Before(oldest.idleSince)) {
			oldest = w
		}
	}
	if oldest != nil {
		s.stopLocked(oldest)
	}
	return oldest != nil
}

// release ends one hold. The watch goes on for a while: for the permit that was
// acquired under it, and for the next call.
func (s *watches) release(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.holds--
	if w.holds > 0 {
		return
	}
	w.idleSince = time.Now()
	if w.idle == nil {
		w.idle = time.AfterFunc(idleAfter, func() { s.expire(w) })
	} else {
		w.idle.Reset(idleAfter)
	}
}

// expire stops a watch that has been idle for long enough.
func (s *watches) expire(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.holds == 0 && time.Since(w.idleSince) >= idleAfter {
		s.stopLocked(w)
	}
}

func (s *watches) stopLocked(w *watch) {
	w.stop()
	if w.idle != nil {
		w.idle.Stop()
	}
	if s.byApp[w.application] == w {
		delete(s.byApp, w.application)
	}
}

// wait returns once no watch runs any more; ctx must have ended.
func (s *watches) wait() {
	s.mu.Lock()
	for _, w := range s.byApp {
		s.stopLocked(w)
	}
	s.mu.Unlock()
	s.running.Wait()
}
