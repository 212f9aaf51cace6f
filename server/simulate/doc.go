// Package simulate has what stands on the other side of the broker: an upstream
// that enforces quotas and keeps the judge's books of them.
//
// It is the judge of every run, so it shares no code with the judged: it does
// not import the model of quotas, and counts in the plainest way there is. Time
// is an argument; nothing here has a goroutine, a lock, a clock or a network.
package simulate
