package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/bolt"
)

// brokenFile names, in the environment, the store's file of a process of its own,
// which is to end by a panic in the model.
const brokenFile = "BROKER_TEST_BROKEN_FILE"

// Of that process: what it may grant in all, and after how many its model breaks.
const (
	brokenQuota = 1000
	brokenAfter = 300
	brokenCalls = 8 // at once
)

// stored is a broker on a file.
func stored(t *testing.T, path string) *broker.Broker {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	month := quota.Limit{
		Name: "month", Per: perApp, Quota: brokenQuota, Provenance: quota.Configured,
		Window: quota.Window{Kind: quota.Calendar, Unit: quota.Month},
	}
	b, err := broker.New(broker.Config{
		Store: store, APIs: map[string]broker.API{"api": api(month)},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(b.Close(context.Background()), store.Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// TestModelBreaks serves calls until one of them panics in the middle of a grant,
// and says of each that its caller has been granted it.
func TestModelBreaks(t *testing.T) {
	path := os.Getenv(brokenFile)
	if path == "" {
		t.Skip("run by TestPanicInTheModelIsACrash")
	}
	b := stored(t, path)
	s, err := server.New(b, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(lis)
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client := pb.NewQuotaBrokerServiceClient(conn)
	var granted atomic.Int64
	var callers sync.WaitGroup
	for range brokenCalls {
		callers.Go(func() {
			for {
				got, err := client.AcquirePermit(t.Context(), &pb.AcquirePermitRequest{Scope: &pb.Scope{Api: "api", App: "app"}})
				if status.Code(err) == codes.Unavailable {
					continue // the disk is slow
				}
				if err != nil {
					return
				}
				fmt.Println("granted")
				if granted.Add(1) == brokenAfter {
					broker.Break(b, broker.Shard{API: "api", App: "app"})
				}
				_, _ = client.ReportOutcome(t.Context(), &pb.ReportOutcomeRequest{PermitId: got.GetPermit().GetId(), StatusCode: 200})
			}
		})
	}
	callers.Wait()
	os.Exit(0) // it lives, whatever became of the calls
}

// A panic in the model ends the process, though handlers of gRPC recover from
// panics; what it has granted is granted once, as after a kill.
func TestPanicInTheModelIsACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quotabroker.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestModelBreaks$")
	cmd.Env = append(os.Environ(), brokenFile+"="+path)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("the process ended with %v, want exit code 2:\n%s", err, &stderr)
	}
	for _, want := range []string{"level=ERROR", "panic in the quota model", "nil pointer", "grantLocked"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr does not say %q:\n%s", want, &stderr)
		}
	}
	before := strings.Count(stdout.String(), "granted\n")
	if before < brokenAfter {
		t.Fatalf("only %d were granted before the panic, want %d", before, brokenAfter)
	}
	after := grants(t, stored(t, path))
	t.Logf("%d granted before the panic, %d after", before, after)
	const chunk = brokenQuota / 20
	if all := before + after; all > brokenQuota || all < brokenQuota-2*chunk {
		t.Errorf("%d were granted in all, want %d less what was reserved ahead", all, brokenQuota)
	}
}

// grants is how many calls are granted at once until one is denied.
func grants(t *testing.T, b *broker.Broker) (n int) {
	t.Helper()
	for {
		a, err := b.Acquire(t.Context(), broker.AcquireRequest{Scope: quota.Scope{API: "api", App: "app"}})
		switch {
		case errors.Is(err, broker.ErrUnavailable): // the disk is slow
		case err != nil:
			t.Fatal(err)
		case a.Denied != nil:
			return n
		default:
			n++
		}
	}
}
