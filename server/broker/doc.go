// Package broker is the use cases: acquire, report, release, watch.
//
// It puts what the pure model of package quota leaves out around it: locks,
// clocks, timers, waiting callers, permits by id, the store. Its unit is the
// shard: everything of one (API, application) is behind one lock, in one
// ledger, so that a decision is taken in one place and in one order.
//
// Three things happen to a shard: a caller comes (acquire, report, release),
// time passes (one timer, set to the ledger's next event), or the store answers
// (one goroutine, the keeper, which runs only while something is owed). After
// each of them the same step follows: whoever can go goes, watchers are told,
// the keeper and the timer are set. Nothing polls, and no lock is held over I/O.
//
// A caller that must wait stands at the bucket that blocks it, ordered by when
// it came less the head start of its class; when that bucket opens it tries
// again, and moves on to the next bucket that blocks it with its place in the
// order kept.
package broker
