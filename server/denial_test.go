package server

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

func TestDenied(t *testing.T) {
	bucket := quota.Status{
		Limit: "app-day", Unit: "requests", Quota: 500, Remaining: 0, CoolReason: "Resource level throttle",
		Key: quota.Scope{API: "linkedin", App: "app1", Endpoint: "GET /v2/me"},
	}
	const name = `linkedin/app1 endpoint="GET /v2/me"`
	unknown := bucket
	unknown.Quota, unknown.Remaining = quota.Unknown, quota.Unknown
	for _, c := range []struct {
		reason string
		bucket quota.Status
		after  time.Duration
		text   string
	}{
		{"QUOTA_EXHAUSTED", bucket, 59*time.Second + time.Millisecond, `limit app-day of ` + name + ` is spent (0 of 500 requests left); ask again in 1m0s`},
		{"QUOTA_EXHAUSTED", unknown, time.Second, `limit app-day of ` + name + ` is spent; ask again in 1s`},
		{"COOLING_DOWN", bucket, 1500 * time.Microsecond, `limit app-day of ` + name + ` is closed because the upstream said wait (Resource level throttle); ask again in 2ms`},
		{"PROBING", bucket, time.Second, `limit app-day of ` + name + ` lets few calls through until the upstream has answered one; ask again in 1s`},
		{"DEADLINE_TOO_SHORT", bucket, time.Hour, `limit app-day of ` + name + ` cannot allow the call before its deadline (0 of 500 requests left); ask again in 1h0m0s`},
		{"TOO_MANY_WAITERS", bucket, time.Second, `too many calls wait already, of this connection or in all, for this one to wait for limit app-day of ` + name + `; ask again in 1s`},
		{"TOO_MANY_WAITERS", quota.Status{}, time.Second, `too many calls wait already, of this connection or in all; ask again in 1s`},
	} {
		s := status.Convert(denied(&broker.Denial{Reason: c.reason, Bucket: c.bucket, RetryAfter: c.after}, "linkedin"))
		if s.Code() != codes.ResourceExhausted || s.Message() != c.text {
			t.Errorf("%s: %v %q, want ResourceExhausted %q", c.reason, s.Code(), s.Message(), c.text)
		}
		info := map[string]string{"api": "linkedin", "retry_after": seconds(c.after)}
		subject := "linkedin"
		if c.bucket.Limit != "" {
			info["limit"], info["bucket"], subject = "app-day", name, name
		}
		want := []proto.Message{
			&errdetails.RetryInfo{RetryDelay: durationpb.New(c.after)},
			&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: subject, Description: c.text}}},
			&errdetails.ErrorInfo{Domain: "quotabroker", Reason: c.reason, Metadata: info},
		}
		got := s.Details()
		if len(got) != len(want) {
			t.Fatalf("%s: details %v, want %v", c.reason, got, want)
		}
		for i := range want {
			if !proto.Equal(got[i].(proto.Message), want[i]) {
				t.Errorf("%s: detail\n%v, want\n%v", c.reason, got[i], want[i])
			}
		}
	}
}

// TestDeniedBySomethingNasty: what an upstream wrote reaches a caller in one
// line of valid UTF-8, of a size that every client's headers hold.
func TestDeniedBySomethingNasty(t *testing.T) {
	nasty := "\x1b[31m\xff\r\n" + strings.Repeat("\u2028ü", 4<<10)
	err := denied(&broker.Denial{
		Reason: "COOLING_DOWN", RetryAfter: time.Second,
		Bucket: quota.Status{Limit: nasty, CoolReason: nasty, Key: quota.Scope{API: "a", User: strings.Repeat("ü", 128)}},
	}, nasty)
	s := status.Convert(err)
	if len(s.Details()) != 3 {
		t.Fatalf("details %v, want 3: they could not be encoded", s.Details())
	}
	if m := s.Message(); !utf8.ValidString(m) || strings.ContainsAny(m, "\x1b\r\n\u2028") {
		t.Errorf("message %q", m)
	}
	if size := proto.Size(s.Proto()); size > 8<<10 {
		t.Errorf("the status has %d bytes, more than the headers of some clients hold", size)
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Minute: "60s", 1500 * time.Millisecond: "1.5s", time.Nanosecond: "0.000000001s", 24 * time.Hour: "86400s",
	} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%v) = %q, want %q", d, got, want)
		}
	}
}
