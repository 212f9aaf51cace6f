package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotaproxy"
	"github.com/quotabroker/quotabroker/cmd/quotabroker/wire"
	"github.com/quotabroker/quotabroker/server/config"
)

// proxyCaller is the name under which a proxy asks a broker.
const proxyCaller = "quotaproxy"

// proxyFlags are what the proxy is told on the command line.
type proxyFlags struct {
	api, upstream, listen, userHeader, app string
	maxWait                                time.Duration
	config                                 string
	remote                                 wire.Remote
	logs                                   logFlags
}

func newProxy() *cobra.Command {
	var f proxyFlags
	cmd := &cobra.Command{
		Use:   "proxy --api NAME --upstream URL --listen ADDR",
		Short: "Stand in front of one API: hold each request until it may be sent",
		Long: `Stand in front of one API: hold each request until it may be sent.

Services call the proxy instead of the API. A request waits for its permit for
--max-wait; then it is answered 429, with a Retry-After that is true. The broker
runs within this process unless --broker names one.

--upstream, --listen and --user-header may stand in the configuration instead,
under apis.NAME.proxy. The file is read again as by serve.`,
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.api, "api", "", "`name` of the API, as the broker knows it")
	flags.StringVar(&f.upstream, "upstream", "", "`URL` of the API, such as https://api.linkedin.com")
	flags.StringVar(&f.listen, "listen", "", "`address` for the services, such as 127.0.0.1:8080")
	flags.StringVar(&f.userHeader, "user-header", "", "`header` of a request that says for which user it is")
	flags.StringVar(&f.app, "app", "", "`name` of the application whose credentials the requests have")
	flags.DurationVar(&f.maxWait, "max-wait", client.DefaultMaxWait, "how long a request is held; 0 holds none")
	flags.StringVar(&f.config, "config", "", "YAML `file` with the API's limits, for the broker in this process")
	flags.StringVar(&f.remote.Address, "broker", "", "`address` of a broker to ask instead; beyond loopback with TLS")
	flags.StringVar(&f.remote.CA, "broker-ca", "", "PEM `file` of the authorities that sign the broker's certificate (default: the system's)")
	flags.StringVar(&f.remote.Cert, "broker-cert", "", "PEM `file` of the certificate to show the broker")
	flags.StringVar(&f.remote.Key, "broker-key", "", "PEM `file` of that certificate's private key")
	f.logs.add(cmd)
	return cmd
}

// run serves until the context ends, and says on out where.
func (f *proxyFlags) run(ctx context.Context, out, stderr io.Writer) error {
	log, err := f.logs.logger(stderr)
	if err != nil {
		return err
	}
	file, conf, err := openConfig(f.config)
	if err != nil {
		return err
	}
	settings, err := f.settings(conf)
	if err != nil {
		return err
	}
	link, err := f.link(conf, log)
	if err != nil {
		return err
	}
	settings.Client, settings.Log = link.Client, log
	proxy, err := newProxyService(ctx, settings, f.listen, link)
	if err != nil {
		return errors.Join(err, link.Close(ctx))
	}
	if broker := link.Broker(); broker != nil {
		defer newReloader(file, conf, broker, f.keepsAPI, log).start(ctx)()
	}
	proxy.announce(out, log)
	return until(ctx, log, []service{proxy})
}

// keepsAPI reports a configuration without the API before which the proxy stands.
func (f *proxyFlags) keepsAPI(conf *config.Config) error {
	if err := wire.CheckAPI(conf, f.api); err != nil {
		return fmt.Errorf("the proxy's --api: %w", err)
	}
	return nil
}

// link is the way to the broker.
func (f *proxyFlags) link(conf *config.Config, log *slog.Logger) (*wire.Link, error) {
	caller := client.WithCaller(proxyCaller)
	if f.remote.Address != "" {
		return f.remote.Link(caller)
	}
	return wire.Local(conf, log, caller)
}

// newProxyService listens.
func newProxyService(ctx context.Context, settings quotaproxy.Config, address string, link *wire.Link) (service, error) {
	handler, err := quotaproxy.New(settings)
	if err != nil {
		return service{}, &usageError{err.Error()}
	}
	lis, err := listen(ctx, "--listen", address)
	if err != nil {
		return service{}, err
	}
	server := &http.Server{
		Handler: handler, ErrorLog: slog.NewLogLogger(settings.Log.Handler(), slog.LevelWarn),
		// A response may take as long as the API does: what is bounded is how
		// long a client may take to say what it wants.
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	stop := func(ctx context.Context) error {
		// Requests that are held are answered when the client closes; those
		// under way upstream finish.
		return errors.Join(link.Client.Close(), server.Shutdown(ctx), link.Close(ctx))
	}
	return service{"proxy of " + settings.Upstream.String(), lis, server.Serve, stop}, nil
}
