package simulate

import (
	"testing"
	"time"
)

// BenchmarkRun is of some ten thousand calls of a strategy that does next to
// nothing: what the engine costs.
func BenchmarkRun(b *testing.B) {
	s := saturating()
	s.Duration = 400 * time.Second
	sent := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Run(s, 1, newEager)
		if err != nil {
			b.Fatal(err)
		}
		sent += r.Sent
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/call")
}
