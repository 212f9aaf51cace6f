// Package deliver brings alerts to people: to the log and to webhooks.
//
// A [Service] follows a broker by a watch of everything, shows what it sees to
// an [alert.Book], and hands the notices to its sinks. It is never in the way of
// a grant: a watch keeps what is not read yet as a set, it is read at a bounded
// pace, and each sink has a goroutine and a bounded queue of its own.
//
// A notice is delivered at least once, in the order of its alert, and tried until
// the receiver takes it. It comes twice only if an answer was lost, and then
// with the same id. What a receiver that is away for very long can't be told
// any more is counted and logged: alerts that are over go first.
package deliver
