package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binDir is where the program is built, once.
var binDir string

func TestMain(m *testing.M) {
	var err error
	binDir, err = os.MkdirTemp("", "quotabroker-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(binDir) // of no use to anybody
	os.Exit(code)
}

var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(binDir, "quotabroker")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return bin, nil
})

// patience is how long a test waits for what must happen soon.
const patience = 20 * time.Second

// process is the program, running.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string // of stdout
	stderr *lockedBuffer
	exited chan int
}

// start runs the program until the test ends.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(bin, args...), lines: make(chan string, 100), stderr: &lockedBuffer{}, exited: make(chan int, 1)}
	p.cmd.Dir = t.TempDir() // where the default store's file goes
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
		_ = p.cmd.Wait() // the exit code says it
		p.exited <- p.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have exited
		<-p.exited
		if t.Failed() {
			t.Logf("%v: stderr:\n%s", args, p.stderr)
		}
	})
	return p
}

// address waits for the line that says where something listens.
func (p *process) address(what string) string {
	p.t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case line, open := <-p.lines:
			if !open {
				p.t.Fatalf("it ended: %s", p.stderr)
			}
			if address, ok := strings.CutPrefix(line, what+" on "); ok {
				return address
			}
		case <-timeout:
			p.t.Fatalf("no line with the address of %s", what)
		}
	}
}

// waitForStderr waits until stderr has some text.
func (p *process) waitForStderr(text string) {
	p.t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(p.stderr.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("stderr is %q, and has no %q", p.stderr, text)
		}
	}
}

// signal sends a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the exit code; -1 is death by a signal.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case code := <-p.exited:
		p.exited <- code // for the clean-up
		return code
	case <-time.After(patience):
		p.t.Fatalf("it does not end: %s", p.stderr)
		return 0
	}
}

// lockedBuffer is a buffer that is written and read at the same time.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// writeFile puts a file into the test's directory.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// anyPorts is a configuration that is the default but for its ports and its
// store, which lives as long as the process.
func anyPorts(t *testing.T, more string) string {
	t.Helper()
	return writeFile(t, "quotabroker.yaml", "listen: 127.0.0.1:0\nhttp: 127.0.0.1:0\nstore: {kind: memory}\n"+more)
}

func TestStops(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			p := start(t, "serve", "--config", anyPorts(t, ""))
			p.address("gRPC")
			p.signal(s)
			if code := p.exit(); code != exitOK {
				t.Errorf("got exit code %d, want %d", code, exitOK)
			}
		})
	}
}

// output runs the program within this process, and returns what it said.
func output(t *testing.T, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	exit = run(t.Context(), args, &out, io.Writer(&errs))
	return out.String(), errs.String(), exit
}

// appendFile adds to a file.
func appendFile(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
