package client

import (
	"fmt"
	"maps"
	"unicode/utf8"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Scope says whose call it is. Each part is at most 256 bytes of UTF-8 without
// control characters; the broker checks them.
type Scope struct {
	// API is the upstream's name in the broker's configuration. Required.
	API string
	// App is whatever the upstream counts together at the top, such as a client
	// id; empty suits an API that is called with one set of credentials.
	App string
	// User is on whose behalf the call is made; empty for nobody's, and limits
	// counted by user then do not apply.
	User string
	// Endpoint is the route template, such as "GET /v2/people/{id}", never a raw
	// URL; empty is an endpoint of its own.
	Endpoint string
	// Labels are at most four further parts that the API's configuration
	// declares; nil means none.
	Labels map[string]string
}

// InvalidScopeError says which part of a scope cannot be sent to a broker.
type InvalidScopeError struct {
	// Field is the path of the part, such as "scope.user".
	Field string
	// Value is what it was.
	Value string
	// Remedy is what would be accepted.
	Remedy string
}

// Error says field, value and remedy in one line.
func (e *InvalidScopeError) Error() string {
	return fmt.Sprintf("%s: %.64q: %s", e.Field, e.Value, e.Remedy)
}

// check finds what could not even be sent: an API that is not named, and text
// that is not UTF-8. All else is the broker's to say.
func (s Scope) check() error {
	if s.API == "" {
		return &InvalidScopeError{"scope.api", "", "name the API as the broker's configuration does"}
	}
	parts := [...]struct{ field, value string }{
		{"scope.api", s.API}, {"scope.app", s.App}, {"scope.user", s.User}, {"scope.endpoint", s.Endpoint},
	}
	for _, p := range parts {
		if !utf8.ValidString(p.value) {
			return &InvalidScopeError{p.field, p.value, "must be UTF-8"}
		}
	}
	for name, value := range s.Labels {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return &InvalidScopeError{"scope.labels", name + "=" + value, "must be UTF-8"}
		}
	}
	return nil
}

// message is the scope on the wire.
func (s Scope) message() *pb.Scope {
	return &pb.Scope{Api: s.API, App: s.App, User: s.User, Endpoint: s.Endpoint, Labels: s.Labels}
}

// clone is a copy that shares nothing with what the caller holds.
func (s Scope) clone() Scope {
	s.Labels = maps.Clone(s.Labels)
	return s
}

// covered reports whether a revocation's scope covers s: its parts are those of
// s, and the parts that it leaves empty cover everything.
func (s Scope) covered(by *pb.Scope) bool {
	part := func(pattern, value string) bool { return pattern == "" || pattern == value }
	if !part(by.GetApi(), s.API) || !part(by.GetApp(), s.App) ||
		!part(by.GetUser(), s.User) || !part(by.GetEndpoint(), s.Endpoint) {
		return false
	}
	for name, value := range by.GetLabels() {
		if s.Labels[name] != value {
			return false
		}
	}
	return true
}
