// Package quota is the model of an upstream's quotas: what may still be sent,
// whatever answers are on their way, out of order, or lost.
//
// It is pure. Time is an argument, and there is no goroutine, lock, log, clock
// or I/O, so every rule can be tested by a table of instants. A [Ledger] holds
// the buckets and outstanding permits of one application; the package broker
// puts a lock, waiters and timers around it.
//
// # The words
//
// One word for one thing, the same in the contract, the code, metrics, logs and
// documentation.
//
//   - API: one upstream, by its name in the configuration.
//   - Scope: whose call it is: API, application, user, endpoint, labels.
//   - Limit: one rule: so many units a window, and by which parts of the scope
//     calls are counted together.
//   - Caller: the service that asks.
//   - Window: when the count of a limit begins anew.
//   - Bucket: the state of one limit for one key.
//   - Rhythm: where in each period a window turns of which nobody tells it.
//   - Cost: what one call takes of a bucket, in whole units.
//   - Weight: how many requests a call costs of which nobody says it: learned from
//     how the numbers move that are told.
//   - Decision: allowed or not, by which bucket, and when to ask again. A value,
//     never an error.
//   - Permit: the right to make one call. It ends exactly once: reported,
//     released, or lapsed.
//   - Observation: what one response said of one bucket.
//   - Claim: a limit of which responses tell without saying by which parts of the
//     scope it is counted. It is held to be counted by each that is possible, until
//     answers contradict that.
//   - Dialect: how one API spells all that.
//   - Cool-down: a bucket is closed until an instant, with the reason.
//
// The verbs are Take, Settle, Release and Observe; a bucket turns into its next
// window, and cools down.
//
// # Why it is safe
//
// Inside a window the upstream's remaining only falls. So the lowest value that
// an answer confirmed, less everything that may not be counted in it yet, bounds
// the truth from below; and our own count bounds it whatever the answers say:
//
//	available = min(m − (a − aCov), quota − n − unheard) − o
//
// m is the lowest remaining confirmed in this window; a is the running sum of
// what was settled without numbers, of which aCov is covered by m; n is what was
// answered in this window, and unheard what was not and is not covered either; o is
// what is granted and not settled. Where numbers
// never showed another consumer in windows that we watched from their start, all
// that is counted is our own, and what m may not cover need not be taken off twice:
// m and our own count, with what was lost on the way, then bound what is left. What
// may belong to either of two windows is charged to the new one, and when nobody knows, one
// probe goes out and its answer is believed.
package quota
