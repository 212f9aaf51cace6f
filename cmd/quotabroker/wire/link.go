package wire

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/server/config"
)

// Link is a client and what it is connected by. It is safe for concurrent use.
type Link struct {
	// Client asks the broker.
	Client *client.Client

	conn   *grpc.ClientConn
	broker *Server // nil unless it is in this process
}

// Close closes the client, its connection, and the broker if that is in this
// process. It may be called after the client was closed.
func (l *Link) Close(ctx context.Context) error {
	err := errors.Join(l.Client.Close(), l.conn.Close())
	if l.broker != nil {
		err = errors.Join(err, l.broker.Stop(ctx))
	}
	return err
}

// Local starts a broker of this configuration within the process, out of reach
// of any network, and is connected to it.
func Local(c *config.Config, log *slog.Logger, opts ...client.Option) (*Link, error) {
	local := *c
	local.TLS = nil // nothing leaves the process
	broker, err := NewServer(&local, log)
	if err != nil {
		return nil, err
	}
	const buffer = 64 << 10
	lis := bufconn.Listen(buffer)
	go func() { _ = broker.Serve(lis) }() // it ends by Stop; if it failed, every call would say so
	conn, err := grpc.NewClient("passthrough:///in-process",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, errors.Join(err, broker.Stop(context.Background()))
	}
	return &Link{client.New(conn, opts...), conn, broker}, nil
}
