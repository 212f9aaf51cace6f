package quotahttp

import (
	"net/http/httptrace"
	"sync"
	"time"
)

// wire follows how far a request has come, by what the base transport tells
// httptrace. What it isn't told of counts as sent.
type wire struct {
	began time.Time

	mu sync.Mutex
	// asking is true from when a connection is asked for until it is there.
	asking bool
	// asked and got say whether a connection was ever asked for and had, and
	// gotAt when last.
	asked, got bool
	gotAt      time.Time
}

func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.asking, w.asked = true, true
		},
		GotConn: func(httptrace.GotConnInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.asking, w.got, w.gotAt = false, true, time.Now()
		},
	}
}

// connecting reports whether the request waits for a connection just now.
func (w *wire) connecting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asking
}

// untouched reports whether certainly nothing was written: a connection was asked
// for, and there was none. A request that has one may be written at any moment,
// even after the base transport has given up on it.
func (w *wire) untouched() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked && !w.got
}

// sent is an instant before which nothing of the last try was written.
func (w *wire) sent() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.got {
		return w.gotAt
	}
	return w.began
}
