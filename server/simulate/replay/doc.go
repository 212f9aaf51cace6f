// Package replay makes a scenario of a broker's recording: the demand as it was, an
// upstream as the recording shows it, and another configuration to be tried, or the
// one that was in force. A what-if.
//
// The demand is every acquire that was not a dry run, when it was asked for, with its
// scope, its costs and its patience. What a caller would have done otherwise had it
// been answered otherwise, the recording cannot know: whoever was denied and asked
// again is two calls here, and a service that waits for one answer before it asks the
// next question asks at the same instants whatever happens.
//
// The upstream is known by its answers alone. Its limits are those that the recorded
// configuration has, with the quotas and phases that the answers told; of what was
// neither configured nor told, nothing is enforced, and other consumers are not
// played. Whoever knows better says so by an upstream of their own.
package replay
