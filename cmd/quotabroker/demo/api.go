package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// The call that the fleet makes, as guides to LinkedIn's API have it.
const (
	appName    = "demo-app"
	path       = "/v2/connections"
	endpoint   = "GET " + path
	userHeader = "X-Member"
)

// api is an HTTP API in front of an upstream's quotas.
type api struct {
	server *http.Server
	url    string
	plan   Plan
	start  time.Time

	mu       sync.Mutex
	upstream *simulate.Upstream
}

// startAPI serves on the listener until close. The run starts at start.
func startAPI(lis net.Listener, upstream *simulate.Upstream, p Plan, start time.Time) *api {
	a := &api{upstream: upstream, url: "http://" + lis.Addr().String(), plan: p, start: start}
	mux := http.NewServeMux()
	mux.HandleFunc(endpoint, a.serve)
	a.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = a.server.Serve(lis) }() // ends by close, and then says only that
	return a
}

// serve takes the call's latency, half of it on the way in. An API works and
// counts, whether its caller still waits or not.
func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.FormValue("start"))
	if err != nil {
		http.Error(w, "start: must be a number", http.StatusBadRequest)
		return
	}
	half := job{id: id}.latency() / 2
	<-time.After(half)
	answer := a.count(r.Header.Get(userHeader))
	<-time.After(half)

	w.Header().Set("Content-Type", "application/json")
	if a.plan.Headers != None {
		for _, h := range answer.Headers {
			w.Header().Set(h.Name, h.Value)
		}
	}
	w.WriteHeader(answer.Status)
	// A caller that is gone by now needs no body.
	_ = json.NewEncoder(w).Encode(body{answer.Status, a.message(answer.Spent)})
}

// body is that of LinkedIn's answers.
type body struct {
	Status  int    `json:"status"`
	Message string `json:"message,omitempty"`
}

// message is LinkedIn's text of a 429. LinkedIn's quotas are by DAY; those here
// are not, and the text says so in the same words.
func (a *api) message(spent string) string {
	who := "APPLICATION"
	switch spent {
	case "":
		return ""
	case "member":
		who = "APPLICATION_AND_MEMBER"
	}
	return fmt.Sprintf("Resource level throttle %s %.0f SECOND limit for calls to this resource is reached.", who, a.plan.Window.Seconds())
}

func (a *api) count(user string) simulate.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upstream.Serve(a.steady(time.Now()), simulate.Request{Call: simulate.Call{App: appName, User: user, Endpoint: endpoint}})
}

// score is the judge's verdict on the run that ends now.
func (a *api) score(now time.Time) simulate.Score {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upstream.Score(a.steady(now))
}

// uses are the judge's shares of the quotas between two instants.
func (a *api) uses(from, to time.Time) []simulate.Use {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upstream.Uses(a.steady(from), a.steady(to))
}

// steady is an instant of this process for the upstream, which reads wall clocks:
// the start's, moved by the monotonic clock. So no window is cut when the
// machine's clock is set.
func (a *api) steady(t time.Time) time.Time { return a.start.Round(0).Add(t.Sub(a.start)) }

// refused is how many 429s there were so far.
func (a *api) refused() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.upstream.Refused()
}

// close waits for the calls under way, which take a moment at most.
func (a *api) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close() // an error would be the listener's, and it is gone
	}
}
