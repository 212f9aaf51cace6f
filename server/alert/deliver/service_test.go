package deliver

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
)

// The line: whatever the receiver does meanwhile, a grant takes no time
// for it, and once it is back it has each notice once, in order.
func TestReceiverThatMisbehaves(t *testing.T) {
	for _, tt := range []struct {
		name   string
		down   bool
		status int
		wait   string
		slow   time.Duration
	}{
		{"down", true, 200, "", 0},
		{"slow", false, 200, "", 5 * time.Second},
		{"hanging", false, 200, "", time.Hour},
		{"500", false, http.StatusInternalServerError, "", 0},
		{"503 with a date", false, http.StatusServiceUnavailable, "Sat, 01 Jan 2000 00:30:00 GMT", 0},
		{"429", false, http.StatusTooManyRequests, "120", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, r := newBroker(t, 100), newReceiver(t)
				log, _ := logger(t)
				r.set(tt.down, tt.status, tt.wait, tt.slow)
				s := follow(t, b, log, 0, NewJSON("hook", address, r.transport()))
				began := time.Now()
				call(t, b, 95, http.StatusOK)
				if took := time.Since(began); took != 0 {
					t.Errorf("the grants took %v", took)
				}
				time.Sleep(time.Second)
				began = time.Now()
				call(t, b, 1, http.StatusTooManyRequests) // a cool-down of a minute
				if took := time.Since(began); took != 0 {
					t.Errorf("a grant took %v", took)
				}
				time.Sleep(90 * time.Second)
				call(t, b, 3, http.StatusOK) // the probe, and the ramp
				time.Sleep(20 * time.Minute)
				r.set(false, http.StatusOK, "", 0)
				time.Sleep(25 * time.Hour) // the window turns
				checkOnce(t, r, "firing remaining", "firing cooldown", "resolved cooldown", "resolved remaining")
				if c := s.Counts()["hook"]; c.Delivered != 4 || c.Waiting != 0 || c.Dropped != 0 || c.Refused != 0 {
					t.Errorf("counts %+v", c)
				}
				if failed := s.Counts()["hook"].Failures; (failed == 0) != (tt.name == "slow") {
					t.Errorf("%d attempts failed", failed)
				}
			})
		})
	}
}

// checkOnce fails the test unless the receiver has exactly this, each once.
func checkOnce(t *testing.T, r *receiver, want ...string) {
	t.Helper()
	var got, ids []string
	for _, m := range r.messages() {
		got = append(got, m.Status+" "+m.Rule)
		ids = append(ids, m.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != len(got) {
		t.Errorf("an id came twice: %q", ids)
	}
}

// An answer that is lost makes a notice come twice, with one id.
func TestLostAnswerComesAgainWithTheSameID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		lose := true
		reach := r.transport()
		sink := newWebhook("hook", address, []WebhookOption{reach})
		inner := sink.client.Transport
		sink.client.Transport = tripper(func(q *http.Request) (*http.Response, error) {
			response, err := inner.RoundTrip(q)
			if err == nil && lose {
				lose = false
				_ = response.Body.Close()
				return nil, errors.New("connection reset")
			}
			return response, err
		})
		sink.form = NewJSON("", address).(*webhook).form
		follow(t, b, nil, 0, sink)
		call(t, b, 95, http.StatusOK)
		time.Sleep(time.Minute)
		if ids := r.taken(); len(ids) != 2 || ids[0] != ids[1] || ids[0] == "" {
			t.Errorf("got %q, want one id twice", ids)
		}
	})
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(q *http.Request) (*http.Response, error) { return f(q) }

// One receiver that is down holds up no other.
func TestSinksAreIndependent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, dead, alive := newBroker(t, 100), newReceiver(t), newReceiver(t)
		dead.set(true, 0, "", 0)
		log, text := logger(t)
		follow(t, b, log, 0, NewJSON("dead", address, dead.transport()), NewLog(log), NewJSON("alive", address, alive.transport()))
		call(t, b, 95, http.StatusOK)
		time.Sleep(time.Second)
		checkOnce(t, alive, "firing remaining")
		for _, want := range []string{
			`level=WARN msg="quota alert firing" rule=remaining summary="api, app app, limit app-day: 5 of 100 requests are left, 5.0%,`,
			`sink=dead reason="no answer: connection refused" attempts=1 waiting=1`,
		} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the log has no %s: %s", want, text)
			}
		}
	})
}

func TestRetriesSlowDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		r.set(false, http.StatusBadGateway, "", 0)
		log, text := logger(t)
		follow(t, b, log, 0, NewJSON("hook", address, r.transport()))
		call(t, b, 95, http.StatusOK)
		time.Sleep(6 * time.Hour)
		attempts := r.tried()
		n := len(attempts)
		if n < 60 || n > 160 {
			t.Errorf("%d attempts in six hours", n)
		}
		for i := 1; i < n; i++ {
			gap, most := attempts[i].Sub(attempts[i-1]), min(retryBase<<min(i-1, 20), retryMax)
			if gap < most/2 || gap > most {
				t.Errorf("attempt %d came %v after the one before, want %v to %v", i, gap, most/2, most)
			}
		}
		if lines := strings.Count(text.String(), "cannot be delivered"); lines > 9 {
			t.Errorf("%d lines about it in the log", lines)
		}
		r.set(false, http.StatusOK, "", 0)
		time.Sleep(retryMax)
		checkOnce(t, r, "firing remaining")
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		r.set(false, http.StatusTooManyRequests, "600", 0)
		follow(t, b, nil, 0, NewJSON("hook", address, r.transport()))
		call(t, b, 95, http.StatusOK)
		time.Sleep(601 * time.Second)
		if tried := r.tried(); len(tried) != 2 || tried[1].Sub(tried[0]) != 600*time.Second {
			t.Errorf("attempts at %v, want two, 600s apart", tried)
		}
	})
}

// What is refused for good is not tried again, and holds up nothing.
func TestRefusedForGood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		r.set(false, http.StatusNotFound, "", 0)
		log, text := logger(t)
		s := follow(t, b, log, 0, NewJSON("hook", address, r.transport()))
		call(t, b, 95, http.StatusOK)
		time.Sleep(time.Hour)
		if c := s.Counts()["hook"]; c.Refused != 1 || c.Waiting != 0 || len(r.tried()) != 1 {
			t.Errorf("counts %+v, %d attempts", c, len(r.tried()))
		}
		if !strings.Contains(text.String(), "the receiver answered 404") {
			t.Errorf("the log: %s", text)
		}
	})
}

// A redirect is not followed: the notice is for whom the operator named.
func TestRedirectIsNotFollowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		r.set(false, http.StatusTemporaryRedirect, "", 0)
		s := follow(t, b, nil, 0, NewJSON("hook", address, r.transport()))
		call(t, b, 95, http.StatusOK)
		time.Sleep(time.Minute)
		if c := s.Counts()["hook"]; c.Refused != 1 || len(r.tried()) != 1 {
			t.Errorf("counts %+v, %d attempts", c, len(r.tried()))
		}
	})
}

func TestStopTriesOnceMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		r.set(false, http.StatusInternalServerError, "", 0)
		s := follow(t, b, nil, 0, NewJSON("hook", address, r.transport()))
		call(t, b, 95, http.StatusOK)
		time.Sleep(10 * time.Minute)
		r.set(false, http.StatusOK, "", 0)
		began := time.Now()
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		checkOnce(t, r, "firing remaining")
		if took := time.Since(began); took != 0 {
			t.Errorf("the stop took %v", took)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("a second stop: %v", err)
		}
	})
}

func TestStopDoesNotWaitForAReceiverThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		r.set(false, http.StatusOK, "", time.Hour)
		log, text := logger(t)
		s := follow(t, b, log, 0, NewJSON("hook", address, r.transport()))
		call(t, b, 95, http.StatusOK)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop: %v", err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("the stop took %v", took)
		}
		if !strings.Contains(text.String(), "lost=1") {
			t.Errorf("the log: %s", text)
		}
	})
}

// The broker's own end ends the following.
func TestBrokerThatDrains(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBroker(t, 100)
		s := follow(t, b, nil, 0)
		b.Drain()
		synctest.Wait()
		select {
		case <-s.followed:
		default:
			t.Error("it follows a broker that has drained")
		}
		if _, err := Start(Config{Broker: b}); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("Start: %v", err)
		}
		log := NewLog(nil)
		if _, err := Start(Config{Broker: b, Sinks: []Sink{log, log}}); err == nil || !strings.Contains(err.Error(), `"log"`) {
			t.Errorf("two sinks of one name: %v", err)
		}
	})
}
