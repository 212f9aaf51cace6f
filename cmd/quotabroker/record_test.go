package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server/recording"
)

// recordedIn is the lines of a recording.
func recordedIn(t *testing.T, path string) []*recording.Line {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []*recording.Line
	err = recording.Read(file, func(_ int, l *recording.Line) error {
		lines = append(lines, l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestServeRecords makes two runs with one recording, the second after a change of
// the configuration.
func TestServeRecords(t *testing.T) {
	t.Parallel()
	const api = "apis: {linkedin: {limits: [{name: app, per: [app], quota: 500, window: {fixed: 1m}}]}}\n"
	path := filepath.Join(t.TempDir(), "calls.jsonl")
	for _, more := range []string{"", "--record-users"} {
		conf := anyPorts(t, api)
		p := start(t, strings.Fields("serve --config "+conf+" --record "+path+" "+more)...)
		broker := dial(t, p.address("gRPC"))
		report429(t, broker, guide("linkedin"), "60")
		if _, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: guide("linkedin")}); err == nil {
			t.Error("granted after a refusal")
		}
		if more == "" {
			appendFile(t, conf, "max_wait: 1m\nallow_unknown: true\n")
			p.signal(syscall.SIGHUP)
			p.waitForStderr("allow_unknown")
		}
		p.signal(syscall.SIGTERM)
		if code := p.exit(); code != exitOK {
			t.Errorf("exit code %d", code)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	var kinds []string
	for _, l := range recordedIn(t, path) {
		switch {
		case l.Began != nil:
			kinds = append(kinds, "began "+l.Began.Users)
		case l.Config != nil:
			kinds = append(kinds, "config "+l.Config.APIs["linkedin"].Limits[0].Name)
		case l.Acquire != nil:
			what := "granted"
			if l.Acquire.Denied != nil {
				what = l.Acquire.Denied.Reason
			}
			kinds = append(kinds, what)
			if hidden := l.Acquire.Scope.User != "member-1"; hidden != (len(kinds) < 7) {
				t.Errorf("%v: the user is %q", kinds, l.Acquire.Scope.User)
			}
		case l.Report != nil:
			kinds = append(kinds, "report")
			if r := l.Report; r.Status != 429 || len(r.Headers) != 3 || *r.RetryAfterUS < int64(50*time.Second/time.Microsecond) {
				t.Errorf("the report is %+v", r)
			}
		}
	}
	want := "began hidden, config app, granted, report, COOLING_DOWN, config app, began shown, config app, granted, report, COOLING_DOWN"
	if got := strings.Join(kinds, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestServePutsRecordingsAside holds that a recording that has become as long as it may
// be goes on in a new file.
func TestServePutsRecordingsAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "calls.jsonl")
	p := start(t, "serve", "--config", anyPorts(t, ""), "--record", path, "--record-max-mb", "1")
	p.address("gRPC")
	p.signal(syscall.SIGTERM)
	p.exit()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat(string(old), 1+1e6/len(old))
	if err := os.WriteFile(path, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, "serve", "--config", anyPorts(t, ""), "--record", path, "--record-max-mb", "1")
	p.address("gRPC")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if aside, err := os.ReadFile(path + ".1"); err != nil || string(aside) != long {
		t.Errorf("put aside: %d bytes of %d, %v", len(aside), len(long), err)
	}
	if n := len(recordedIn(t, path)); n == 0 || n > 2 {
		t.Errorf("the new one has %d lines", n)
	}
}

func TestServeCannotRecord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, want string
		exit       int
	}{
		{"--record-users", "--record-users: goes with --record", exitUsage},
		{"--record-max-mb 5", "--record-max-mb: goes with --record", exitUsage},
		{"--record-max-mb -5", "-5", exitUsage},
		{"--record " + t.TempDir(), "is no file: name one, or a place for a new one", exitFailure},
	} {
		_, stderr, exit := output(t, strings.Fields("serve --config "+anyPorts(t, "")+" "+tt.args)...)
		if exit != tt.exit || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code %d, %s", tt.args, exit, stderr)
		}
	}
}
