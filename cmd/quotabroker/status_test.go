package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotahttp"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// perDay is a configuration with limits of a day.
const perDay = `
apis:
  linkedin:
    limits:
      - {name: app-day, per: [app], quota: 500, window: {calendar: day, zone: UTC}}
      - {name: member-day, per: [app, user], quota: 1, window: {calendar: day, zone: UTC}}
`

// matches checks each line of a text against a pattern of its own.
func matches(t *testing.T, text string, patterns ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != len(patterns) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(patterns), text)
	}
	for i, p := range patterns {
		if !regexp.MustCompile("^" + p + "$").MatchString(lines[i]) {
			t.Errorf("line %d is %q, want a match of %q", i, lines[i], p)
		}
	}
}

// busy starts a broker at which one member has called once, and may not again.
func busy(t *testing.T) (address string) {
	t.Helper()
	address = start(t, "serve", "--config", anyPorts(t, perDay)).address("gRPC")
	broker := dial(t, address)
	got, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: guide("linkedin"), Caller: "importer"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = broker.ReportOutcome(patient(t), &pb.ReportOutcomeRequest{
		PermitId: got.GetPermit().GetId(), Caller: "importer", StatusCode: http.StatusOK,
		Headers: []*pb.Header{
			{Name: "X-RateLimit-Limit", Value: "500"}, {Name: "X-RateLimit-Remaining", Value: "499"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func TestStatus(t *testing.T) {
	t.Parallel()
	address := busy(t)
	stdout, stderr, exit := output(t, "status", "--broker", address)
	if exit != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", exit, stderr)
	}
	const after = `(\d+[dhms])+`
	matches(t, stdout,
		`API +APP +LIMIT +KEY +USED/LIMIT +REMAINING +RESET IN +STATE +WAITING +FORECAST +TOLD BY +HEARD +WINDOW`,
		`linkedin +app-1 +member-day +user=member-1 +1/1 +0 +`+after+` +open +0 +ended +configured +never +\{calendar: day, zone: UTC\}`,
		`linkedin +app-1 +app-day +- +1/500 +499 +`+after+` +open +0 +lasts +configured +[0-9.hms]+ ago +\{calendar: day, zone: UTC\}`,
	)

	stdout, _, _ = output(t, "status", "--broker", address, "--api", "linkedin", "--user", "member-1", "--json")
	var got struct {
		Quotas []map[string]any
		Totals []map[string]any
		Shadow []any
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if len(got.Quotas) != 1 || got.Quotas[0]["limit"] != "member-day" || got.Quotas[0]["used"] != 1.0 || got.Quotas[0]["reset_after_seconds"].(float64) <= 0 {
		t.Errorf("quotas %v", got.Quotas)
	}
	if len(got.Totals) != 1 || got.Totals[0]["spent"] != 1.0 || got.Shadow == nil || len(got.Shadow) != 0 {
		t.Errorf("totals %v, shadow %v", got.Totals, got.Shadow)
	}

	stdout, _, _ = output(t, "status", "--broker", address, "--top", "1", "--sort", "name")
	if !strings.Contains(stdout, "\n1 of 2 buckets; all of them:\n") || strings.Contains(stdout, "user=member-1") {
		t.Errorf("the first by name:\n%s", stdout)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	address := busy(t)
	args := []string{"explain", "--broker", address, "--api", "linkedin", "--app", "app-1", "--user", "member-1", "--endpoint", "GET /v2/connections"}
	stdout, stderr, exit := output(t, args...)
	if exit != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", exit, stderr)
	}
	matches(t, stdout,
		`A call of linkedin/app-1 user=member-1 endpoint="GET /v2/connections" would be denied now: QUOTA_EXHAUSTED by limit member-day of linkedin/app-1 user=member-1; ask again in \S+`,
		``,
		`app-day of linkedin/app-1: 499 of 500 remain, the quota is configured, open`,
		`  the upstream's count: 499 remained as of \S+ ago, the lowest that was told`,
		`  our own count: 1 in this window, which began \S+ ago for us`,
		`  window: \{calendar: day, zone: UTC\}`,
		`  end of the window: in \S+.*`,
		`  nobody stands before this call here`,
		`  reports, the newest first:`,
		`    \S+ ago by importer, of a call granted \S+ ago: passed, limit 500, 499 remain: believed`,
		``,
		`member-day of linkedin/app-1 user=member-1: 0 of 1 remain, the quota is configured, open`,
		`  the upstream's count: 1 remain as the quota has it, no response told it in this window; 1 spent without numbers may not be in it`,
		`  our own count: 1 in this window, which began \S+ ago for us`,
		`  window: \{calendar: day, zone: UTC\}`,
		`  end of the window: in \S+.*`,
		`  nobody stands before this call here`,
		`  no report told numbers of it lately`,
	)

	stdout, _, _ = output(t, append(args, "--json", "--cost", "requests=900")...)
	var got struct {
		Denied  map[string]any
		Buckets []struct {
			Limit string
			Model map[string]any
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || got.Denied["reason"] != "COST_TOO_LARGE" || len(got.Buckets) != 2 || got.Buckets[0].Model["confirmed"] != 499.0 {
		t.Errorf("%v: %s", err, stdout)
	}
}

func TestOperatorFails(t *testing.T) {
	t.Parallel()
	address := start(t, "serve", "--config", anyPorts(t, perDay)).address("gRPC")
	for _, tt := range []struct {
		args    []string
		exit    int
		pattern string
	}{
		{[]string{"status", "--broker", address, "--api", "nope"}, exitFailure, `scope.api: "nope": no such API: the broker's configuration has linkedin`},
		{[]string{"explain", "--broker", address, "--api", "linkedin", "--label", "tenant=t1"}, exitFailure, `scope.labels: "tenant": declare it`},
		{[]string{"status", "--broker", "127.0.0.1:1"}, exitFailure, `the broker does not answer: `},
		{[]string{"status", "--broker", "nowhere"}, exitUsage, `--broker: "nowhere": give a host:port`},
		{[]string{"status", "--broker-ca", "gone.pem"}, exitFailure, `--broker-ca: "gone.pem": `},
		{[]string{"status", "--sort", "size"}, exitUsage, `--sort: "size": choose pressure, used, waiting or name`},
		{[]string{"status", "--top", "0"}, exitUsage, `--top: 0: must be 1 to 1000`},
		{[]string{"status", "extra"}, exitUsage, `unknown command "extra"`},
		{[]string{"explain"}, exitUsage, `--api: "": name the API`},
		{[]string{"explain", "--api", "a", "--cost", "requests=many"}, exitUsage, `--cost: "many": the amount of requests must be a whole number`},
	} {
		stdout, stderr, exit := output(t, tt.args...)
		if exit != tt.exit || stdout != "" {
			t.Errorf("%q: exit code %d and output %q, want %d and none", tt.args, exit, stdout, tt.exit)
		}
		oneLine(t, stderr, tt.pattern)
	}
}

// Over TLS the status is for whoever has a certificate.
func TestStatusOverTLS(t *testing.T) {
	t.Parallel()
	pki := newPKI(t)
	tls := fmt.Sprintf("tls: {cert: %s, key: %s, client_ca: %s}\n", pki.server.cert, pki.server.key, pki.ca)
	mutual := start(t, "serve", "--config", anyPorts(t, tls)).address("gRPC")
	args := []string{"status", "--broker", mutual, "--broker-ca", pki.ca, "--broker-cert", pki.client.cert, "--broker-key", pki.client.key}
	if stdout, stderr, exit := output(t, args...); exit != exitOK || stdout != "no quotas: nobody has asked for such a permit yet\n" {
		t.Errorf("with a certificate: exit code %d, %q, stderr %q", exit, stdout, stderr)
	}
	open := fmt.Sprintf("tls: {cert: %s, key: %s}\n", pki.server.cert, pki.server.key)
	_, stderr, exit := output(t, "status", "--broker", start(t, "serve", "--config", anyPorts(t, open)).address("gRPC"), "--broker-ca", pki.ca)
	if exit != exitFailure {
		t.Errorf("without one: exit code %d", exit)
	}
	oneLine(t, stderr, `verified client certificate: set tls.client_ca`)
}

// A watched status follows the broker, says when it is away, and ends in order.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	broker := start(t, "serve", "--config", anyPorts(t, perDay))
	address := broker.address("gRPC")
	p := start(t, "status", "--broker", address, "--watch")
	waitFor := func(text string) {
		t.Helper()
		for timeout := time.After(patience); ; {
			select {
			case line := <-p.lines:
				if strings.Contains(line, text) {
					return
				}
			case <-timeout:
				t.Fatalf("no line with %q", text)
			}
		}
	}
	waitFor("no quotas")
	if _, err := dial(t, address).AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: guide("linkedin")}); err != nil {
		t.Fatal(err)
	}
	waitFor("user=member-1")
	broker.signal(syscall.SIGTERM)
	waitFor("the broker does not answer")
	p.signal(syscall.SIGINT)
	if code := p.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestShadowEndToEnd runs a service through quotahttp against a broker in shadow
// mode and an API that takes 100 calls and says nothing of it but 429: whatever
// is configured, every call goes out, and the score says what is wrong.
func TestShadowEndToEnd(t *testing.T) {
	for _, tt := range []struct {
		name       string
		configured int
		advice     string
	}{
		{"right", 100, "safe to switch on: "},
		{"a fifth too low", 80, "not safe yet: the broker would have held back 20 of the 100 calls that the upstream took: limit app is configured too low"},
		{"a fifth too high", 120, "not safe yet: the upstream refused "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var served atomic.Int64
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if served.Add(1) > 100 {
					w.WriteHeader(http.StatusTooManyRequests)
				}
			}))
			t.Cleanup(upstream.Close)
			address := start(t, "serve", "--config", anyPorts(t, fmt.Sprintf(`
apis: {mine: {shadow: true, limits: [{name: app, per: [app], quota: %d, window: {calendar: day, zone: UTC}}]}}
`, tt.configured))).address("gRPC")
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			broker := client.New(conn, client.WithCaller("service"))
			t.Cleanup(func() { _ = broker.Close(); _ = conn.Close() })
			service := &http.Client{Transport: quotahttp.New(broker, "mine")}
			refused := 0
			for range 130 {
				r, err := service.Get(upstream.URL + "/v2/me")
				if err != nil {
					t.Fatal(err)
				}
				_ = r.Body.Close()
				if r.StatusCode == http.StatusTooManyRequests {
					refused++
				}
			}
			if served.Load() != 130 || refused != 30 {
				t.Errorf("%d calls went out and %d were refused, want all 130 as if there were no broker, and 30", served.Load(), refused)
			}
			permit, err := broker.Acquire(t.Context(), client.Scope{API: "mine", Endpoint: "GET /v2/me"}, client.WithMaxWait(0))
			if err != nil || permit.Shadowed() == nil || permit.Shadowed().Reason == "" {
				t.Fatalf("%v; want a permit that would have been denied", err)
			}
			_ = broker.Close() // all reports have arrived
			stdout, stderr, _ := output(t, "status", "--broker", address)
			if !strings.Contains(stdout, "shadow mode of mine, for ") || !strings.Contains(stdout, ": "+tt.advice) {
				t.Errorf("status\n%s%s\nwant %q", stdout, stderr, tt.advice)
			}
		})
	}
}
