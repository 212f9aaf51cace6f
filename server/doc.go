// Package server is the broker's gRPC transport: it turns the contract of
// package quotabroker.v1 into calls of the use cases, and their answers back.
//
// Nothing is decided here. convert.go and its siblings are the only place that
// knows both the wire and the domain, and where all bad input is found;
// errors.go is the only place with status codes. The rest is what a server
// owes its network: limits, TLS, logs, metrics, health, and an orderly stop.
//
// A [Server] speaks plaintext on loopback only. Beyond it, it asks for a
// certificate, and with a client CA the verified certificate of a client is who
// it is, whatever its requests say.
//
// The same port answers what an operator asks: on a plaintext connection, which
// is this machine's, and over TLS only to a verified client certificate. So with
// TLS and without a client CA nobody is answered.
package server
