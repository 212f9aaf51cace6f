package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// failing is a connection on which every call meets the same error.
type failing struct{ err error }

func (f failing) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return f.err }
func (f failing) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.Join(f.err, status.Error(codes.Unimplemented, "no streams"))
}

// silent is a connection on which nothing is ever answered.
type silent struct{}

func (silent) Invoke(ctx context.Context, _ string, _, _ any, _ ...grpc.CallOption) error {
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}
func (silent) NewStream(ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	<-ctx.Done()
	return nil, status.FromContextError(ctx.Err()).Err()
}

func TestBrokerAwayDeniesByDefault(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.GoAway()
		_, err := c.Acquire(t.Context(), people)
		var away *client.UnavailableError
		if !errors.As(err, &away) || status.Code(err) != codes.Unavailable {
			t.Fatalf("want an *UnavailableError, got %v", err)
		}
		if n := len(b.Acquires()); n != client.DefaultAttempts {
			t.Errorf("tried %d times", n)
		}
		b.ComeBack()
		acquire(t, c).Drop()
	})
}

func TestBrokerAwayAllowsWhenTold(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.GoAway()
		p := acquire(t, c, client.WithBrokerAway(client.Allow))
		if !p.Unmanaged() || p.Check() != nil || p.WantsBody(500) {
			t.Errorf("not an unmanaged permit that may be sent: %v", p.Check())
		}
		time.Sleep(time.Hour)
		if err := p.Check(); err != nil {
			t.Errorf("nobody granted it and nobody bounds it: %v", err)
		}
		b.ComeBack()
		if _, err := p.Done(t.Context(), client.Outcome{Status: 429, Headers: []client.Header{{Name: "Retry-After", Value: "9"}}}); err != nil {
			t.Fatal(err)
		}
		c.Close()
		r := b.Reports()[0]
		if r.GetPermitId() != "" || r.GetScope().GetApi() != "linkedin" || r.GetStatusCode() != 429 || len(r.GetHeaders()) != 0 {
			t.Errorf("reported %v", r)
		}
		if err := p.Drop(); !errors.Is(err, client.ErrEnded) {
			t.Errorf("second end: %v", err)
		}
	})
}

func TestUnmanagedPermitThatWasNotSentSaysNothing(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.GoAway()
		dropped := acquire(t, c, client.WithBrokerAway(client.Allow))
		unsent := acquire(t, c, client.WithBrokerAway(client.Allow))
		b.ComeBack()
		dropped.Drop()
		if _, err := unsent.Done(t.Context(), client.Outcome{Result: client.NotSent}); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if r, d := len(b.Reports()), len(b.Releases()); r+d != 0 {
			t.Errorf("%d reports and %d releases of calls that nobody counted and nobody made", r, d)
		}
	})
}

// TestLostReplyIsNotGrantedTwice: the same request id finds the same permit.
func TestLostReplyIsNotGrantedTwice(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.LoseReplies(2)
		p := acquire(t, c)
		if asked, granted := len(b.Acquires()), b.Grants(); asked != 3 || granted != 1 {
			t.Errorf("asked %d times, granted %d", asked, granted)
		}
		if err := p.Check(); err != nil {
			t.Error(err)
		}
	})
}

// TestPermitThatComesLateIsGivenBack: its answer took longer than it may wait to
// be sent, so it is good for nothing and another is asked for.
func TestPermitThatComesLateIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker()
		defer b.Close()
		slow := &slowConn{ClientConnInterface: b.Conn(), late: []time.Duration{5 * time.Second, 3 * time.Second}}
		c := client.New(slow)
		defer c.Close()
		p := acquire(t, c)
		asked := time.Now().Add(-3 * time.Second)
		synctest.Wait()
		if granted, back := b.Grants(), len(b.Releases()); granted != 2 || back != 1 {
			t.Errorf("granted %d, given back %d", granted, back)
		}
		time.Sleep(time.Until(asked.Add(5*time.Second - 1)))
		if err := p.Check(); err != nil {
			t.Errorf("a moment before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := p.Check(); !errors.Is(err, client.ErrLapsed) {
			t.Errorf("what the answer took counts: %v", err)
		}
		slow.late = []time.Duration{time.Minute, time.Minute, time.Minute, time.Minute}
		if _, err := c.Acquire(t.Context(), people, client.WithMaxWait(time.Hour)); !errors.Is(err, client.ErrLapsed) {
			t.Errorf("never in time: %v", err)
		}
	})
}

// slowConn makes the answers to its first acquires late.
type slowConn struct {
	grpc.ClientConnInterface
	late []time.Duration
}

func (s *slowConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	err := s.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	if _, ok := reply.(*pb.AcquirePermitResponse); ok && len(s.late) > 0 {
		time.Sleep(s.late[0])
		s.late = s.late[1:]
	}
	return err
}

func TestLostReplyToAReport(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		b.LoseReplies(1)
		if _, err := p.Done(t.Context(), client.Outcome{Status: 200}); err != nil {
			t.Errorf("the report arrived, and Done says %v", err)
		}
		if n := len(b.Reports()); n != 1 {
			t.Errorf("%d reports", n)
		}
		p = acquire(t, c)
		b.LoseReplies(1)
		p.Drop()
		c.Close()
		if n := len(b.Releases()); n != 1 {
			t.Errorf("%d releases", n)
		}
	})
}

func TestReportOutlivesItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		b.GoAway()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Done(ctx, client.Outcome{Status: 200}); !errors.Is(err, context.Canceled) {
			t.Errorf("Done waited for more than its context: %v", err)
		}
		b.ComeBack()
		time.Sleep(time.Second)
		if n := len(b.Reports()); n != 1 {
			t.Errorf("%d reports", n)
		}
	})
}

func TestReportGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		b.GoAway()
		if _, err := p.Done(t.Context(), client.Outcome{Status: 200}); status.Code(err) != codes.Unavailable {
			t.Errorf("want UNAVAILABLE, got %v", err)
		}
		if _, err := p.Done(t.Context(), client.Outcome{Status: 200}); !errors.Is(err, client.ErrEnded) {
			t.Errorf("it has ended all the same: %v", err)
		}
	})
}

func TestBrokerThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client.New(silent{})
		defer c.Close()
		began := time.Now()
		_, err := c.Acquire(t.Context(), people, client.WithMaxWait(2*time.Second))
		var away *client.UnavailableError
		if !errors.As(err, &away) || time.Since(began) != 7*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Acquire(ctx, people, client.WithBrokerAway(client.Allow)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's time is over, and Acquire says %v", err)
		}
	})
}

// TestBrokerSaysWhenToTryAgain: what UNAVAILABLE says of it is kept to, and a
// wait that the caller has no time for is not begun.
func TestBrokerSaysWhenToTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := status.New(codes.Unavailable, "the store is away").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		c := client.New(failing{st.Err()})
		defer c.Close()
		began := time.Now()
		_, err = c.Acquire(t.Context(), people)
		var away *client.UnavailableError
		if !errors.As(err, &away) || away.RetryAfter != 2*time.Second || time.Since(began) != 6*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if _, err = c.Acquire(ctx, people); !errors.As(err, &away) || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestAnswerWithoutAPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client.New(failing{nil})
		defer c.Close()
		if _, err := c.Acquire(t.Context(), people); status.Code(err) != codes.Internal {
			t.Errorf("got %v", err)
		}
	})
}
