package quotahttp

import (
	"net/http"
	"strings"
)

// Always is the same part for every request.
func Always(value string) Part {
	return func(*http.Request) string { return value }
}

// Header is the first value of a request's header, however its name is spelled
// in the map; empty when there is none.
func Header(name string) Part {
	return func(r *http.Request) string {
		if v := r.Header.Get(name); v != "" {
			return v
		}
		for n, values := range r.Header { // a key may have been put in as it is
			if strings.EqualFold(n, name) && len(values) > 0 {
				return values[0]
			}
		}
		return ""
	}
}

// DefaultEndpoint guesses the endpoint of a request: its method and the
// collection at the top of its path, such as "GET /v2/people/*" for
// /v2/people/123/posts. At most two segments at the start that are a version, "api"
// or "rest" are kept; the next one is kept when it is a word (ASCII letters, "-" and "_", at
// most 32), and "{id}" otherwise; what follows is "*". So there are no more
// endpoints than the API has collections, unless its paths begin with names.
func DefaultEndpoint(r *http.Request) string {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	path := ""
	rest := segments(r.URL.EscapedPath())
	for range 2 {
		if len(rest) > 0 && isPrefix(rest[0]) {
			path += "/" + rest[0]
			rest = rest[1:]
		}
	}
	if len(rest) > 0 {
		path += "/" + wordOrID(rest[0])
		rest = rest[1:]
	}
	if len(rest) > 0 {
		path += "/*"
	}
	if path == "" {
		path = "/"
	}
	return method + " " + path
}

// segments is the parts of an escaped path, without a slash at its end.
func segments(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// isPrefix reports whether a segment says nothing of what is called: "api",
// "rest", or a version such as "v2" or "v1.1".
func isPrefix(s string) bool {
	if s == "api" || s == "rest" {
		return true
	}
	digits, ok := strings.CutPrefix(s, "v")
	return ok && digits != "" && len(digits) <= 4 && strings.Trim(digits, "0123456789.") == ""
}

// wordOrID is the segment itself if it is a word.
func wordOrID(s string) string {
	isWord := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_'
	}
	if len(s) > 32 || strings.TrimFunc(s, isWord) != "" {
		return "{id}"
	}
	return s
}
