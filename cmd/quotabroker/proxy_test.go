package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// upstream is an API with a quota for the application, and its books.
type upstream struct {
	*httptest.Server
	mu    sync.Mutex
	model *simulate.Upstream
	users []string
}

func newUpstream(t *testing.T, quota int64, window time.Duration) *upstream {
	t.Helper()
	model, err := simulate.NewUpstream(simulate.API{Limits: []simulate.Limit{
		{Name: "app", Quota: quota, Window: simulate.Shape{Fixed: window, From: simulate.FirstUse}},
	}}, time.Now(), 1)
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{model: model}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.users = append(u.users, r.Header.Get("X-User"))
	answer := u.model.Serve(time.Now(), simulate.Request{Call: simulate.Call{App: "app-1"}})
	for _, h := range answer.Headers {
		w.Header().Set(h.Name, h.Value)
	}
	w.WriteHeader(answer.Status)
	_, _ = io.WriteString(w, "hello from upstream") // a client that left is no matter
}

func (u *upstream) score() simulate.Score {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.model.Score(time.Now())
}

// limited is a configuration with a quota for the application.
func limited(t *testing.T, quota int, window time.Duration) string {
	t.Helper()
	return anyPorts(t, fmt.Sprintf("apis: {linkedin: {limits: [{name: app, per: [app], quota: %d, window: {fixed: %v}}]}}\n", quota, window))
}

// startProxy starts a proxy in front of an upstream, and returns its URL.
func startProxy(t *testing.T, u *upstream, args ...string) (string, *process) {
	t.Helper()
	p := start(t, append([]string{
		"proxy", "--api", "linkedin", "--upstream", u.URL, "--listen", "127.0.0.1:0", "--user-header", "X-User",
	}, args...)...)
	return "http://" + p.address("proxy of "+u.URL), p
}

// reply is a response, its body read.
type reply struct {
	code   int
	header http.Header
	body   string
}

// fetch makes a request for a user.
func fetch(t *testing.T, url, user string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(patient(t), http.MethodGet, url+"/v2/me", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-User", user)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it is read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

func TestProxyHolds(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, 2, 3*time.Second)
	url, _ := startProxy(t, u, "--config", limited(t, 2, 3*time.Second))
	began := time.Now()
	for i := range 3 {
		got := fetch(t, url, "user-"+strconv.Itoa(i))
		if got.code != http.StatusOK || got.body != "hello from upstream" || got.header.Get("X-RateLimit-Limit") != "2" {
			t.Errorf("request %d: got %+v", i, got)
		}
		if took := time.Since(began); (i == 2) != (took >= 2*time.Second) {
			t.Errorf("request %d ended after %v", i, took)
		}
	}
	if got := u.score(); got.Refused != 0 || got.Served != 3 {
		t.Errorf("the upstream's books: %+v", got)
	}
	if got := strings.Join(u.users, " "); got != "user-0 user-1 user-2" {
		t.Errorf("the upstream saw users %q", got)
	}
}

func TestProxyTellsWhenToComeBack(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, 1, 3*time.Second)
	url, _ := startProxy(t, u, "--config", limited(t, 1, 3*time.Second), "--max-wait", "0")
	if got := fetch(t, url, "a"); got.code != http.StatusOK {
		t.Fatalf("the first request: %d", got.code)
	}
	refused := fetch(t, url, "b")
	// While the first request's report is on its way only that can tell when:
	// a second is then the answer, and no permit is spent by asking again.
	for range 500 {
		if refused.header.Get("Retry-After") != "1" {
			break
		}
		refused = fetch(t, url, "b")
	}
	seconds, err := strconv.Atoi(refused.header.Get("Retry-After"))
	if refused.code != http.StatusTooManyRequests || err != nil || seconds < 2 || seconds > 5 {
		t.Fatalf("got %+v, want 429 and a Retry-After of 2 to 5", refused)
	}
	if !strings.Contains(refused.body, `"QUOTA_EXHAUSTED"`) || !strings.Contains(refused.body, `"limit":"app"`) {
		t.Errorf("the body is %s", refused.body)
	}
	// Retry-After is true when a request made then is served.
	time.Sleep(time.Duration(seconds) * time.Second)
	if got := fetch(t, url, "b"); got.code != http.StatusOK {
		t.Errorf("after the Retry-After: %d", got.code)
	}
	if got := u.score(); got.Refused != 0 || got.Served != 2 {
		t.Errorf("the upstream's books: %+v", got)
	}
}

// TestProxiesShareABroker is a fleet of two, and a broker that takes no caller
// without a certificate.
func TestProxiesShareABroker(t *testing.T) {
	t.Parallel()
	pki := newPKI(t)
	conf := limited(t, 1, time.Minute)
	secure := fmt.Sprintf("tls: {cert: %s, key: %s, client_ca: %s}\n", pki.server.cert, pki.server.key, pki.ca)
	appendFile(t, conf, secure)
	address := start(t, "serve", "--config", conf).address("gRPC")
	trusted := []string{
		"--broker", address, "--broker-ca", pki.ca, "--broker-cert", pki.client.cert, "--broker-key", pki.client.key, "--max-wait", "0",
	}
	u := newUpstream(t, 1, time.Minute)
	first, _ := startProxy(t, u, trusted...)
	second, _ := startProxy(t, u, trusted...)
	stranger, _ := startProxy(t, u, "--broker", address, "--broker-ca", pki.ca)

	if got := fetch(t, first, "a"); got.code != http.StatusOK {
		t.Errorf("the first proxy: %d", got.code)
	}
	if got := fetch(t, second, "a"); got.code != http.StatusTooManyRequests {
		t.Errorf("the second proxy: %d, want 429", got.code)
	}
	if got := fetch(t, stranger, "a"); got.code != http.StatusServiceUnavailable {
		t.Errorf("a proxy without a certificate: %d, want 503", got.code)
	}
	if got := u.score(); got.Refused != 0 || got.Served != 1 {
		t.Errorf("the upstream's books: %+v", got)
	}
}

