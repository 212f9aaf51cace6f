package main

import (
	"runtime/debug"
	"testing"
)

func TestTuneGC(t *testing.T) {
	was := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(was) })
	for _, tt := range []struct {
		name string
		set  bool
		want int
	}{
		{"set by the environment", true, 100},
		{"not set", false, gcPercent},
	} {
		tuneGC(func(name string) (string, bool) { return "50", tt.set && name == "GOGC" })
		if got := debug.SetGCPercent(100); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}
