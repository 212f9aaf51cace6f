// Package alert decides when people are told of a quota, and in which words.
//
// It is pure, as package quota is: a [Book] is shown the status of buckets and
// the time, and answers with what there is to say. It says each thing once: an
// alert has two edges that lie apart, so that a quota at the edge does not
// flap, and ends by itself when its window is over, even if nobody calls any
// more. What many users have in common is one alert with a count. Package
// deliver brings the notices to people.
package alert
