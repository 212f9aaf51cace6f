package client_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

var people = client.Scope{API: "linkedin", App: "app-1", User: "u-7", Endpoint: "GET /v2/people/{id}"}

// bubble runs a test with a client and its broker where time is not real.
func bubble(t *testing.T, test func(t *testing.T, b *clienttest.Broker, c *client.Client), opts ...client.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := clienttest.NewBroker()
		defer b.Close()
		c := client.New(b.Conn(), append([]client.Option{client.WithCaller("importer")}, opts...)...)
		defer c.Close()
		test(t, b, c)
	})
}

func acquire(t *testing.T, c *client.Client, opts ...client.AcquireOption) *client.Permit {
	t.Helper()
	p, err := c.Acquire(t.Context(), people, opts...)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return p
}

func TestAcquireSaysWhoAsksForWhat(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		s := people
		s.Labels = map[string]string{"tenant": "eu"}
		p, err := c.Acquire(t.Context(), s, client.WithPriority(client.High), client.WithCost("tokens", 40), client.WithMaxWait(3*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Drop()
		r := b.Acquires()[0]
		if r.GetCaller() != "importer" || r.GetPriority() != pb.Priority_PRIORITY_HIGH || r.GetCosts()["tokens"] != 40 ||
			r.GetMaxWait().AsDuration() != 3*time.Second || r.GetRequestId() == "" {
			t.Errorf("asked %v", r)
		}
		if got := r.GetScope(); got.GetApi() != "linkedin" || got.GetApp() != "app-1" || got.GetUser() != "u-7" ||
			got.GetEndpoint() != "GET /v2/people/{id}" || got.GetLabels()["tenant"] != "eu" {
			t.Errorf("scope %v", got)
		}
	})
}

func TestDefaultsOfEveryAcquire(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		acquire(t, c, client.WithCost("tokens", 2)).Drop()
		acquire(t, c).Drop()
		first, second := b.Acquires()[0], b.Acquires()[1]
		if first.GetCosts()["tokens"] != 2 || first.GetCosts()["points"] != 5 {
			t.Errorf("first costs %v", first.GetCosts())
		}
		if len(second.GetCosts()) != 1 || second.GetPriority() != pb.Priority_PRIORITY_BACKGROUND {
			t.Errorf("an option of one call changed the defaults: %v", second)
		}
	}, client.WithPriority(client.Background), client.WithCost("points", 5))
}

// TestHowLongIsWaited says for how long the broker is asked to wait.
func TestHowLongIsWaited(t *testing.T) {
	for _, tt := range []struct {
		name     string
		deadline time.Duration
		opts     []client.AcquireOption
		want     time.Duration
	}{
		{name: "no deadline", want: client.DefaultMaxWait},
		{name: "a deadline, less the margin", deadline: 2 * time.Minute, want: 2*time.Minute - 100*time.Millisecond},
		{name: "a short deadline, less a tenth", deadline: 50 * time.Millisecond, want: 45 * time.Millisecond},
		{name: "the option, sooner than the deadline", deadline: time.Minute, want: 5 * time.Second, opts: []client.AcquireOption{client.WithMaxWait(5 * time.Second)}},
		{name: "the deadline, sooner than the option", deadline: 10 * time.Second, want: 9900 * time.Millisecond, opts: []client.AcquireOption{client.WithMaxWait(time.Minute)}},
		{name: "at once", want: 0, opts: []client.AcquireOption{client.WithMaxWait(-1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
				b.Hold(client.Scope{})
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				began := time.Now()
				_, err := c.Acquire(ctx, people, tt.opts...)
				var denied *client.DeniedError
				if !errors.As(err, &denied) || denied.Reason != client.DeadlineTooShort {
					t.Fatalf("want the broker's reason, got %v", err)
				}
				if got := time.Since(began); got != tt.want {
					t.Errorf("waited %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestDeniedErrorSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.Deny(people, clienttest.Denial{Reason: client.QuotaExhausted, Bucket: "linkedin/app-1", Limit: "app-day", RetryAfter: 1500 * time.Millisecond})
		_, err := c.Acquire(t.Context(), people)
		var denied *client.DeniedError
		if !errors.As(err, &denied) {
			t.Fatalf("want a *DeniedError, got %v", err)
		}
		if denied.Reason != client.QuotaExhausted || denied.Bucket != "linkedin/app-1" || denied.Limit != "app-day" || denied.RetryAfter != 1500*time.Millisecond {
			t.Errorf("denied %+v", denied)
		}
		if got, want := err.Error(), `denied: QUOTA_EXHAUSTED: limit "app-day" of "linkedin/app-1": ask again in 1.5s`; got != want {
			t.Errorf("error %q, want %q", got, want)
		}
		if st, _ := status.FromError(err); st.Code() != codes.ResourceExhausted || len(st.Details()) != 3 {
			t.Errorf("the status lost its code or details: %v", st)
		}
		if n := len(b.Acquires()); n != 1 {
			t.Errorf("a denial was asked %d times", n)
		}
	})
}

func TestBadScopesAreRefusedBeforeTheyAreSent(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		for field, s := range map[string]client.Scope{
			"scope.api":      {},
			"scope.user":     {API: "a", User: "\xff"},
			"scope.endpoint": {API: "a", Endpoint: "GET /\xc3"},
			"scope.labels":   {API: "a", Labels: map[string]string{"t": "\xff"}},
		} {
			_, err := c.Acquire(t.Context(), s)
			var invalid *client.InvalidScopeError
			if !errors.As(err, &invalid) || invalid.Field != field || invalid.Remedy == "" {
				t.Errorf("%s: %v", field, err)
			}
		}
		if n := len(b.Acquires()); n != 0 {
			t.Errorf("%d were sent", n)
		}
	})
}

// TestPeerBug11 is a wait without a deadline, and a waiter that was cancelled and
// charged all the same.
func TestPeerBug11(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.Hold(client.Scope{})
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the caller left")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		_, err := c.Acquire(ctx, people)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, gone) {
			t.Errorf("want the context's error and its cause, got %v", err)
		}
		synctest.Wait()
		b.Grant()
		synctest.Wait()
		if n := b.Grants(); n != 0 {
			t.Errorf("%d granted to nobody", n)
		}
	})
}

