package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
)

// service is a server on its listener.
type service struct {
	// what it is to people.
	what string
	lis  net.Listener
	// serve returns when stop has stopped it, or by itself with an error.
	serve func(net.Listener) error
	stop  func(context.Context) error
}

// announce says where it listens.
func (s service) announce(out io.Writer, log *slog.Logger) {
	if _, err := fmt.Fprintf(out, "%s on %s\n", s.what, s.lis.Addr()); err != nil {
		log.Warn("cannot say where it listens", "error", err)
	}
}

// until runs services until the context ends or one of them fails, and then
// stops them in order. It returns the failure, and what a stop could not do.
func until(ctx context.Context, log *slog.Logger, services []service) error {
	ended := make(chan error, len(services))
	for _, s := range services {
		go func() { ended <- s.serve(s.lis) }()
	}
	var err error
	running := len(services)
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-ended:
		running--
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	for _, s := range services {
		err = errors.Join(err, s.stop(stopping))
	}
	for range running {
		if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
	}
	return err
}
