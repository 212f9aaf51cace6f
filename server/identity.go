package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/quotabroker/quotabroker/server/quota"
)

// errIdentity says that a verified certificate names nobody that can be used.
// The caller's own word must not stand in for it.
var errIdentity = errors.New("the client certificate does not name a caller")

// callerOf is who calls: the identity of a verified client certificate, or, on
// a connection without one, the name that the caller gave itself.
func callerOf(ctx context.Context, claimed string) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return claimed, nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return claimed, nil
	}
	name := certificateName(info.State.VerifiedChains[0][0])
	if name == "" {
		return "", fmt.Errorf("%w: give it a URI or DNS subject alternative name, or a common name", errIdentity)
	}
	if err := quota.CheckPart("client certificate", name); err != nil {
		return "", fmt.Errorf("%w: %w", errIdentity, err)
	}
	return name, nil
}

// certificateName is the first URI of a certificate, else its first DNS name,
// else its common name.
func certificateName(c *x509.Certificate) string {
	switch {
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	default:
		return c.Subject.CommonName
	}
}

// connListener makes the connections that it accepts tell themselves apart: a
// remote address alone would not do, because it is the same for all connections
// of one unix socket.
type connListener struct{ net.Listener }

// Accept implements net.Listener.
func (l connListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return conn{c, &connAddr{c.RemoteAddr()}}, nil
}

// conn is one connection.
type conn struct {
	net.Conn
	remote *connAddr
}

// RemoteAddr implements net.Conn.
func (c conn) RemoteAddr() net.Addr { return c.remote }

// connAddr is the remote address of one connection; its pointer is the
// connection's identity.
type connAddr struct{ net.Addr }

// connOf is the connection that a call came in by, nil outside one.
func connOf(ctx context.Context) any {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	if c, ok := p.Addr.(*connAddr); ok {
		return c
	}
	return nil
}
