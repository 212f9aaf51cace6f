package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// listen opens an address that a field of the configuration, or a flag, names.
func listen(ctx context.Context, field, address string) (net.Listener, error) {
	var c net.ListenConfig
	lis, err := c.Listen(ctx, "tcp", address)
	if err == nil {
		return lis, nil
	}
	remedy := "give a host:port of this machine"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "stop the process that has this port, or choose another port"
	case errors.Is(err, os.ErrPermission):
		remedy = "choose a port above 1023"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // without the address, which is said already
	}
	return nil, fmt.Errorf("%s: %q: %w: %s", field, address, err, remedy)
}
