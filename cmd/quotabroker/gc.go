package main

import "runtime/debug"

// gcPercent is how much the heap may grow before it is collected, in per cent of
// what was left after the last time. A broker's heap is small and its garbage is
// short-lived: see the package's comment for what it gains.
const gcPercent = 400

// tuneGC sets the garbage collector's target unless the environment does.
func tuneGC(lookupEnv func(string) (string, bool)) {
	if _, set := lookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}
