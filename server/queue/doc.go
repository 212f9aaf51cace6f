// Package queue is who gets the next permit of a ledger.
//
// Whoever must wait stands at the bucket that blocks the call, ordered by when it
// came less the head start of its class. When that bucket opens, the first one
// tries again, and moves on to the next bucket that blocks it with its place in
// the order kept. Nobody is overtaken at a bucket by one that comes after it, and
// nobody is held back by a queue in which all come after it.
//
// It is as pure as the ledger: time is an argument, and there is no goroutine,
// lock, clock or I/O. Who waits, for how long, and what becomes of a decision is
// its host's: the broker's, or a simulation's.
package queue
