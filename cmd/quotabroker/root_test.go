package main

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// oneLine checks that stderr is one line of the program's that matches.
func oneLine(t *testing.T, stderr, pattern string) {
	t.Helper()
	if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "quotabroker: ") {
		t.Errorf("stderr is not one line of ours: %q", stderr)
	}
	if !regexp.MustCompile(pattern).MatchString(stderr) {
		t.Errorf("stderr is %q, want a match of %q", stderr, pattern)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		args    string
		pattern string
	}{
		{"sreve", `unknown command "sreve" for "quotabroker" Did you mean this\? serve: see quotabroker --help`},
		{"--nope", `unknown flag: --nope: see quotabroker --help`},
		{"serve --nope", `unknown flag: --nope: see quotabroker serve --help`},
		{"serve extra", `unknown command "extra" for "quotabroker serve": see`},
		{"serve --config", `flag needs an argument: --config: see`},
		{"serve --log-level loud", `--log-level: "loud": choose debug, info, warn or error: see`},
		{"serve --log-format xml", `--log-format: "xml": choose text, json or auto: see`},
		{"version extra", `unknown command "extra" for "quotabroker version": see`},
		{"demo --headers few", `--headers: "few": choose guide or none: see quotabroker demo --help`},
		{"demo --json=maybe", `invalid argument "maybe" for "--json"`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			stdout, stderr, exit := output(t, strings.Fields(tt.args)...)
			if exit != exitUsage || stdout != "" {
				t.Errorf("got exit code %d and output %q, want %d and none", exit, stdout, exitUsage)
			}
			oneLine(t, stderr, tt.pattern)
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"", "Available Commands:"},
		{"--help", "Available Commands:"},
		{"help proxy", "--user-header"},
		{"serve --help", "--config"},
		{"version", "quotabroker "},
	} {
		t.Run(tt.args, func(t *testing.T) {
			stdout, stderr, exit := output(t, strings.Fields(tt.args)...)
			if exit != exitOK || stderr != "" || !strings.Contains(stdout, tt.want) {
				t.Errorf("got exit code %d, stderr %q, stdout %q", exit, stderr, stdout)
			}
		})
	}
	if stdout, _, _ := output(t, "version"); !regexp.MustCompile(`^quotabroker \S+, .*, go1\.\S+ \w+/\w+\n$`).MatchString(stdout) {
		t.Errorf("got %q", stdout)
	}
}

func TestServeFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	pki := newPKI(t)
	for _, tt := range []struct {
		name, config, pattern string
	}{
		{"port in use", "listen: " + address, `: listen: "` + address + `": .*address already in use: stop the process that has this port`},
		{"http port in use", "listen: 127.0.0.1:0\nhttp: " + address, `: http: "` + address + `": .*address already in use: stop`},
		{"not an address of ours", "listen: 192.0.2.1:7460\ntls: {cert: " + pki.server.cert + ", key: " + pki.server.key + "}",
			`: listen: "192.0.2.1:7460": .*: give a host:port of this machine`},
		{"unknown key", "\nlisen: 127.0.0.1:0", `quotabroker.yaml:2:1: .*"lisen": unknown key`},
		{"no certificate", "tls: {cert: gone.pem, key: " + pki.server.key + "}", `tls.cert: "gone.pem": no such file`},
		{"mismatched key", "tls: {cert: " + pki.server.cert + ", key: " + pki.client.key + "}",
			`tls.key: ".*client-key.pem": .*private key does not match public key`},
		{"no authorities", "tls: {cert: " + pki.server.cert + ", key: " + pki.server.key + ", client_ca: " + pki.client.key + "}",
			`tls.client_ca: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := writeFile(t, "quotabroker.yaml", tt.config)
			t.Chdir(t.TempDir()) // where the default store's file goes
			stdout, stderr, exit := output(t, "serve", "--config", file)
			if exit != exitFailure || stdout != "" {
				t.Errorf("got exit code %d and output %q, want %d and none", exit, stdout, exitFailure)
			}
			oneLine(t, stderr, tt.pattern)
		})
	}
}

func TestConfigFileIsMissing(t *testing.T) {
	_, stderr, exit := output(t, "serve", "--config", filepath.Join(t.TempDir(), "gone.yaml"))
	if exit != exitFailure {
		t.Errorf("got exit code %d, want %d", exit, exitFailure)
	}
	oneLine(t, stderr, `gone.yaml: no such file`)
}

// TestEveryProblemIsTold checks that a file with two faults is told of both,
// each on a line of its own.
func TestEveryProblemIsTold(t *testing.T) {
	file := writeFile(t, "quotabroker.yaml", "lisen: x\nmax_wait: -1s\n")
	_, stderr, exit := output(t, "serve", "--config", file)
	if exit != exitFailure || strings.Count(stderr, "quotabroker: ") != 2 ||
		!strings.Contains(stderr, ":1:1: ") || !strings.Contains(stderr, ":2:11: max_wait") {
		t.Errorf("got exit code %d and %q", exit, stderr)
	}
}
