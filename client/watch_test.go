package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
)

// TestPeerBug14And20: what one caller is told holds back every permit that the
// client has and has not sent, and no other scope's.
func TestPeerBug14And20(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		mine := acquire(t, c)
		other, err := c.Acquire(t.Context(), client.Scope{API: "linkedin", App: "app-1", User: "u-8"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.CoolDown(client.Scope{API: "linkedin", App: "app-1", User: "u-7"}, clienttest.Denial{RetryAfter: time.Minute})
		synctest.Wait()
		if err := mine.Check(); !errors.Is(err, client.ErrRevoked) || !strings.Contains(err.Error(), client.CoolingDown) {
			t.Errorf("the user's permit: %v", err)
		}
		if err := other.Check(); err != nil {
			t.Errorf("another user's permit: %v", err)
		}
		began := time.Now()
		if _, err := c.Acquire(t.Context(), people); err == nil || time.Since(began) != 0 {
			t.Errorf("a call with too little time was not told at once: %v", err)
		}
		acquire(t, c, client.WithMaxWait(2*time.Minute))
		if got := time.Since(began); got != time.Minute {
			t.Errorf("granted after %v", got)
		}
	})
}

func TestRevocationOfParts(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		scopes := map[string]client.Scope{
			"whole":          {API: "a", App: "1", User: "u", Endpoint: "e", Labels: map[string]string{"t": "x"}},
			"other api":      {API: "b", App: "1", User: "u", Endpoint: "e", Labels: map[string]string{"t": "x"}},
			"other app":      {API: "a", App: "2", User: "u", Endpoint: "e", Labels: map[string]string{"t": "x"}},
			"no app":         {API: "a", User: "u", Endpoint: "e", Labels: map[string]string{"t": "x"}},
			"other user":     {API: "a", App: "1", User: "v", Endpoint: "e", Labels: map[string]string{"t": "x"}},
			"no user":        {API: "a", App: "1", Endpoint: "e", Labels: map[string]string{"t": "x"}},
			"other endpoint": {API: "a", App: "1", User: "u", Endpoint: "f", Labels: map[string]string{"t": "x"}},
			"other label":    {API: "a", App: "1", User: "u", Endpoint: "e", Labels: map[string]string{"t": "y"}},
			"no label":       {API: "a", App: "1", User: "u", Endpoint: "e"},
		}
		permits := map[string]*client.Permit{}
		for name, s := range scopes {
			p, err := c.Acquire(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			permits[name] = p
		}
		synctest.Wait()
		b.Revoke(scopes["whole"], "narrow")
		synctest.Wait()
		void := func() (names []string) {
			for name, p := range permits {
				if p.Check() != nil {
					names = append(names, name)
				}
			}
			return names
		}
		if got := void(); len(got) != 1 || got[0] != "whole" {
			t.Errorf("a revocation of one scope made void %v", got)
		}
		b.Revoke(client.Scope{API: "a", App: "1"}, "wide")
		synctest.Wait()
		if got := void(); len(got) != 6 {
			t.Errorf("a revocation of one application made void %v", got)
		}
	})
}

// TestRevocationThatArrivesFirst: the permit was granted before the revocation,
// and its answer comes after it.
func TestRevocationThatArrivesFirst(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		acquire(t, c).Drop() // the watch is open now
		synctest.Wait()
		b.LoseReplies(1)
		time.AfterFunc(10*time.Millisecond, func() { b.Revoke(people, "wait") })
		began := time.Now()
		p := acquire(t, c)
		if time.Since(began) < 10*time.Millisecond {
			t.Fatal("the answer was not late")
		}
		if err := p.Check(); err != nil {
			t.Errorf("Acquire returned a void permit: %v", err)
		}
		synctest.Wait()
		if n := len(b.Releases()); n != 2 {
			t.Errorf("%d given back, want the first and the revoked one", n)
		}
	})
}

// TestManyRevocations: those that are forgotten still cover what was granted
// before them.
func TestManyRevocations(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		acquire(t, c).Drop()
		synctest.Wait()
		b.LoseReplies(1)
		time.AfterFunc(10*time.Millisecond, func() {
			b.Revoke(people, "wait")
			for i := range 300 {
				b.Revoke(client.Scope{API: "linkedin", App: "app-1", User: fmt.Sprint("other-", i)}, "wait")
			}
		})
		acquire(t, c)
		synctest.Wait()
		if n := len(b.Releases()); n != 2 {
			t.Errorf("%d given back, want the first and the revoked one", n)
		}
	})
}

// TestWatchComesBack after the broker was away, and forgets what was before: the
// generations of a broker that starts anew begin anew too.
func TestWatchComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		acquire(t, c).Drop()
		synctest.Wait()
		b.GoAway()
		time.Sleep(10 * time.Second)
		if n := b.Watches(); n != 0 {
			t.Fatalf("%d watches of a broker that is away", n)
		}
		b.ComeBack()
		time.Sleep(31 * time.Second)
		if n := b.Watches(); n != 1 {
			t.Fatalf("%d watches", n)
		}
		p := acquire(t, c)
		b.Revoke(people, "wait")
		synctest.Wait()
		if err := p.Check(); !errors.Is(err, client.ErrRevoked) {
			t.Errorf("after the watch came back: %v", err)
		}
	})
}

func TestWatchesOfIdleApplicationsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		for i := range 100 {
			p, err := c.Acquire(t.Context(), client.Scope{API: "a", App: fmt.Sprint(i)})
			if err != nil {
				t.Fatal(err)
			}
			p.Drop()
			time.Sleep(time.Millisecond)
		}
		if n := b.Watches(); n != 64 {
			t.Errorf("%d applications are followed, want 64", n)
		}
		time.Sleep(30 * time.Second)
		acquire(t, c).Drop()
		time.Sleep(31 * time.Second)
		if n := b.Watches(); n != 1 {
			t.Errorf("%d applications are followed, want the one in use", n)
		}
		time.Sleep(time.Minute)
		if n := b.Watches(); n != 0 {
			t.Errorf("%d applications are followed, want none", n)
		}
	})
}

// TestWatchIsKeptWhileACallWaits for longer than an idle watch lasts.
func TestWatchIsKeptWhileACallWaits(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.Hold(client.Scope{})
		time.AfterFunc(3*time.Minute, b.Grant)
		p := acquire(t, c, client.WithMaxWait(5*time.Minute))
		if n := b.Watches(); n != 1 {
			t.Fatalf("%d watches", n)
		}
		b.Revoke(people, "wait")
		synctest.Wait()
		if err := p.Check(); !errors.Is(err, client.ErrRevoked) {
			t.Errorf("got %v", err)
		}
	})
}

func TestMoreApplicationsAtOnceThanAreFollowed(t *testing.T) {
	bubble(t, func(t *testing.T, b *clienttest.Broker, c *client.Client) {
		b.Hold(client.Scope{})
		got := make(chan *client.Permit)
		for i := range 70 {
			go func() {
				p, err := c.Acquire(t.Context(), client.Scope{API: "a", App: fmt.Sprint(i)})
				if err != nil {
					t.Error(err)
				}
				got <- p
			}()
		}
		synctest.Wait()
		if n := b.Watches(); n != 64 {
			t.Errorf("%d applications are followed, want 64", n)
		}
		b.Grant()
		for range 70 {
			if p := <-got; p.Check() != nil {
				t.Error("void")
			}
		}
	})
}
