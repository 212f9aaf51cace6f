package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quotabroker/quotabroker/server/config"
)

// Most of these take a parser that follows them minutes, or its stack.
func TestBombs(t *testing.T) {
	full := func(s string) string { return strings.Repeat(s, config.MaxSize/len(s)) }
	for _, c := range []struct{ name, text, want string }{
		{"brackets", full("["), `f:1:33: file: "[": nested more than 32 deep`},
		{"braces", full("{a: "), `f:1:129: file: "{": nested more than 32 deep`},
		{"dashes", full("- "), `f:1:65: file: "-": nested more than 32 deep`},
		{"questions", full("? "), `nested more than 32 deep`},
		{"documents", full("---\n"), `f:2:1: file: "---": a second document`},
		{"keys", full("a: {}\n"), `f:50001:2: file: ":": more than 50000 keys`},
		{"duplicates", strings.Repeat("a: {}\n", 1000), `f:2:1: file: "a": duplicate key`},
		{"items", full("- a\n"), `f:1:1: file: "[…]": must be a mapping`},
		{"laughs", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", `f:1:1: file: "a": unknown key`},
		{"long key", "apis: {" + full("k")[100:] + ": {}}", `at most 256 bytes`},
		{"large", full("#") + "#", `f: file: "more than 1048576 bytes": too large`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Parse("f", []byte(c.text))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.200s, want %s", err, c.want)
			}
			if len(err.Error()) > 64<<10 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestDepthBound(t *testing.T) {
	nested := func(n int) string { return "a: " + strings.Repeat("[", n) + strings.Repeat("]", n) }
	if _, err := config.Parse("f", []byte(nested(config.MaxDepth))); strings.Contains(err.Error(), "nested") {
		t.Errorf("at the bound: %v", err)
	}
	if _, err := config.Parse("f", []byte(nested(config.MaxDepth+1))); !strings.Contains(err.Error(), "nested") {
		t.Errorf("beyond the bound: %v", err)
	}
}

func TestLoadStopsAtTheBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large.yaml")
	for size, want := range map[int]string{config.MaxSize: "", config.MaxSize + 1: "too large", 3 * config.MaxSize: "too large"} {
		if err := os.WriteFile(path, []byte(strings.Repeat("#", size)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes: got %v", size, err)
		}
	}
}

func TestSecondDocument(t *testing.T) {
	for text, want := range map[string]string{
		"---\n---\n":                            "f:2:1",
		"max_wait: 1m\n---\n":                   "f:2:1",
		"max_wait: 1m\n...\nmax_wait: 1m\n":     "f:3:1",
		"max_wait: 1m\n...\n---\n":              "f:3:1",
		"# c\n---\n# c\nmax_wait: 1m\n...\n# c": "",
	} {
		_, err := config.Parse("f", []byte(text))
		if want == "" && err != nil {
			t.Errorf("%q: got %v", text, err)
		}
		if want != "" && (err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "second document")) {
			t.Errorf("%q: got %v, want it at %s", text, err, want)
		}
	}
}

func TestNotText(t *testing.T) {
	for text, want := range map[string]string{
		"listen: a\n http: \xff":          "f:2:8: file: \"bytes\": must be UTF-8",
		"listen: a\x00":                   "f:1:10:",
		"listen: \x1b[31m":                "f:1:9:",
		"l\x00\x00":                       "f:1:2:",
		"\ufeff\ufefflisten: 127.0.0.1:1": "unknown key",
	} {
		if _, err := config.Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	for _, text := range []string{"\ufefflisten: 127.0.0.1:1\n", "listen: 127.0.0.1:1\r\nmax_wait: 5m\r\n"} {
		c, err := config.Parse("f", []byte(text))
		if err != nil || c.Listen != "127.0.0.1:1" {
			t.Errorf("%q: got %+v, %v", text, c, err)
		}
	}
}
