package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// address is a host:port that a server can listen on.
func (v value) address() string {
	const remedy = "must be host:port with a port from 0 to 65535, such as 127.0.0.1:7460 or \"[::1]:7460\""
	if v.isScalar() {
		v.fail(remedy)
		return ""
	}
	text := v.text()
	if text == "" {
		return ""
	}
	if strings.HasPrefix(text, "unix:") || strings.HasPrefix(text, "/") {
		v.fail("unix sockets are not in this version: write host:port, such as 127.0.0.1:7460")
		return ""
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || !isHost(host) || !isPort(port) {
		v.fail(remedy)
		return ""
	}
	return text
}

// isHost reports whether a host is empty (every interface), an IP address, or
// spelled like a name; whether the name exists is seen when it is used.
func isHost(host string) bool {
	if host == "" {
		return true
	}
	if strings.ContainsAny(host, ":%") {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return !strings.ContainsFunc(host, func(c rune) bool {
		return c != '-' && c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == port
}

// onLoopback reports whether only this machine can reach a good address. A
// name other than localhost may point anywhere.
func onLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// anyPort reports whether the system chooses the address's port.
func anyPort(address string) bool { return strings.HasSuffix(address, ":0") }

func (v value) proxy() *Proxy {
	s, p := v.section("upstream", "user_header", "listen"), &Proxy{}
	s.need("upstream", "give the URL of the API, such as https://api.linkedin.com")
	if u, ok := s.get("upstream"); ok {
		p.Upstream = u.upstream()
	}
	s.text("user_header", &p.UserHeader)
	if h, ok := s.get("user_header"); ok && p.UserHeader != "" && !httpguts.ValidHeaderFieldName(p.UserHeader) {
		h.fail("must be the name of a header, such as X-User")
	}
	// Not on loopback only: a proxy stands where its callers can reach it.
	s.address("listen", &p.Listen, true)
	return p
}

// upstream is the URL to which a proxy's requests are joined.
func (v value) upstream() *url.URL {
	text := v.text()
	if text == "" {
		return nil
	}
	u, remedy := checkUpstream(text)
	if remedy != "" {
		// What stands before an @ may be a secret, wherever it was put.
		v.r.fail(v.position(), v.field(), text[strings.LastIndexByte(text, '@')+1:], remedy)
		return nil
	}
	return u
}

// checkUpstream is the URL, or what to do about it.
func checkUpstream(text string) (u *url.URL, remedy string) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Port() != "" && !isPort(u.Port()):
		return nil, "must be an http or https URL, such as https://api.linkedin.com"
	case u.User != nil:
		return nil, "must not have a user or password: callers send their own credentials"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, "must not have a query or a fragment: end it with the path"
	}
	return u, ""
}
