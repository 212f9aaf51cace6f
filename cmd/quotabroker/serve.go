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
	var megabytes uint32
	record := wire.Recording{Version: version()}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer services over gRPC; health and metrics over HTTP",
		Long: `Answer services over gRPC; health and metrics over HTTP.

The file of --config is read again when it changes, and at once on SIGHUP. Its
apis and allow_unknown are then in force and what was counted stays; whatever else
is different takes a restart, and the log says so. A file that is wrong changes
nothing: the log has every problem, and quotabroker_config_reload_successful is 0.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML `file`; without one any API works by its name, on loopback only")
	cmd.Flags().StringVar(&record.Path, "record", "", "append what is decided and reported to this `file`")
	cmd.Flags().Uint32Var(&megabytes, "record-max-mb", 1000, "put a recording of so many `megabytes` aside, as FILE.1, and begin anew; 0 lets it grow")
	cmd.Flags().BoolVar(&record.Users, "record-users", false, "record users and the values of labels as they are, not as pseudonyms")
	logs.add(cmd)
	cmd.RunE = action(func(cmd *cobra.Command) error {
		for _, name := range []string{"record-users", "record-max-mb"} {
			if record.Path == "" && cmd.Flags().Changed(name) {
				return &usageError{"--" + name + ": goes with --record: name the file, or leave it out"}
			}
		}
		record.MaxSize = int64(megabytes) * 1e6
		log, err := logs.logger(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		opened, c, err := openConfig(file)
		if err != nil {
			return err
		}
		return serve(cmd.Context(), opened, c, record, log, cmd.OutOrStdout())
	})
	return cmd
}

// serve runs a broker until the context ends, follows its file if there is one, and
// says on out where it listens.
func serve(ctx context.Context, file *config.File, c *config.Config, record wire.Recording, log *slog.Logger, out io.Writer) error {
	broker, err := wire.NewRecordedServer(c, record, log)
	if err != nil {
		return err
	}
	handler := rest.Handler(rest.Options{Ready: broker.Serving, Metrics: broker.Metrics(), Log: log})
	web := &webServer{Server: rest.NewServer(handler, log), tls: c.TLS}
	servers, err := bind(ctx, broker, web, c)
	if err != nil {
		return errors.Join(err, broker.Stop(ctx))
	}
	anything := func(*config.Config) error { return nil }
	defer newReloader(file, c, broker, anything, log).start(ctx)()
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
