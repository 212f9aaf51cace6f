// Package simulate runs a fleet against an upstream in virtual time, and keeps
// the judge's books of it.
//
// A [Scenario] says what the upstream enforces and tells, who calls it and what
// goes wrong; a [Strategy] decides when each call is sent; [Run] plays one
// against the other and returns a [Result]. The same seed gives the same run.
//
// It is the judge of every strategy, so it shares no code with the judged: it
// does not import the model of quotas, and counts in the plainest way there is.
// Nothing here has a goroutine, a lock, a clock or a network.
//
// # The books
//
// For each limit and key the judge keeps a [Window] for every true window of
// that bucket: what it counted of ours and of others, what it refused, and what
// was wanted. A limit without windows of its own (sliding, refill, concurrent)
// is judged by slices of time; [Window] says which.
//
// A window's share counts only where the demand exceeded what there was, so it
// matters how demand is measured. Calls that fall due by themselves are wanted
// when they fall due, and until they are served or given up. A worker that wants
// its next call when the last is done has no such number: for each round trip
// that it was made to wait, it would have made one call more. So
//
//	wanted = counted + open calls held at the end + calls given up
//	         + time that workers' calls were held ÷ round trip
//
// and the demand exceeds what there was when that is more. A call is held while
// its strategy has it and has not sent it: a strategy that dawdles does not make
// the demand go away. A call that was given up is not wanted of a bucket if
// another one, that counts it too, had nothing left.
//
// A window is left out when something else than the strategy made it what it was:
// it is not whole, the limit changed or the upstream was out, or a wider bucket
// that counts the same calls was spent meanwhile.
package simulate
