// Package recorder writes down what a broker was asked, what it decided and what
// came back, in the form of package recording: for a what-if by the simulator, and
// for whoever wants to know what happened.
//
// It must never hold up a call: what happened is put into a bounded queue, and a
// goroutine makes lines of it and writes them. When the disk is slower than the
// calls, what does not fit is left out and counted. Credentials never get as far as
// here; of the headers that callers report, only those are written that a dialect
// reads, of bodies only where a dialect reads them. Users and the values of labels
// are pseudonyms unless they are asked for, permits always.
//
// A file that has become as long as it may be is followed by another one, which is a
// recording by itself: with its own beginning, and the configuration that is in force.
package recorder
