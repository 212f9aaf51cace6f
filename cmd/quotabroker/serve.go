package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/cmd/quotabroker/wire"
	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/rest"
)

// stopWithin is how long a stop may take before what is left is cut off.
const stopWithin = 10 * time.Second

func newServe() *cobra.Command {
	var file string
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer services over gRPC; health and metrics over HTTP",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML `file`; without one any API works by its name, on loopback only")
	logs.add(cmd)
	cmd.RunE = action(func(cmd *cobra.Command) error {
		log, err := logs.logger(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		c, err := loadConfig(file)
		if err != nil {
			return err
		}
		return serve(cmd.Context(), c, log, cmd.OutOrStdout())
	})
	return cmd
}

// loadConfig reads the file, or is the default without one.
func loadConfig(file string) (*config.Config, error) {
	if file == "" {
		return config.Default(), nil
	}
	return config.Load(file)
}

// serve runs a broker until the context ends, and says on out where it listens.
func serve(ctx context.Context, c *config.Config, log *slog.Logger, out io.Writer) error {
	broker, err := wire.NewServer(c, log)
	if err != nil {
		return err
	}
	handler := rest.Handler(rest.Options{Ready: broker.Serving, Metrics: broker.Metrics(), Log: log})
	web := &webServer{Server: rest.NewServer(handler, log), tls: c.TLS}
	servers, err := bind(ctx, broker, web, c)
	if err != nil {
		return errors.Join(err, broker.Stop(ctx))
	}
	for _, s := range servers {
		s.announce(out, log)
	}
	return until(ctx, log, servers)
}

// bind opens both addresses, or none.
func bind(ctx context.Context, broker *wire.Server, web *webServer, c *config.Config) ([]service, error) {
	lis, err := listen(ctx, "listen", c.Listen)
	if err != nil {
		return nil, err
	}
	webLis, err := listen(ctx, "http", c.HTTP)
	if err != nil {
		return nil, errors.Join(err, lis.Close())
	}
	return []service{
		{"gRPC", lis, broker.Serve, broker.Stop},
		{"health and metrics over HTTP", webLis, web.serve, web.Shutdown},
	}, nil
}
