// Package timeline draws what happened in a simulated run, as an SVG picture: for
// each bucket what was truly left and what the strategy believed to be left, the
// calls that the upstream counted, the 429s, and where the windows begin.
//
// The buckets are those of the first call that the fleet could make: one for each
// limit. The same run gives the same picture, to the byte.
package timeline
