package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

func TestPermitEndsExactlyOnce(t *testing.T) {
	ends := map[string]func(*client.Permit) error{
		"Done": func(p *client.Permit) error {
			_, err := p.Done(context.Background(), client.Outcome{Status: 200})
			return err
		},
		"DoneAsync": func(p *client.Permit) error { return p.DoneAsync(client.Outcome{Status: 200}) },
		"Drop":      (*client.Permit).Drop,
	}
	for first, end := range ends {
		for second, again := range ends {
			bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
				p := acquire(t, c)
				if err := end(p); err != nil {
					t.Errorf("%s: %v", first, err)
				}
				if err := again(p); !errors.Is(err, client.ErrEnded) {
					t.Errorf("%s after %s: %v", second, first, err)
				}
				if err := p.Check(); !errors.Is(err, client.ErrEnded) {
					t.Errorf("Check after %s: %v", first, err)
				}
				c.Close()
				if n := len(b.Reports()) + len(b.Releases()); n != 1 || len(b.Outstanding()) != 0 {
					t.Errorf("%s then %s: %d ends arrived, %v are out", first, second, n, b.Outstanding())
				}
			})
		}
	}
}

func TestDoneReturnsTheAdvice(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		want := client.Retry{Advised: true, After: 3 * time.Second, Reason: "the upstream said wait"}
		b.Advise(429, want)
		got, err := acquire(t, c).Done(t.Context(), client.Outcome{Status: 429})
		if err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// TestPermitLapses counts send_within from before the permit was asked for, and
// leaves out only the time that the broker says it waited itself.
func TestPermitLapses(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.Hold(client.Scope{})
		time.AfterFunc(10*time.Second, b.Grant)
		p := acquire(t, c)
		void := make(chan struct{})
		p.AfterVoid(func() { close(void) })
		time.Sleep(5*time.Second - 1)
		if err := p.Check(); err != nil {
			t.Errorf("a moment before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := p.Check(); !errors.Is(err, client.ErrLapsed) {
			t.Errorf("at send_within: %v", err)
		}
		<-void
		if _, err := p.Done(t.Context(), client.Outcome{Status: 200}); err != nil {
			t.Errorf("it was sent all the same, and its report teaches: %v", err)
		}
	})
}

func TestAfterVoidCanBeStopped(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		stop := p.AfterVoid(func() { t.Error("called") })
		if !stop() {
			t.Error("not stopped in time")
		}
		time.Sleep(time.Minute)
	})
}

// TestOnlyWhatIsAskedForLeaves covers names and prefixes, any spelling, and what
// never leaves. It is also TestPeerBug22: keys put into a map un-canonicalised
// are found.
func TestOnlyWhatIsAskedForLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.Ask(pb.ReportBody_REPORT_BODY_NEVER, "retry-after", "x-ratelimit-*", "authorization", "set-cookie", "cookie")
		headers := []client.Header{
			{"Authorization", "Bearer secret"}, {"set-cookie", "a=b"}, {"Cookie", "a=b"},
			{"Content-Type", "text/html"}, {"Retry-After-Ms", "1"}, {"X-RateLimit", "1"},
			{"retry-AFTER", "7"}, {"x-ratelimit-remaining", "0"}, {"X-RateLimit-Remaining", "9"},
			{"X-RateLimit-Long", strings.Repeat("9", 1025)}, {"X-RateLimit-Odd", "caf\xe9"},
		}
		o := client.Outcome{Status: 429, Headers: headers, Trailers: headers[:8], Body: []byte("never asked for")}
		if _, err := acquire(t, c).Done(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		r := b.Reports()[0]
		if got, want := spell(r.GetHeaders()), "retry-AFTER: 7|x-ratelimit-remaining: 0|X-RateLimit-Remaining: 9|X-RateLimit-Odd: caf?"; got != want {
			t.Errorf("headers %s\nwant    %s", got, want)
		}
		if got, want := spell(r.GetTrailers()), "retry-AFTER: 7|x-ratelimit-remaining: 0"; got != want {
			t.Errorf("trailers %s, want %s", got, want)
		}
		if len(r.GetBodyExcerpt()) != 0 {
			t.Errorf("body %q", r.GetBodyExcerpt())
		}
	})
}

func spell(hs []*pb.Header) string {
	var s []string
	for _, h := range hs {
		s = append(s, h.GetName()+": "+h.GetValue())
	}
	return strings.Join(s, "|")
}

func TestCredentialsStayEvenIfEverythingIsAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.Ask(pb.ReportBody_REPORT_BODY_NEVER, "*")
		o := client.Outcome{Status: 200, Headers: []client.Header{
			{"AUTHORIZATION", "x"}, {"Proxy-Authorization", "x"}, {"Set-Cookie", "x"}, {"Set-Cookie2", "x"}, {"Cookie", "x"}, {"Server", "y"},
		}}
		for range 100 {
			o.Headers = append(o.Headers, client.Header{Name: "Via", Value: "z"})
		}
		if _, err := acquire(t, c).Done(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		got := b.Reports()[0].GetHeaders()
		if len(got) != 64 || got[0].GetName() != "Server" || got[1].GetName() != "Via" {
			t.Errorf("%d headers: %s", len(got), spell(got))
		}
	})
}

