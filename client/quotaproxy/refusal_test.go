package quotaproxy_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotahttp"
	"github.com/quotabroker/quotabroker/client/quotaproxy"
)

func TestErrorsOfTheWay(t *testing.T) {
	failing := func(err error) func(*quotaproxy.Config) {
		return func(c *quotaproxy.Config) {
			c.Base = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
		}
	}
	for name, tt := range map[string]struct {
		complete func(*quotaproxy.Config)
		upstream http.HandlerFunc
		prepare  func(*world)
		status   int
		error    string
		after    string
	}{
		"refused":       {complete: failing(errors.New("10.1.2.3: connection refused")), status: 502, error: "upstream"},
		"timeout":       {complete: failing(context.DeadlineExceeded), status: 504, error: "upstream_timeout"},
		"breaks off":    {upstream: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, status: 502, error: "upstream"},
		"never dialled": {complete: func(c *quotaproxy.Config) { c.Base = neverDials() }, status: 504, error: "upstream_timeout"},
		"broker away":   {prepare: func(w *world) { w.GoAway() }, status: 503, error: "broker_away", after: "1"},
		"closed":        {complete: func(c *quotaproxy.Config) { c.Client.Close() }, status: 503, error: "closing", after: "1"},
		"not a scope":   {complete: func(c *quotaproxy.Config) { c.Endpoint = quotahttp.Always("\xff") }, status: 400, error: "bad_scope"},
		"broker's no":   {complete: func(c *quotaproxy.Config) { c.Client = client.New(refusingConn{}) }, status: 500, error: "broker"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, tt.upstream, tt.complete, func(t *testing.T, w *world) {
				if tt.prepare != nil {
					tt.prepare(w)
				}
				resp, body := w.do(t, request(t, "GET", "/", nil))
				if v := parse(t, body); resp.status != tt.status || v.Error != tt.error || resp.header.Get("Retry-After") != tt.after {
					t.Errorf("%d, Retry-After %q: %s", resp.status, resp.header.Get("Retry-After"), body)
				}
				if strings.Contains(body, "10.1.2.3") {
					t.Errorf("tells of this side's network: %s", body)
				}
				if !strings.Contains(w.logs.String(), `"level":"WARN"`) {
					t.Errorf("logged %s", w.logs)
				}
			})
		})
	}
}

func neverDials() http.RoundTripper {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

func TestConfigErrorsNameTheField(t *testing.T) {
	c := client.New(refusingConn{})
	defer c.Close()
	up := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for field, config := range map[string]quotaproxy.Config{
		"Client:":              {API: "a", Upstream: up("http://x")},
		"API:":                 {Client: c, Upstream: up("http://x")},
		"Upstream: missing":    {Client: c, API: "a"},
		`Upstream: "ftp://x"`:  {Client: c, API: "a", Upstream: up("ftp://x")},
		`Upstream: "/path"`:    {Client: c, API: "a", Upstream: up("/path")},
		`UserHeader: "X User"`: {Client: c, API: "a", Upstream: up("http://x"), UserHeader: "X User"},
		"Attempts: -1":         {Client: c, API: "a", Upstream: up("http://x"), Attempts: -1},
	} {
		if _, err := quotaproxy.New(config); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	p, err := quotaproxy.New(quotaproxy.Config{Client: c, API: "a", Upstream: up("https://x")})
	if err != nil {
		t.Fatal(err)
	}
	p.CloseIdleConnections()
}
