package simulate

import (
	"strings"
	"testing"
)

func TestBuiltins(t *testing.T) {
	all, err := Builtins()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, s := range all {
		name := s.Name + "/" + s.Variant
		if seen[name] || s.About == "" || len(s.Broker) == 0 {
			t.Errorf("%s: given twice, or without about or broker", name)
		}
		seen[name] = true
		t.Run(name, func(t *testing.T) {
			r := play(t, s, 1, newEager)
			t.Logf("sent %d served %d refused %d windows %d broker %s", r.Sent, r.Served, r.Refused, len(r.Windows), s.Broker)
			for _, failure := range s.Judge(r) {
				if strings.Contains(failure, "never came true") || strings.Contains(failure, "contended") {
					t.Error(failure)
				}
			}
		})
	}
}
