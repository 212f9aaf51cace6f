package main

import (
	"cmp"
	"fmt"
	"net"
	"net/url"

	"github.com/quotabroker/quotabroker/client/quotaproxy"
	"github.com/quotabroker/quotabroker/cmd/quotabroker/wire"
	"github.com/quotabroker/quotabroker/server/config"
)

// check reports the first flag that cannot be meant.
func (f *proxyFlags) check(conf *config.Config) error {
	remote := f.remote.Address != ""
	_, _, badAddress := net.SplitHostPort(f.remote.Address)
	switch {
	case f.api == "":
		return &usageError{`--api: "": name the API as the broker knows it`}
	case f.maxWait < 0:
		return &usageError{fmt.Sprintf("--max-wait: %v: must not be negative", f.maxWait)}
	case !remote && f.remote != (wire.Remote{}):
		return &usageError{`--broker: "": name the broker that --broker-ca, --broker-cert and --broker-key are for`}
	case remote && badAddress != nil:
		return &usageError{fmt.Sprintf("--broker: %q: give a host:port, such as 127.0.0.1:7460", f.remote.Address)}
	case remote:
		return nil // it knows its APIs
	}
	if err := wire.CheckAPI(conf, f.api); err != nil {
		return &usageError{"--api: " + err.Error()}
	}
	return nil
}

// settings are those of the flags, and of the configuration where a flag is not
// given.
func (f *proxyFlags) settings(conf *config.Config) (s quotaproxy.Config, err error) {
	if err := f.check(conf); err != nil {
		return s, err
	}
	s = quotaproxy.Config{API: f.api, App: f.app, UserHeader: f.userHeader, MaxWait: f.maxWait}
	if s.MaxWait == 0 {
		s.MaxWait = -1 // none, not the default
	}
	if p := conf.APIs[f.api].Proxy; p != nil {
		s.Upstream = p.Upstream
		f.listen = cmp.Or(f.listen, p.Listen)
		s.UserHeader = cmp.Or(s.UserHeader, p.UserHeader)
	}
	if f.upstream != "" || s.Upstream == nil {
		s.Upstream, err = parseUpstream(f.upstream)
	}
	if err == nil && f.listen == "" {
		err = &usageError{`--listen: "": give a host:port, such as 127.0.0.1:8080`}
	}
	return s, err
}

// parseUpstream is the URL before which the proxy stands.
func parseUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, &usageError{fmt.Sprintf("--upstream: %q: give an http or https URL, such as https://api.linkedin.com", text)}
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, &usageError{fmt.Sprintf("--upstream: %q: leave user, query and fragment out: requests bring their own", u.Redacted())}
	}
	return u, nil
}
