package config_test

import "testing"

func TestShadow(t *testing.T) {
	c := load(t, "working_shadow.yaml")
	for name, want := range map[string]bool{"acme": true, "github": false, "other": false} {
		if got := c.APIs[name].Shadow; got != want {
			t.Errorf("%s: shadow %v, want %v", name, got, want)
		}
	}
}
