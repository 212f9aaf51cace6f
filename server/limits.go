package server

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// What one peer may ask of the server, and for how long. The library's own
// values are made for trusted networks: four billion streams a connection, 16
// MiB of headers.
const (
	maxConnections = 4096
	maxStreams     = 1024
	maxMessage     = 256 << 10
	maxHeaders     = 16 << 10
	// handshakeTime is for a connection to become one: TCP open and silent ends here.
	handshakeTime = 5 * time.Second
	// stopGrace is how long a stop waits for calls under way.
	stopGrace = 5 * time.Second
)

// limits are the options that bound every connection. No compressor is
// registered: what is received is never larger than what was sent.
func limits() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: 30 * time.Second,
			// A watcher may have nothing else open and still wants to know that
			// the broker is there.
			PermitWithoutStream: true,
		}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     15 * time.Minute,
			MaxConnectionAge:      30 * time.Minute,
			MaxConnectionAgeGrace: 30 * time.Second,
			Time:                  30 * time.Second,
			Timeout:               10 * time.Second,
		}),
		grpc.WaitForHandlers(true),
	}
}
