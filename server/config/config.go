package config

import (
	_ "embed" // for default.yaml
	"net/url"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Config is one configuration, validated. It must not be changed once it is in
// use, and is then safe for concurrent use. Its zero value is of no use: see
// [Default].
type Config struct {
	// Listen is the address of the gRPC server, host:port. Beyond loopback only
	// with TLS.
	Listen string
	// HTTP is the address of health and metrics, host:port. Beyond loopback
	// only with TLS, and then it must be served with it.
	HTTP string
	// TLS is the server's identity; nil means plaintext.
	TLS *TLS
	// MaxWait caps every wait for a permit; 0 means the broker's default.
	MaxWait time.Duration
	// Store is where reservations live.
	Store Store
	// AllowUnknown says that an API which APIs does not have works too. It is
	// true when the file has no apis.
	AllowUnknown bool
	// APIs are the upstreams by name; nil when the file has none.
	APIs map[string]API
	// Traces is where the spans of calls are sent; nil means as the standard OTEL_
	// environment variables say, else nowhere.
	Traces *Traces
	// Alerts is when people are told of quotas, and where.
	Alerts Alerts
}

// TLS names PEM files. Relative paths start at the process's working directory.
type TLS struct {
	// Cert and Key are the server's certificate chain and its private key;
	// neither is empty.
	Cert, Key string
	// ClientCA is the authorities whose certificates callers must show; empty
	// means that they need none.
	ClientCA string
}

// API is one upstream.
type API struct {
	// Dialect is the name of the built-in dialect that reads its responses.
	Dialect string
	// Rules are its limits: the file's, else those that the dialect knows; never
	// nil.
	Rules *quota.Rules
	// Free is the status codes of answers that the API does not count; nil when
	// it counts all.
	Free []int
	// Shadow decides and holds nobody back, and keeps a score.
	Shadow bool
	// Proxy is how the proxy serves it; nil when the file does not say.
	Proxy *Proxy
}

// Proxy is what the proxy in front of one API is told on the command line
// otherwise.
type Proxy struct {
	// Upstream is where requests go: an absolute http or https URL without
	// query, fragment and user; never nil.
	Upstream *url.URL
	// UserHeader names the request header that says on whose behalf a call is
	// made; empty means that no call is made for a user.
	UserHeader string
	// Listen is the proxy's own address, host:port; empty when not given.
	Listen string
}

//go:embed default.yaml
var defaultYAML []byte

// Default is the configuration of a broker that is given no file.
func Default() *Config {
	c := &Config{AllowUnknown: true}
	if err := parse("default.yaml", defaultYAML, c); err != nil {
		panic(err) // the embedded file is part of the program, and tested
	}
	return c
}

// Load reads and validates a file. The error is an [*Error] when the file was
// read and is wrong, otherwise it says why it could not be read.
func Load(path string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse validates the text of a file, and calls it by the given name in its
// errors, which are an [*Error]. What the file leaves out is as in [Default].
func Parse(name string, data []byte) (*Config, error) {
	c := Default()
	if err := parse(name, data, c); err != nil {
		return nil, err
	}
	return c, nil
}

// parse changes c to what the file says.
func parse(name string, data []byte, c *Config) error {
	r := &reader{file: name}
	if root := r.document(data); root != nil {
		value{r: r, node: root}.config(c)
	}
	return r.err()
}

func (v value) config(c *Config) {
	s := v.section("listen", "http", "tls", "max_wait", "store", "allow_unknown", "apis", "traces", "alerts")
	if v, ok := s.get("tls"); ok {
		c.TLS = v.tls()
	}
	s.address("listen", &c.Listen, c.TLS != nil)
	s.address("http", &c.HTTP, c.TLS != nil)
	s.mustDiffer(c)
	s.duration("max_wait", &c.MaxWait, longestWait)
	if v, ok := s.get("traces"); ok {
		c.Traces = v.traces()
	}
	if v, ok := s.get("store"); ok {
		c.Store = v.store(c.Store)
	}
	if v, ok := s.get("apis"); ok {
		c.APIs, c.AllowUnknown = v.apis(), false
	}
	if v, ok := s.get("allow_unknown"); ok {
		c.AllowUnknown = v.truth()
		if !c.AllowUnknown && c.APIs == nil {
			v.fail("there would be no API to ask for: add apis, or leave this out")
		}
	}
	if v, ok := s.get("alerts"); ok {
		v.alerts(c)
	}
}

// mustDiffer reports two servers on one address.
func (s section) mustDiffer(c *Config) {
	if c.Listen != c.HTTP || c.HTTP == "" || anyPort(c.HTTP) {
		return
	}
	for _, name := range []string{"http", "listen"} {
		if v, ok := s.get(name); ok {
			v.fail("is the address of both listen and http: give each its own port")
			return
		}
	}
}

func (v value) tls() *TLS {
	s, t := v.section("cert", "key", "client_ca"), &TLS{}
	s.text("cert", &t.Cert)
	s.text("key", &t.Key)
	s.text("client_ca", &t.ClientCA)
	s.need("cert", "name the PEM file of the server's certificate chain")
	s.need("key", "name the PEM file of the certificate's private key")
	return t
}
