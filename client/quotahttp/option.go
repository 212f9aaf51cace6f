package quotahttp

import (
	"net/http"
	"time"

	"github.com/quotabroker/quotabroker/client"
)

// Defaults of the options.
const (
	// DefaultAttempts is how often a request is sent at most.
	DefaultAttempts = 3
	// DefaultMaxPause is the longest wait before another attempt when the
	// request's context has no deadline.
	DefaultMaxPause = 30 * time.Second
)

// Option configures a [Transport].
type Option func(*Transport)

// Part derives a part of the scope from a request. It must not change the
// request, and is called from many goroutines.
type Part func(*http.Request) string

// WithBase sets what sends the requests; http.DefaultTransport unless given.
// Whether a request was sent can be told of an *http.Transport, and of one that
// calls the same httptrace hooks; any other's errors count as sent.
func WithBase(base http.RoundTripper) Option {
	return func(t *Transport) { t.base = base }
}

// WithApp says for which application a request is made: see [Always]. Without,
// it is the one that has no name.
func WithApp(p Part) Option {
	return func(t *Transport) { t.app = p }
}

// WithUser says for which user a request is made: see [Header]. Without, it is
// for nobody, and limits counted by user do not apply.
func WithUser(p Part) Option {
	return func(t *Transport) { t.user = p }
}

// WithEndpoint says which endpoint a request is for: see [Routes]. Without, it is
// [DefaultEndpoint].
func WithEndpoint(p Part) Option {
	return func(t *Transport) { t.endpoint = p }
}

// WithLabels says which labels a request has; without, none.
func WithLabels(labels func(*http.Request) map[string]string) Option {
	return func(t *Transport) { t.labels = labels }
}

// WithAttempts sets how often a request is sent at most, the first time included;
// [DefaultAttempts] unless n is positive. 1 never tries again.
func WithAttempts(n int) Option {
	return func(t *Transport) {
		if n > 0 {
			t.attempts = n
		}
	}
}

// WithMaxPause sets the longest wait before another attempt of a request whose
// context has no deadline; [DefaultMaxPause] unless d is positive. When the
// broker advises a longer one, the caller gets the response instead.
func WithMaxPause(d time.Duration) Option {
	return func(t *Transport) {
		if d > 0 {
			t.maxPause = d
		}
	}
}

// WithAcquire sets options for every permit that is acquired.
func WithAcquire(opts ...client.AcquireOption) Option {
	return func(t *Transport) { t.acquire = append(t.acquire, opts...) }
}
