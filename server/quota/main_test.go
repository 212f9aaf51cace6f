package quota

import (
	"flag"
	"os"
	"testing"
)

// Each property is tried in ten thousand cases, or as -rapid.checks says; in a
// hundred with -short, where the race detector makes each ten times as slow.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given && !testing.Short() {
		if err := flag.Set("rapid.checks", "10000"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// long leaves a test of very many events out with -short: the race detector makes
// each take minutes, and finds nothing where there are no goroutines.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("very many events")
	}
}
