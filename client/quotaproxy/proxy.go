package quotaproxy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotahttp"
)

// Config is what a proxy needs. Client, API and Upstream are required; every other
// zero value means what its field says.
type Config struct {
	// Client asks the broker. The proxy does not close it.
	Client *client.Client
	// API is the upstream's name in the broker's configuration.
	API string
	// Upstream is where requests go: http or https, a host, and perhaps a path
	// that is put before theirs.
	Upstream *url.URL
	// App is the application for which all calls are made; empty is the one that
	// has no name.
	App string
	// UserHeader is the request header whose value is the user for whom a call is
	// made; empty means that all are made for nobody.
	UserHeader string
	// DropUser keeps that header from the upstream, which otherwise gets it as it
	// came.
	DropUser bool
	// Endpoint says which endpoint a request is for, as it goes upstream; nil is
	// quotahttp.DefaultEndpoint.
	Endpoint quotahttp.Part
	// MaxWait is how long a request is held; 0 means [client.DefaultMaxWait], and
	// less than 0 not at all.
	MaxWait time.Duration
	// Attempts is how often a request is sent, as the broker advises; 0 means
	// once, because it is for the client to decide what is worth repeating.
	Attempts int
	// Acquire are options for every permit.
	Acquire []client.AcquireOption
	// Base sends the requests; nil is a transport of the proxy's own.
	Base http.RoundTripper
	// Log receives what an operator should know; nil discards it.
	Log *slog.Logger
}

// Proxy is an http.Handler. It is safe for concurrent use. Make one with [New].
type Proxy struct {
	config    Config
	transport *quotahttp.Transport
	reverse   *httputil.ReverseProxy
}

// New makes a proxy. Its error names the field that is missing or wrong.
func New(c Config) (*Proxy, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{config: c, transport: c.transport()}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:       p.rewrite,
		Transport:     p.transport,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
		ErrorHandler:  p.fail,
	}
	return p, nil
}

func (c *Config) check() error {
	switch {
	case c.Client == nil:
		return fmt.Errorf("quotaproxy: Client: missing: give one that is connected to the broker")
	case c.API == "":
		return fmt.Errorf("quotaproxy: API: missing: name the upstream as the broker's configuration does")
	case c.Upstream == nil:
		return fmt.Errorf("quotaproxy: Upstream: missing: give a URL, such as https://api.example.com")
	case c.Upstream.Scheme != "http" && c.Upstream.Scheme != "https" || c.Upstream.Host == "":
		return fmt.Errorf("quotaproxy: Upstream: %q: give an http or https URL with a host", c.Upstream)
	case strings.ContainsAny(c.UserHeader, " :\r\n\t"):
		return fmt.Errorf("quotaproxy: UserHeader: %q: give the name of a header, such as X-User", c.UserHeader)
	case c.Attempts < 0:
		return fmt.Errorf("quotaproxy: Attempts: %d: must be 1 or more, or 0 for the default", c.Attempts)
	}
	return nil
}

// transport is what sends with a permit.
func (c *Config) transport() *quotahttp.Transport {
	wait := c.MaxWait
	if wait == 0 {
		wait = client.DefaultMaxWait
	}
	base := c.Base
	if base == nil {
		base = newBase()
	}
	opts := []quotahttp.Option{
		quotahttp.WithBase(base),
		quotahttp.WithApp(quotahttp.Always(c.App)),
		quotahttp.WithUser(userOf),
		quotahttp.WithAttempts(max(c.Attempts, 1)),
		quotahttp.WithAcquire(c.Acquire...),
		quotahttp.WithAcquire(client.WithMaxWait(wait)),
	}
	if c.Endpoint != nil {
		opts = append(opts, quotahttp.WithEndpoint(c.Endpoint))
	}
	return quotahttp.New(c.Client, c.API, opts...)
}

// newBase is a transport for one upstream, which all connections go to. It asks
// for no compression of its own: what the client gets is what the upstream sent.
func newBase() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
	}
}

// userKey is the key of the user in a request's context: the header itself may
// be one that does not go upstream.
type userKey struct{}

func userOf(r *http.Request) string {
	user, _ := r.Context().Value(userKey{}).(string)
	return user
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, err := p.user(r)
	if err != nil {
		p.answer(w, r, refusal{status: http.StatusBadRequest, Error: "bad_user", Message: err.Error()})
		return
	}
	if err := readShort(r); err != nil {
		p.answer(w, r, refusal{status: http.StatusBadRequest, Error: "bad_body", Message: "the body could not be read"})
		return
	}
	p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
}

// CloseIdleConnections closes those to the upstream that nobody uses.
func (p *Proxy) CloseIdleConnections() { p.transport.CloseIdleConnections() }
