package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/recorder"
	"github.com/quotabroker/quotabroker/server/telemetry"
)

// Server is a broker and the gRPC server in front of it. It is safe for
// concurrent use.
type Server struct {
	metrics *prometheus.Registry
	traces  *telemetry.Traces // nil when there are none
	store   store
	broker  *broker.Broker
	grpc    *server.Server
	alerts  alerts
	// recorder is nil when nothing is recorded.
	recorder *recorder.Recorder
}

// NewServer makes a server of a configuration; it starts nothing that must be
// stopped when it returns an error. The error names the field that cannot be
// used. A nil log discards everything.
func NewServer(c *config.Config, log *slog.Logger) (*Server, error) {
	return NewRecordedServer(c, Recording{}, log)
}

// NewRecordedServer is as [NewServer], and records what it decides.
func NewRecordedServer(c *config.Config, rec Recording, log *slog.Logger) (*Server, error) {
	s := &Server{}
	apis, err := listed(c)
	if err != nil {
		return nil, err
	}
	if s.store, err = openStore(c.Store); err != nil {
		return nil, err
	}
	s.broker, err = broker.New(broker.Config{
		APIs: apis, Unknown: unlisted(c), Store: s.store, MaxWait: c.MaxWait, Log: log,
	})
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.metrics = newMetrics(s.broker)
	o := server.Options{Metrics: s.metrics, Log: log}
	if c.TLS != nil {
		o.TLS = server.TLS{Cert: c.TLS.Cert, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA}
	}
	front, err := s.decorate(c, apis, rec, log, &o)
	if err == nil {
		s.grpc, err = server.New(front, o)
	}
	if err != nil {
		return nil, errors.Join(err, s.stopBroker(context.Background()))
	}
	if s.alerts, err = startAlerts(s.broker, c.Alerts, log); err != nil {
		return nil, errors.Join(err, s.Stop(context.Background()))
	}
	return s, nil
}

// listed is the configured upstreams.
func listed(c *config.Config) (map[string]broker.API, error) {
	apis := make(map[string]broker.API)
	for name, api := range c.APIs {
		a, ok := upstream(api)
		if !ok {
			return nil, fmt.Errorf("apis.%s.dialect: %q: choose one of %s",
				name, api.Dialect, strings.Join(dialect.Names(), ", "))
		}
		apis[name] = a
	}
	return apis, nil
}

// unlisted makes the upstream of a name that the configuration does not have.
func unlisted(c *config.Config) func(string) (broker.API, bool) {
	return func(name string) (broker.API, bool) {
		api, ok := c.Unlisted(name)
		if !ok {
			return broker.API{}, false
		}
		return upstream(api)
	}
}

func upstream(a config.API) (broker.API, bool) {
	d, ok := dialect.Builtin(a.Dialect)
	return broker.API{Rules: a.Rules, Dialect: dialect.Free(d, a.Free...), Shadow: a.Shadow}, ok
}

// CheckAPI reports an API that a broker of this configuration would refuse, and
// names those that it has.
func CheckAPI(c *config.Config, name string) error {
	_, ok := c.APIs[name]
	if !ok {
		_, ok = c.Unlisted(name)
	}
	if ok {
		return nil
	}
	return fmt.Errorf("%q: the configuration has %s: name one of them, add it under apis, or set allow_unknown: true",
		name, strings.Join(slices.Sorted(maps.Keys(c.APIs)), ", "))
}

// Serve answers the calls of one listener until [Server.Stop]; call it once.
func (s *Server) Serve(lis net.Listener) error { return s.grpc.Serve(lis) }

// Serving reports whether new calls are welcome.
func (s *Server) Serving() bool { return s.grpc.Serving() }

// Metrics are the server's and the process's.
func (s *Server) Metrics() prometheus.Gatherer { return s.metrics }

// Stop answers every waiter, lets calls under way finish for a few seconds or
// until the context ends, and closes the broker and its store.
func (s *Server) Stop(ctx context.Context) error {
	err := errors.Join(s.grpc.Stop(ctx), s.stopBroker(ctx))
	s.alerts.stop(ctx) // last: a receiver that hangs costs time
	return err
}

// decorate puts what only looks at calls in front of the broker.
func (s *Server) decorate(c *config.Config, apis map[string]broker.API, rec Recording, log *slog.Logger, o *server.Options) (server.Broker, error) {
	front, traces, err := trace(s.broker, c, log, o)
	if err != nil {
		return nil, err
	}
	s.traces = traces
	if rec.Path == "" {
		return front, nil
	}
	if s.recorder, err = rec.start(s.metrics, log); err != nil {
		return nil, err
	}
	s.recorder.Configured(apis)
	return recorder.Broker{Broker: front, Recorder: s.recorder}, nil
}

// stopBroker closes the broker and what stands around it, as far as that was
// started. Nobody calls any more.
func (s *Server) stopBroker(ctx context.Context) error {
	err := errors.Join(s.broker.Close(ctx), s.store.Close(), s.traces.Stop(ctx))
	if s.recorder != nil {
		err = errors.Join(err, s.recorder.Close(ctx))
	}
	return err
}
