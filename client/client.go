package client

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Client acquires permits from one broker. It is safe for concurrent use. Make
// one with [New] for a process, and a connection for it alone.
type Client struct {
	stub pb.QuotaBrokerServiceClient
	set  settings

	// waiting has a place for each call that may wait at the broker.
	waiting chan struct{}
	watches *watches

	// open ends, with ErrClosed as its cause, when the client is closed.
	open context.Context
	shut context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	reports sync.WaitGroup // grows only while not closed
}

// New makes a client of a connection to a broker, which stays the caller's to
// close, after the client. It does no I/O.
func New(conn grpc.ClientConnInterface, opts ...Option) *Client {
	c := &Client{stub: pb.NewQuotaBrokerServiceClient(conn), set: newSettings(opts)}
	c.waiting = make(chan struct{}, c.set.maxWaiting)
	c.open, c.shut = context.WithCancelCause(context.Background())
	c.watches = newWatches(c.open, c.stub, c.set.caller)
	return c
}

// Close ends every Acquire with [ErrClosed], stops the client's goroutines, and
// waits for the reports that are under way, for the report timeout at most. A
// permit that is still out can be ended after it. Close always returns nil, and
// may be called again.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.shut(ErrClosed)
	c.watches.wait()
	c.reports.Wait()
	return nil
}

// background runs send on a goroutine that Close waits for; on the caller's own
// once the client is closed.
func (c *Client) background(send func()) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		send()
		return
	}
	c.reports.Go(send)
	c.mu.Unlock()
}

// whileOpen is ctx, ended also when the client is closed. The stop function must
// be called.
func (c *Client) whileOpen(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	detach := context.AfterFunc(c.open, func() { cancel(ErrClosed) })
	return ctx, func() {
		detach()
		cancel(nil)
	}
}
