// Package rest is the broker's HTTP side: whether it is alive, whether it
// serves, and its metrics. It needs nothing but what it is given, and knows
// neither the gRPC transport nor any engine.
package rest
