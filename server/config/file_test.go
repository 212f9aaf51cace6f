package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/quotabroker/quotabroker/server/config"
)

const (
	small = "max_wait: 1s\n"
	large = "max_wait: 2s\n"
	bad   = "max_wait: never\n"
)

// edited is a file that a test writes to.
type edited struct {
	*testing.T
	path string
	file *config.File
}

func edit(t *testing.T, text string) *edited {
	t.Helper()
	e := &edited{T: t, path: filepath.Join(t.TempDir(), "c.yaml")}
	e.write(text)
	e.open(e.path)
	return e
}

func (e *edited) open(path string) {
	e.Helper()
	f, c, err := config.Open(path)
	if err != nil || c.MaxWait.String() != "1s" {
		e.Fatalf("Open: %+v, %v", c, err)
	}
	e.file = f
}

func (e *edited) write(text string) {
	e.Helper()
	if err := os.WriteFile(e.path, []byte(text), 0o600); err != nil {
		e.Fatal(err)
	}
}

// poll looks once: want is the max_wait that it must find, "" for nothing fresh, or
// a part of the error.
func (e *edited) poll(want string) {
	e.Helper()
	c, fresh, err := e.file.Poll()
	got := ""
	switch {
	case err != nil:
		got = err.Error()
	case fresh:
		got = c.MaxWait.String()
	}
	if !strings.Contains(got, want) || (got == "") != (want == "") || fresh != (want != "") {
		e.Fatalf("Poll: %q, fresh %v; want %q", got, fresh, want)
	}
}

// A change is taken once two looks have found the same, and then once.
func TestPollTakesWhatHasSettled(t *testing.T) {
	e := edit(t, small)
	e.poll("")
	e.write(large)
	e.poll("")
	e.poll("2s")
	e.poll("")
	// Half of it, and then all: the half is never taken.
	e.write(small + "apis:\n")
	e.poll("")
	e.write(small + "apis: {x: {}}\n")
	e.poll("")
	e.poll("1s")
	// There and back between two looks.
	e.write(bad)
	e.write(small + "apis: {x: {}}\n")
	e.poll("")
	e.poll("")
}

// What is wrong is said once, and not again until the file is another.
func TestPollTellsABadFileOnce(t *testing.T) {
	e := edit(t, small)
	sum := e.file.Sum()
	e.write(bad)
	e.poll("")
	e.poll(`c.yaml:1:11: max_wait: "never"`)
	e.poll("")
	e.write(small)
	e.poll("")
	e.poll("1s")
	if e.file.Sum() != sum {
		t.Error("the same content has another sum")
	}
	if err := os.Remove(e.path); err != nil {
		t.Fatal(err)
	}
	e.poll("")
	e.poll("read configuration")
	e.poll("")
	e.write(small)
	e.poll("")
	e.poll("1s")
}

// A content of the same size and time is another file all the same.
func TestPollGoesByContent(t *testing.T) {
	e := edit(t, small)
	before, err := os.Stat(e.path)
	if err != nil {
		t.Fatal(err)
	}
	e.write(large)
	if err := os.Chtimes(e.path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	e.poll("")
	e.poll("2s")
}

// A mounted ConfigMap is a link to a link that is pointed elsewhere.
func TestPollFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"one": small, "two": large} {
		must(os.Mkdir(at(name), 0o700))
		must(os.WriteFile(at(name, "c.yaml"), []byte(text), 0o600))
	}
	must(os.Symlink("one", at("..data")))
	must(os.Symlink(filepath.Join("..data", "c.yaml"), at("c.yaml")))
	e := &edited{T: t}
	e.open(at("c.yaml"))
	e.poll("")
	must(os.Symlink("two", at("..tmp")))
	must(os.Rename(at("..tmp"), at("..data")))
	e.poll("")
	e.poll("2s")
}

// Read takes the file as it is.
func TestReadTakesAtOnce(t *testing.T) {
	e := edit(t, small)
	e.write(large)
	if c, err := e.file.Read(); err != nil || c.MaxWait.String() != "2s" {
		t.Errorf("got %+v, %v", c, err)
	}
	e.poll("")
	e.poll("")
	if err := os.Remove(e.path); err != nil {
		t.Fatal(err)
	}
	if _, err := e.file.Read(); err == nil {
		t.Error("a file that is gone was read")
	}
	e.poll("")
	e.poll("")
}

// A pipe is read once, and never waited for again.
func TestOpenAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(path, []byte(small), 0) }() // Open fails without it
	e := &edited{T: t}
	e.open(path)
	e.poll("")
	if _, err := e.file.Read(); err == nil || !strings.Contains(err.Error(), "restart instead") {
		t.Errorf("got %v", err)
	}
}
