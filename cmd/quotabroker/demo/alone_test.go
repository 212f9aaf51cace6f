package demo

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// answers makes a service alone that is given these answers in turn, and the
// last one for ever: a status and, after a blank, a reset.
func answers(t *testing.T, list ...string) *alone {
	t.Helper()
	n := &memory{}
	lis, err := n.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var i atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status, reset, told := strings.Cut(list[min(int(i.Add(1)), len(list))-1], " ")
		if told {
			w.Header().Set("X-RateLimit-Reset", reset)
		}
		switch status {
		case "429":
			w.WriteHeader(http.StatusTooManyRequests)
		case "500":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	go func() { _ = server.Serve(lis) }() // ends with the test
	transport := transport(n, 1)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close() // an error is of no matter any more
	})
	return &alone{&http.Client{Transport: transport}, "http://" + lis.Addr().String(), answer.reset, new(atomic.Int64)}
}

// TestAloneBacksOff holds the guide's back-off: X-RateLimit-Reset × 2ⁱ, 60 s
// without the header, five tries.
func TestAloneBacksOff(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []string
		want    time.Duration
		givenUp int64
	}{
		{"served", []string{"200"}, 0, 0},
		{"once", []string{"429 7", "200"}, 7 * time.Second, 0},
		{"doubled", []string{"429 7", "429 3", "429 1", "200"}, (7 + 6 + 4) * time.Second, 0},
		{"no header", []string{"429", "200"}, time.Minute, 0},
		{"a reset of 0", []string{"429 0", "429 2", "200"}, 4 * time.Second, 0},
		{"given up", []string{"429 1", "429 1", "429 1", "429 1", "429 1", "429 1", "200"}, (1 + 2 + 4 + 8 + 16 + 1) * time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := answers(t, tt.answers...)
				began := time.Now()
				if err := a.call(t.Context(), job{}); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != tt.want || a.givenUp.Load() != tt.givenUp {
					t.Errorf("got %v and %d given up, want %v and %d", took, a.givenUp.Load(), tt.want, tt.givenUp)
				}
			})
		})
	}
}

// TestAloneWithoutHeaders holds the back-off at an API that tells nothing: 2ⁱ
// seconds, five tries.
func TestAloneWithoutHeaders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		plan := DefaultPlan()
		plan.Headers = None
		c, err := newAlone(t.Context(), &memory{}, plan, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		spend(c.api)
		began, j := time.Now(), job{user: "member-01"}
		if err := c.services[0].call(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		// Tries after 0, 1, 3 and 7 s; the next one is in a new window.
		if took := time.Since(began); took != 15*time.Second+5*j.latency() || c.api.refused() != 4 {
			t.Errorf("served after %v and %d refusals, want 15 s and 4", took, c.api.refused())
		}
	})
}

func TestAloneStopsAtAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := answers(t, "500").call(t.Context(), job{}); err == nil || !strings.Contains(err.Error(), "500") {
			t.Errorf("got %v, want an error that says 500", err)
		}
	})
}
