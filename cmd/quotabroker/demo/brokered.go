package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotahttp"
	"github.com/quotabroker/quotabroker/cmd/quotabroker/wire"
	"github.com/quotabroker/quotabroker/server/config"
)

// What the broker is told: the quotas, and how long a window is. Where the windows
// begin it has to learn, or, at an API that says nothing, to know.
const (
	guideConfiguration = `
apis:
  linkedin:
    dialect: linkedin
    limits:
      - {name: app,    per: [app],       quota: %d, window: {fixed: %v}}
      - {name: member, per: [app, user], quota: %d, window: {fixed: %v}}
`
	bareConfiguration = `
apis:
  linkedin:
    dialect: linkedin
    limits:
      - {name: app,    per: [app, endpoint],       quota: %d, window: {fixed: %v, align: utc}}
      - {name: member, per: [app, user, endpoint], quota: %d, window: {fixed: %v, align: utc}}
`
)

// brokered is a service that asks a broker before it calls.
type brokered struct {
	http *http.Client
	url  string
}

// call waits for its turn as often as it must.
func (b *brokered) call(ctx context.Context, j job) error {
	for {
		got, err := get(ctx, b.http, b.url, j)
		if denied, ok := errors.AsType[*client.DeniedError](err); ok {
			if err := sleep(ctx, denied.RetryAfter); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if served, err := got.served(); served || err != nil {
			return err
		}
	}
}

// newBrokered is the run through a broker, which it starts, and to which each
// service has a connection of its own.
func newBrokered(ctx context.Context, n network, p Plan, start time.Time) (c *contest, err error) {
	if c, err = newContest(ctx, "with quotabroker", n, p, start); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	c.givenUp = func() int64 { return 0 } // a service waits, however long it takes
	address, err := c.startBroker(ctx, n, p)
	if err != nil {
		return nil, err
	}
	for i := range p.Services {
		if err := c.addService(n, p, address, fmt.Sprintf("service-%d", i+1)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// startBroker serves the plan's quotas, and returns where.
func (c *contest) startBroker(ctx context.Context, n network, p Plan) (address string, err error) {
	configuration := guideConfiguration
	if p.Headers == None {
		configuration = bareConfiguration
	}
	text := fmt.Appendf(nil, configuration, p.AppQuota, p.Window, p.MemberQuota, p.Window)
	conf, err := config.Parse("demo.yaml", text)
	if err != nil {
		return "", err
	}
	conf.Store = config.Store{Kind: config.Memory} // it is gone in a minute
	broker, err := wire.NewServer(conf, nil)
	if err != nil {
		return "", err
	}
	c.defers(func() { _ = broker.Stop(context.Background()) }) // nobody is left to be told
	lis, err := n.listen(ctx)
	if err != nil {
		return "", err
	}
	go func() { _ = broker.Serve(lis) }() // if it failed, the services' calls say so
	return lis.Addr().String(), nil
}

func (c *contest) addService(n network, p Plan, address, name string) error {
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithContextDialer(func(ctx context.Context, a string) (net.Conn, error) { return n.dial(ctx, a) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	c.defers(func() { _ = conn.Close() }) // it is of no more use
	permits := client.New(conn, client.WithCaller(name))
	c.defers(func() { _ = permits.Close() }) // always nil
	base := transport(n, p.Workers)
	c.defers(base.CloseIdleConnections)
	api := quotahttp.New(permits, "linkedin",
		quotahttp.WithBase(base),
		quotahttp.WithApp(quotahttp.Always(appName)),
		quotahttp.WithUser(quotahttp.Header(userHeader)),
		quotahttp.WithEndpoint(quotahttp.Always(endpoint)))
	c.services = append(c.services, &brokered{&http.Client{Transport: api}, c.api.url})
	return nil
}
