package quotahttp

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// route is one template.
type route struct {
	template string
	method   string
	// parts are the segments: a literal, or "" for any one.
	parts []string
	// rest says that more segments may follow.
	rest bool
	// literal is how many bytes of the template have to match as they are.
	literal int
}

// Routes maps a request to the template that it matches, such as
// "GET /v2/people/{id}": a method, a space, and a path in which a segment in
// braces matches any one segment, and a last segment "*" all that follow. The
// template with the most literal bytes wins, then the one that is given first. A
// request that none matches gets [DefaultEndpoint]. A HEAD request needs a
// template of its own, as upstreams may count it apart. Routes panics on a
// template that is none, as [ParseRoutes] says.
func Routes(templates ...string) Part {
	p, err := ParseRoutes(templates...)
	if err != nil {
		panic("quotahttp: " + err.Error())
	}
	return p
}

// ParseRoutes is [Routes] for templates that are not known at compile time. Its
// error names the first template that is none, and what it lacks.
func ParseRoutes(templates ...string) (Part, error) {
	routes := make([]route, 0, len(templates))
	for _, t := range templates {
		r, err := parseRoute(t)
		if err != nil {
			return nil, err
		}
		routes = append(routes, r)
	}
	return func(r *http.Request) string { return match(routes, r) }, nil
}

func parseRoute(template string) (route, error) {
	method, path, ok := strings.Cut(template, " ")
	if !ok || method == "" || !strings.HasPrefix(path, "/") {
		return route{}, fmt.Errorf(`route %q: write it as a method and a path, such as "GET /v2/people/{id}"`, template)
	}
	r := route{template: template, method: method}
	parts := segments(path)
	for i, s := range parts {
		wild := strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}")
		switch {
		case s == "*" && i == len(parts)-1:
			r.rest = true
			continue
		case wild:
			s = ""
		case s == "", strings.ContainsAny(s, "{}*?#"):
			return route{}, fmt.Errorf(`route %q: segment %q: write a literal, a name in braces, or "*" at the end`, template, s)
		default:
			r.literal += len(s)
		}
		r.parts = append(r.parts, s)
	}
	return r, nil
}

// match is the template of the best route for a request.
func match(routes []route, r *http.Request) string {
	path := segments(r.URL.EscapedPath())
	for i, s := range path {
		if plain, err := url.PathUnescape(s); err == nil {
			path[i] = plain
		}
	}
	var best *route
	for i := range routes {
		if t := &routes[i]; t.matches(r.Method, path) && (best == nil || t.literal > best.literal) {
			best = t
		}
	}
	if best == nil {
		return DefaultEndpoint(r)
	}
	return best.template
}

func (t *route) matches(method string, path []string) bool {
	if method == "" {
		method = http.MethodGet
	}
	if method != t.method || len(path) < len(t.parts) || len(path) > len(t.parts) && !t.rest {
		return false
	}
	for i, part := range t.parts {
		if part != "" && part != path[i] {
			return false
		}
	}
	return true
}
