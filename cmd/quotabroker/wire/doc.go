// Package wire puts the parts of a broker together: what a configuration says,
// a store, the use cases, and the gRPC server in front of them. It decides
// nothing itself.
package wire
