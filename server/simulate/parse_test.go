package simulate

import "testing"

// builtins are the scenarios that come with the package.
func builtins(t *testing.T) []*Scenario {
	t.Helper()
	all, err := Builtins()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBuiltinsAreDistinct(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range builtins(t) {
		name := s.Name + ", " + s.Variant
		if seen[name] || s.About == "" || len(s.Broker) == 0 || s.Expect.Used+s.Expect.Served == 0 {
			t.Errorf("%s: given twice, or without about, broker or expectation", name)
		}
		seen[name] = true
	}
}

// TestBuiltinsCanBeMet holds that whoever knows what is left does what each
// scenario expects, and that whoever does not care fails, so that the
// expectations say something. Faults have to come true.
func TestBuiltinsCanBeMet(t *testing.T) {
	for _, s := range builtins(t) {
		t.Run(s.Name+", "+s.Variant, func(t *testing.T) {
			known := *s
			if len(s.Upstream.Others) > 0 {
				known.Expect.Refused *= 2 // what others take meanwhile is not known before
			}
			for _, failure := range known.Judge(play(t, s, 1, newSeer)) {
				t.Error(failure)
			}
			if s.Expect.Used > 0 && s.Judge(play(t, s, 1, newDoubler)) == nil {
				t.Error("whoever calls at once does what is expected, too")
			}
		})
	}
}
