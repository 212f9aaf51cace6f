package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

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

// conn stands for one connection. Its address is its identity, so it must not
// be of size zero: such values may share one.
type conn struct{ _ byte }

type connKey struct{}

// connOf is the connection that a call came in by, nil outside one.
func connOf(ctx context.Context) any { return ctx.Value(connKey{}) }

// connTagger marks each connection's context: the remote address would not do,
// because it is the same for all connections of one unix socket.
type connTagger struct{}

// TagConn implements stats.Handler.
func (connTagger) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connKey{}, new(conn))
}

// HandleConn implements stats.Handler.
func (connTagger) HandleConn(context.Context, stats.ConnStats) {}

// TagRPC implements stats.Handler.
func (connTagger) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (connTagger) HandleRPC(context.Context, stats.RPCStats) {}