func TestProxyAnswersHeldRequestsAtTheEnd(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, 1, 20*time.Second)
	url, p := startProxy(t, u, "--config", limited(t, 1, 20*time.Second))
	if got := fetch(t, url, "a"); got.code != http.StatusOK {
		t.Fatalf("the first request: %d", got.code)
	}
	status := make(chan int, 1)
	go func() {
		response, err := http.Get(url + "/v2/me")
		if err != nil {
			t.Errorf("the held request: %v", err)
			status <- 0
			return
		}
		_ = response.Body.Close() // only the status counts
		status <- response.StatusCode
	}()
	select {
	case code := <-status:
		t.Fatalf("the request was not held: %d", code)
	case <-time.After(500 * time.Millisecond):
	}
	p.signal(syscall.SIGTERM)
	if code := <-status; code != http.StatusServiceUnavailable {
		t.Errorf("the held request got %d, want 503", code)
	}
	if code := p.exit(); code != exitOK {
		t.Errorf("got exit code %d, want %d", code, exitOK)
	}
}

// TestSecondSignalEndsAtOnce checks that a stop waits for what is under way, and
// that whoever does not want to wait need not.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	arrived, finish := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-finish
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(finish) })
	url, p := startProxy(t, &upstream{Server: slow})
	go func() {
		if response, err := http.Get(url + "/v2/me"); err == nil {
			_ = response.Body.Close() // it ends with the proxy
		}
	}()
	<-arrived
	p.signal(syscall.SIGTERM)
	select {
	case code := <-p.exited:
		p.exited <- code
		t.Fatalf("it did not wait, and ended with %d", code)
	case <-time.After(500 * time.Millisecond):
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != -1 {
		t.Errorf("got exit code %d, want death by the signal", code)
	}
}

func TestProxyUsage(t *testing.T) {
	conf := writeFile(t, "quotabroker.yaml", "apis: {linkedin: {proxy: {upstream: \"https://api.linkedin.com\"}}, github: {}}")
	for _, tt := range []struct{ args, pattern string }{
		{"", `--api: "": name the API`},
		{"--api linkedin", `--upstream: "": give an http or https URL`},
		{"--api linkedin --upstream ftp://x --listen :0", `--upstream: "ftp://x": give an http or https URL`},
		{"--api linkedin --upstream http:// --listen :0", `--upstream: "http://": give`},
		{"--api linkedin --upstream http://u:secret@x --listen :0", `--upstream: "http://u:xxxxx@x": leave user`},
		{"--api linkedin --upstream http://x?a=1 --listen :0", `--upstream: "http://x\?a=1": leave user, query`},
		{"--api linkedin --upstream http://x", `--listen: "": give a host:port`},
		{"--api linkedin --config " + conf, `--listen: "": give a host:port`},
		{"--api linked --listen :0 --config " + conf, `--api: "linked": the configuration has github, linkedin: name one of them`},
		{"--api github --listen :0 --config " + conf, `--upstream: "": give an http or https URL`},
		{"--api linkedin --upstream http://x --listen :0 --max-wait -1s", `--max-wait: -1s: must not be negative`},
		{"--api linkedin --upstream http://x --listen :0 --max-wait soon", `invalid argument "soon" for "--max-wait"`},
		{"--api linkedin --upstream http://x --listen :0 --broker nowhere", `--broker: "nowhere": give a host:port`},
		{"--api linkedin --upstream http://x --listen :0 --broker-ca ca.pem", `--broker: "": name the broker that --broker-ca`},
		{"--api linkedin --upstream http://x --listen :0 --user-header a:b", `UserHeader: "a:b": give the name of a header`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Chdir(t.TempDir()) // where the default store's file goes
			_, stderr, exit := output(t, append([]string{"proxy"}, strings.Fields(tt.args)...)...)
			if exit != exitUsage {
				t.Errorf("got exit code %d, want %d", exit, exitUsage)
			}
			oneLine(t, stderr, tt.pattern+".*: see quotabroker proxy --help")
		})
	}
}

func TestProxyFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	pki := newPKI(t)
	for _, tt := range []struct{ name, args, pattern string }{
		{"port in use", "--listen " + taken.Addr().String(), `: --listen: ".*": .*address already in use: stop`},
		{"no authorities", "--listen 127.0.0.1:0 --broker 192.0.2.1:1 --broker-ca gone.pem", `: --broker-ca: "gone.pem": no such file`},
		{"not authorities", "--listen 127.0.0.1:0 --broker 192.0.2.1:1 --broker-ca " + pki.client.key, `: --broker-ca: ".*": no certificate in it`},
		{"certificate without key", "--listen 127.0.0.1:0 --broker 127.0.0.1:1 --broker-cert " + pki.client.cert, `: --broker-key: "": give --broker-cert and --broker-key together`},
		{"mismatched key", "--listen 127.0.0.1:0 --broker 127.0.0.1:1 --broker-cert " + pki.client.cert + " --broker-key " + pki.server.key, `: --broker-key: ".*": .*private key does not match`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir()) // where the default store's file goes
			args := append([]string{"proxy", "--api", "linkedin", "--upstream", "http://127.0.0.1:1"}, strings.Fields(tt.args)...)
			_, stderr, exit := output(t, args...)
			if exit != exitFailure {
				t.Errorf("got exit code %d, want %d", exit, exitFailure)
			}
			oneLine(t, stderr, tt.pattern)
		})
	}
}