// TestReportsFindAWayPastEveryWaiter has more callers than may wait at the
// broker: a report is not behind any of them, and each ends in time.
func TestReportsFindAWayPastEveryWaiter(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		b.Hold(client.Scope{})
		began := time.Now()
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				_, err := c.Acquire(t.Context(), people, client.WithMaxWait(2*time.Second))
				if _, ok := errors.AsType[*client.DeniedError](err); !ok {
					t.Errorf("waiter: %v", err)
				}
			})
		}
		synctest.Wait()
		if n := len(b.Acquires()); n != 1+16 {
			t.Errorf("%d calls are at the broker, want 16 and the first", n)
		}
		if _, err := p.Done(t.Context(), client.Outcome{Status: 200}); err != nil || time.Since(began) != 0 {
			t.Errorf("the report took %v: %v", time.Since(began), err)
		}
		if _, err := c.Acquire(t.Context(), people, client.WithMaxWait(0)); err == nil || time.Since(began) != 0 {
			t.Errorf("an answer at once took %v: %v", time.Since(began), err)
		}
		wg.Wait()
		if got := time.Since(began); got != 2*time.Second {
			t.Errorf("the last waiter ended after %v, want 2s", got)
		}
	}, client.WithMaxWaiting(16))
}

func TestQueueOfTheClientHonoursTheContext(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.Hold(client.Scope{})
		go func() { _, _ = c.Acquire(t.Context(), people) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := c.Acquire(ctx, people); !errors.Is(err, context.Canceled) {
			t.Errorf("in the queue: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Acquire(ctx, people)
		var denied *client.DeniedError
		if !errors.As(err, &denied) || denied.Reason != client.TooManyWaiters || status.Code(err) != codes.ResourceExhausted {
			t.Errorf("to its end in the queue: %v", err)
		}
		b.Grant()
		acquire(t, c).Drop()
	}, client.WithMaxWaiting(1))
}

func TestCloseEndsWaitersAndNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		p := acquire(t, c)
		b.Hold(client.Scope{})
		waiter := make(chan error, 1)
		go func() {
			_, err := c.Acquire(t.Context(), people)
			waiter <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-waiter; !errors.Is(err, client.ErrClosed) {
			t.Errorf("waiter: %v", err)
		}
		if _, err := c.Acquire(t.Context(), people); !errors.Is(err, client.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := p.Done(t.Context(), client.Outcome{Status: 200}); err != nil {
			t.Errorf("a permit that was out: %v", err)
		}
		if n := len(b.Reports()); n != 1 {
			t.Errorf("%d reports", n)
		}
	})
}

func TestCloseWaitsForReports(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		acquire(t, c).DoneAsync(client.Outcome{Status: 200})
		acquire(t, c).Drop()
		c.Close()
		if r, d := len(b.Reports()), len(b.Releases()); r != 1 || d != 1 {
			t.Errorf("%d reports and %d releases arrived before Close was through", r, d)
		}
	})
}

func TestOtherErrorsKeepTheirCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := client.New(failing{status.Error(codes.InvalidArgument, "scope.app: too long")}, client.WithBrokerAway(client.Allow))
		defer c.Close()
		_, err := c.Acquire(t.Context(), people)
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("got %v", err)
		}
		// A proxy on the way that limits rates has decided nothing about quota.
		c = client.New(failing{status.Error(codes.ResourceExhausted, "slow down")})
		defer c.Close()
		_, err = c.Acquire(t.Context(), people)
		var denied *client.DeniedError
		if errors.As(err, &denied) || status.Code(err) != codes.ResourceExhausted {
			t.Errorf("got %v", err)
		}
	})
}
