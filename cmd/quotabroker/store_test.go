package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// remembering is the configuration of a broker whose store is a file, and which
// has one limit a day; no day ends while a test runs.
func remembering(t *testing.T, path string, quota int) string {
	t.Helper()
	zone := "UTC"
	if now := time.Now().UTC(); now.Hour() == 23 || now.Hour() == 0 {
		zone = "Etc/GMT+12"
	}
	return writeFile(t, "quotabroker.yaml", fmt.Sprintf(`
listen: 127.0.0.1:0
http: 127.0.0.1:0
store: {path: %q}
apis:
  counted:
    dialect: auto
    send_within: 1s
    limits:
      - {name: day, per: [app], quota: %d, window: {calendar: day, zone: %s}}
`, path, quota, zone))
}

func counted() *pb.Scope { return &pb.Scope{Api: "counted", App: "app-1"} }

// remaining asks without spending anything.
func remaining(t *testing.T, broker pb.QuotaBrokerServiceClient) int64 {
	t.Helper()
	got, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: counted(), DryRun: true})
	if status.Code(err) == codes.ResourceExhausted {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return got.GetQuotas()[0].GetRemaining()
}

// TestRestartKeepsTheDaysCounts checks that a broker which is stopped has lost
// nothing of the day's quota when it is back, and one that is killed no more than
// the chunk that it had reserved ahead, and neither has forgotten anything.
func TestRestartKeepsTheDaysCounts(t *testing.T) {
	for _, tt := range []struct {
		signal os.Signal
		exit   int
		waste  int64
	}{{syscall.SIGTERM, exitOK, 0}, {syscall.SIGKILL, -1, 50}} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			t.Parallel()
			const quota, used = 1000, 400
			conf := remembering(t, filepath.Join(t.TempDir(), "data", "quotabroker.db"), quota)
			for restarts := range int64(3) {
				p := start(t, "serve", "--config", conf)
				broker := dial(t, p.address("gRPC"))
				spent := restarts * used
				if restarts == 2 {
					spent = quota
				}
				if left := remaining(t, broker); left > quota-spent || left < quota-spent-tt.waste*restarts {
					t.Errorf("after %d restarts: %d remain of %d, %d are spent", restarts, left, quota, spent)
				}
				for range min(used, remaining(t, broker)) {
					spend(t, broker)
				}
				if restarts == 1 {
					for remaining(t, broker) > 0 {
						spend(t, broker)
					}
				}
				p.signal(tt.signal)
				if code := p.exit(); code != tt.exit {
					t.Fatalf("got exit code %d, want %d", code, tt.exit)
				}
			}
		})
	}
}

// spend makes one call whose answer has no numbers.
func spend(t *testing.T, broker pb.QuotaBrokerServiceClient) {
	t.Helper()
	got, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: counted()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = broker.ReportOutcome(patient(t), &pb.ReportOutcomeRequest{PermitId: got.GetPermit().GetId(), StatusCode: 200})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSecondBrokerIsRefused checks what an operator sees who starts two brokers
// with one file.
func TestSecondBrokerIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "quotabroker.db")
	conf := remembering(t, path, 10)
	first := start(t, "serve", "--config", conf)
	broker := dial(t, first.address("gRPC"))
	began := time.Now()
	second := start(t, "serve", "--config", conf)
	if code := second.exit(); code != exitFailure || time.Since(began) > 3*time.Second {
		t.Errorf("got exit code %d after %v", code, time.Since(began))
	}
	if text := second.stderr.String(); !strings.Contains(text, path) || !strings.Contains(text, "another broker has it open") {
		t.Errorf("it says %q", text)
	}
	spend(t, broker)
}
