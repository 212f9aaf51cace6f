package server

import "google.golang.org/grpc"

// Limits are the options that bound every connection of a server.
func Limits() []grpc.ServerOption { return limits() }
