package demo

import (
	"context"
	"net"
	"net/http"
)

// network is where the demo's servers listen and its clients find them.
type network interface {
	listen(ctx context.Context) (net.Listener, error)
	dial(ctx context.Context, address string) (net.Conn, error)
}

// loopback is the network within this machine, on ports that are free.
type loopback struct{}

func (loopback) listen(ctx context.Context) (net.Listener, error) {
	var c net.ListenConfig
	return c.Listen(ctx, "tcp", "127.0.0.1:0")
}

func (loopback) dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// transport is one service's connections to the API, as many as it has workers.
func transport(n network, workers int) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return n.dial(ctx, address)
		},
		MaxIdleConnsPerHost: workers,
	}
}
