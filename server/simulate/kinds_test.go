package simulate

import (
	"fmt"
	"testing"
	"time"
)

// TestKinds steps through the windows that are not fixed. A step is a time and,
// for each call then, the status, what is left and the reset.
func TestKinds(t *testing.T) {
	limit := func(quota int64, w Shape) Limit { return Limit{Name: "app", Quota: quota, Window: w} }
	for _, tt := range []struct {
		name  string
		limit Limit
		work  time.Duration
		steps []step
	}{
		{"sliding log", limit(3, Shape{Sliding: 10 * time.Second}), 0, []step{
			{"0s", "u", "200 3 2 10"},
			{"4s", "u", "200 3 1 6"},
			{"9s", "u", "200 3 0 1"},
			{"9.999s", "u", "429 3 0 1"},
			{"10s", "u", "200 3 0 4"}, // the first is out: at its age of exactly ten seconds
			{"13.9s", "u", "429 3 0 1"},
			{"14s", "u", "200 3 0 5"},
			{"40s", "u", "200 3 2 10"},
		}},
		// Windows of 10 s begin at 7 s, 17 s, …
		{"sliding counter", limit(10, Shape{Counter: 10 * time.Second}), 0, []step{
			{"6s", "u", "200 10 9 1"},
			{"6s", "u", "200 10 8 1"},
			{"6s", "u", "200 10 7 1"},
			{"6s", "u", "200 10 6 1"},
			{"7s", "u", "200 10 5 10"},  // all 4 of the last window, 1 of this
			{"12s", "u", "200 10 6 5"},  // half of the 4, 2 of this
			{"17s", "u", "200 10 7 10"}, // both of the last, 1 of this
			{"38s", "u", "200 10 9 9"},  // a window without a call between
		}},
		{"token bucket", limit(2, Shape{Refill: time.Second, Burst: 3}), 0, []step{
			{"0s", "u", "200 3 2 1"},
			{"0s", "u", "200 3 1 1"},
			{"0s", "u", "200 3 0 1"},
			{"0s", "u", "429 3 0 1"},
			{"0.499s", "u", "429 3 0 1"},
			{"0.5s", "u", "200 3 0 1"},
			{"1.5s", "u", "200 3 1 1"},
			{"9s", "u", "200 3 2 1"},
		}},
		{"a quota is the burst", limit(2, Shape{Refill: time.Minute}), 0, []step{
			{"0s", "u", "200 2 1 30"},
			{"10s", "u", "200 2 0 20"},
			{"29s", "u", "429 2 0 1"},
			{"30s", "u", "200 2 0 30"},
		}},
		{"concurrent", limit(2, Shape{Concurrent: true}), 3 * time.Second, []step{
			{"0s", "u", "200 2 1 3"},
			{"1s", "u", "200 2 0 2"},
			{"2.999s", "u", "429 2 0 1"},
			{"3s", "u", "200 2 0 1"},
			{"4s", "u", "200 2 0 2"},
			{"20s", "u", "200 2 1 3"},
		}},
		{"hours of half an hour east", limit(5, Shape{Calendar: "hour", Zone: "Asia/Kolkata"}), 0, []step{
			{"0s", "u", "200 5 4 2597"}, // 13:46:43 UTC, 19:16:43 there
			{"43m16s", "u", "200 5 3 1"},
			{"43m17s", "u", "200 5 4 3600"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := NewUpstream(API{Limits: []Limit{tt.limit}, Latency: Latency{Work: Spread{Typical: time.Second}}}, t0, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range tt.steps {
				answer := u.Serve(at(t, s.at), Request{Call: Call{App: "a", User: s.user}, Work: tt.work})
				got := fmt.Sprint(answer.Status)
				for _, h := range answer.Headers {
					got += " " + h.Value
				}
				if got != s.want {
					t.Errorf("step %d at %s: got %q, want %q", i, s.at, got, s.want)
				}
			}
		})
	}
}
