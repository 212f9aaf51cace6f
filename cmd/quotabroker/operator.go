package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotaadmin"
	"github.com/quotabroker/quotabroker/cmd/quotabroker/wire"
)

const (
	// defaultBroker is where a broker listens that was told nothing else.
	defaultBroker = "127.0.0.1:7460"
	// answerWithin is how long an operator waits for a broker.
	answerWithin = 10 * time.Second
)

// operatorFlags say which broker an operator asks, and of which scope.
type operatorFlags struct {
	remote wire.Remote
	scope  client.Scope
	asJSON bool
}

func (f *operatorFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.remote.Address, "broker", defaultBroker, "`address` of the broker; beyond loopback with TLS")
	flags.StringVar(&f.remote.CA, "broker-ca", "", "PEM `file` of the authorities that sign the broker's certificate (default: the system's)")
	flags.StringVar(&f.remote.Cert, "broker-cert", "", "PEM `file` of the certificate to show the broker")
	flags.StringVar(&f.remote.Key, "broker-key", "", "PEM `file` of that certificate's private key")
	flags.StringVar(&f.scope.API, "api", "", "`name` of the API")
	flags.StringVar(&f.scope.App, "app", "", "`name` of the application")
	flags.StringVar(&f.scope.User, "user", "", "the `user` on whose behalf calls are made")
	flags.StringVar(&f.scope.Endpoint, "endpoint", "", "`route` template, such as \"GET /v2/people/{id}\"")
	flags.StringToStringVar(&f.scope.Labels, "label", nil, "further parts of the scope, as `name=value`")
	flags.BoolVar(&f.asJSON, "json", false, "write JSON; durations are in seconds")
}

// ask calls the broker, and closes the way to it.
func (f *operatorFlags) ask(ctx context.Context, do func(context.Context, *quotaadmin.Client) error) error {
	if _, _, err := net.SplitHostPort(f.remote.Address); err != nil {
		return &usageError{fmt.Sprintf("--broker: %q: give a host:port, such as %s", f.remote.Address, defaultBroker)}
	}
	admin, closeConn, err := f.remote.Admin()
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, admin), closeConn())
}

// inTime bounds one question to a broker.
func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, answerWithin)
}
