package main

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Of the crash test: a life that is cut off is often too short to learn what the
// life before wasted.
const (
	crashQuota   = 20_000
	crashCallers = 24
	crashPace    = 20 * time.Millisecond // of one caller, between its calls
	crashes      = 10
	shortestLife = 400 * time.Millisecond
	longestLife  = 3 * time.Second
)

// countingAPI is an upstream that counts: it knows what no broker can forget.
type countingAPI struct {
	// silent makes it say nothing of what it counts.
	silent bool
	// granted is permits that callers received, seen those of them with which they
	// called, refused the answers with 429.
	granted, seen, refused atomic.Int64
}

// call answers one call.
func (u *countingAPI) call() (code int32, headers []*pb.Header) {
	left, code := crashQuota-u.seen.Add(1), int32(200)
	if left < 0 {
		u.refused.Add(1)
		code = 429
	}
	if u.silent {
		return code, nil
	}
	for name, value := range map[string]int64{
		"X-RateLimit-Limit": crashQuota, "X-RateLimit-Remaining": max(0, left),
	} {
		headers = append(headers, &pb.Header{Name: name, Value: strconv.FormatInt(value, 10)})
	}
	return code, headers
}

// caller calls as long as the context lives; its broker may be gone any moment.
func (u *countingAPI) caller(ctx context.Context, broker pb.QuotaBrokerServiceClient) {
	for ; ctx.Err() == nil; time.Sleep(crashPace) {
		got, err := broker.AcquirePermit(ctx, &pb.AcquirePermitRequest{Scope: counted()})
		if err != nil {
			continue
		}
		u.granted.Add(1)
		code, headers := u.call()
		_, _ = broker.ReportOutcome(ctx, &pb.ReportOutcomeRequest{ // it may be lost
			PermitId: got.GetPermit().GetId(), StatusCode: code, Headers: headers,
		})
	}
}

// life runs a broker under load until enough says so, and kills it.
func (u *countingAPI) life(t *testing.T, conf string, enough func(pb.QuotaBrokerServiceClient)) {
	t.Helper()
	p := start(t, "serve", "--config", conf)
	conn, err := grpc.NewClient(p.address("gRPC"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	broker := pb.NewQuotaBrokerServiceClient(conn)
	ctx, cancel := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range crashCallers {
		callers.Go(func() { u.caller(ctx, broker) })
	}
	enough(broker)
	p.signal(syscall.SIGKILL)
	if code := p.exit(); code != -1 {
		t.Errorf("got exit code %d, want death by a signal", code)
	}
	cancel()
	callers.Wait()
}

// exhausted waits until nothing has been granted for longer than it takes to
// learn what was wasted.
func (u *countingAPI) exhausted(t *testing.T) func(pb.QuotaBrokerServiceClient) {
	return func(broker pb.QuotaBrokerServiceClient) {
		const quiet = 5 * time.Second
		last, since := u.granted.Load(), time.Now()
		for end := time.Now().Add(2 * patience); time.Since(since) < quiet && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if now := u.granted.Load(); now != last {
				last, since = now, time.Now()
			}
		}
		_, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: counted()})
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("at the end: %v, want RESOURCE_EXHAUSTED", err)
		}
	}
}

// TestCrashesUnderLoad kills a broker under load and starts it again, ten times.
// Never more is granted than the limit, and most of it is. Where the upstream tells
// numbers, what a crash wasted is learned from the answers to calls that are granted
// once none of the dead broker's can be on its way; of the last crashes it is not where
// what is left is used up before that. Where it is silent each crash costs what was
// reserved ahead and on its way.
func TestCrashesUnderLoad(t *testing.T) {
	const least = crashQuota / 10 * 8
	for _, tt := range []struct {
		name string
		api  *countingAPI
	}{
		{"an upstream that tells numbers", &countingAPI{}},
		{"a silent upstream", &countingAPI{silent: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := tt.api
			conf := remembering(t, filepath.Join(t.TempDir(), "quotabroker.db"), crashQuota)
			times := crashes
			if testing.Short() {
				times = 3
			}
			for i := range times {
				before := u.granted.Load()
				u.life(t, conf, func(pb.QuotaBrokerServiceClient) {
					time.Sleep(shortestLife + rand.N(longestLife-shortestLife))
				})
				t.Logf("life %d: %d granted", i+1, u.granted.Load()-before)
			}
			if testing.Short() {
				return
			}
			u.life(t, conf, u.exhausted(t))
			granted := u.granted.Load()
			t.Logf("%d granted of %d in all: %.1f %% lost in %d crashes", granted, crashQuota, 100-100*float64(granted)/crashQuota, times)
			if granted > crashQuota || u.refused.Load() > 0 {
				t.Errorf("%d granted of %d, %d refused by the upstream", granted, crashQuota, u.refused.Load())
			}
			if granted < least {
				t.Errorf("only %d granted of %d, want at least %d", granted, crashQuota, least)
			}
		})
	}
}