func TestBodyExcerpt(t *testing.T) {
	long := strings.Repeat("x", client.MaxBodyExcerpt+1)
	for _, tt := range []struct {
		asked  pb.ReportBody
		status int
		want   int
	}{
		{pb.ReportBody_REPORT_BODY_UNSPECIFIED, 429, 0},
		{pb.ReportBody_REPORT_BODY_NEVER, 429, 0},
		{pb.ReportBody_REPORT_BODY_ON_ERROR, 399, 0},
		{pb.ReportBody_REPORT_BODY_ON_ERROR, 400, client.MaxBodyExcerpt},
		{pb.ReportBody_REPORT_BODY_ALWAYS, 200, client.MaxBodyExcerpt},
	} {
		bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
			b.Ask(tt.asked)
			p := acquire(t, c)
			if p.WantsBody(tt.status) != (tt.want > 0) {
				t.Errorf("%v of %d: WantsBody is wrong", tt.asked, tt.status)
			}
			if _, err := p.Done(t.Context(), client.Outcome{Status: tt.status, Body: []byte(long)}); err != nil {
				t.Fatal(err)
			}
			if got := len(b.Reports()[0].GetBodyExcerpt()); got != tt.want {
				t.Errorf("%v of %d: %d bytes, want %d", tt.asked, tt.status, got, tt.want)
			}
		})
	}
}

func TestReportSaysWhatCameBack(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		sent := time.Now()
		time.Sleep(3 * time.Second)
		received := time.Now()
		time.Sleep(time.Second)
		o := client.Outcome{Result: client.Sent, Status: 200, Sent: sent, Received: received, Costs: map[string]int64{"tokens": 12}, FromCache: true}
		if _, err := p.Done(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		r := b.Reports()[0]
		if r.GetSinceSent().AsDuration() != 4*time.Second || r.GetSinceReceived().AsDuration() != time.Second {
			t.Errorf("since sent %v, received %v", r.GetSinceSent().AsDuration(), r.GetSinceReceived().AsDuration())
		}
		if r.GetResult() != pb.Result_RESULT_SENT || r.GetStatusCode() != 200 || r.GetActualCosts()["tokens"] != 12 || !r.GetFromCache() ||
			r.GetScope().GetUser() != "u-7" || r.GetCaller() != "importer" || r.GetPermitId() == "" {
			t.Errorf("reported %v", r)
		}
	})
}

func TestTimesOfAReportThatIsRetried(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		sent := time.Now()
		b.GoAway()
		time.AfterFunc(200*time.Millisecond, b.ComeBack)
		if _, err := p.Done(t.Context(), client.Outcome{Status: 200, Sent: sent, Received: sent.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		r := b.Reports()[0]
		if got := r.GetSinceSent().AsDuration(); got != time.Since(sent) || got < 200*time.Millisecond {
			t.Errorf("since sent %v, and it was %v ago", got, time.Since(sent))
		}
		if got := r.GetSinceReceived(); got == nil || got.AsDuration() != 0 {
			t.Errorf("an instant to come is now: %v", got)
		}
	})
}

func TestResultsOnTheWire(t *testing.T) {
	for result, want := range map[client.Result]pb.Result{
		0: pb.Result_RESULT_UNSPECIFIED, client.Sent: pb.Result_RESULT_SENT,
		client.NotSent: pb.Result_RESULT_NOT_SENT, client.Unknown: pb.Result_RESULT_UNKNOWN,
	} {
		bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
			if _, err := acquire(t, c).Done(t.Context(), client.Outcome{Result: result}); err != nil {
				t.Fatal(err)
			}
			if got := b.Reports()[0].GetResult(); got != want {
				t.Errorf("%d is %v, want %v", result, got, want)
			}
		})
	}
}

// TestMetadataOfTheContextIsSent: credentials for the broker that come with the
// context reach it on every call, in the background too.
func TestMetadataOfTheContextIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &metadataConn{}
		c := client.New(conn)
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "token")
		for _, end := range []func(*client.Permit){
			func(p *client.Permit) { p.Drop() },
			func(p *client.Permit) { p.DoneAsync(client.Outcome{}) },
			func(p *client.Permit) { p.Done(ctx, client.Outcome{}) },
		} {
			p, err := c.Acquire(ctx, people)
			if err != nil {
				t.Fatal(err)
			}
			end(p)
			synctest.Wait()
		}
		c.Close()
		if conn.with != 6 || conn.without != 0 {
			t.Errorf("%d calls with the token, %d without", conn.with, conn.without)
		}
	})
}

// metadataConn grants everything and counts the calls that carry a token. Calls
// come one after the other.
type metadataConn struct {
	failing
	with, without int
}

func (m *metadataConn) Invoke(ctx context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	if md, _ := metadata.FromOutgoingContext(ctx); len(md.Get("authorization")) == 1 {
		m.with++
	} else {
		m.without++
	}
	if r, ok := reply.(*pb.AcquirePermitResponse); ok {
		r.Permit = &pb.Permit{Id: "p"}
	}
	return nil
}

func TestUnknownPermitIsAnError(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		if _, err := pb.NewQuotaBrokerServiceClient(b.Conn()).ReleasePermit(t.Context(), &pb.ReleasePermitRequest{PermitId: b.Outstanding()[0]}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Done(t.Context(), client.Outcome{Status: 200}); status.Code(err) != codes.NotFound {
			t.Errorf("got %v", err)
		}
	})
}
