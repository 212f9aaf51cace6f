package quota

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a scope's parts, in bytes and in number.
const (
	// MaxPart is the longest part of a scope, in bytes.
	MaxPart = 256
	// MaxLabels is the greatest number of labels of a scope.
	MaxLabels = 4
)

// Scope says whose call it is. It is comparable, and as a key of a bucket the
// parts by which the bucket's limit is not counted are empty. As a pattern
// (see [Scope.Matches]) empty parts match everything. The zero value names
// nothing.
type Scope struct {
	// API is the upstream's name in the configuration.
	API string
	// App is whatever the upstream counts together at the top; empty is an
	// application of its own.
	App string
	// User is on whose behalf the call is made; empty when for no user, and
	// limits counted by user then do not apply.
	User string
	// Endpoint is the route template; empty is an endpoint of its own.
	Endpoint string
	// Labels are further parts that the API's configuration declares.
	Labels Labels
}

// FieldError says which field of an input is wrong, the value it had, and what
// to do about it. It is the only error that this package returns for bad input.
type FieldError struct {
	// Field is the path of the field, such as "scope.user".
	Field string
	// Value is the offending value, shortened and escaped when printed.
	Value string
	// Remedy says what would be accepted.
	Remedy string
}

// Error says field, value and remedy in one line without control characters.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Field, quoteShort(e.Value), e.Remedy)
}

// quoteShort quotes s, cut to a length that fits a log line.
func quoteShort(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q… (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// Validate reports the first part that is missing, too long or not printable
// UTF-8, as a *FieldError under the path "scope".
func (s Scope) Validate() error {
	if s.API == "" {
		return &FieldError{"scope.api", s.API, "name the API as the broker's configuration does"}
	}
	for _, p := range []struct{ field, value string }{
		{"scope.api", s.API}, {"scope.app", s.App}, {"scope.user", s.User}, {"scope.endpoint", s.Endpoint},
	} {
		if err := CheckPart(p.field, p.value); err != nil {
			return err
		}
	}
	return nil
}

// CheckPart reports, as a *FieldError, a name that is longer than [MaxPart]
// bytes, not UTF-8, or has control characters. An empty one is good.
func CheckPart(field, value string) error {
	switch {
	case len(value) > MaxPart:
		return &FieldError{field, value, fmt.Sprintf("at most %d bytes", MaxPart)}
	case !utf8.ValidString(value):
		return &FieldError{field, value, "must be UTF-8"}
	case strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }):
		return &FieldError{field, value, "must not have control characters"}
	}
	return nil
}

// String is a stable text of the scope, good for logs and as a key of a store:
// "linkedin/app1 user=u1 endpoint=\"GET /v2/me\" tenant=t1". Parts that are empty are
// left out; different scopes have different texts.
func (s Scope) String() string {
	var b strings.Builder
	b.WriteString(quotePart(s.API))
	b.WriteByte('/')
	b.WriteString(quotePart(s.App))
	for _, p := range []struct{ name, value string }{{"user", s.User}, {"endpoint", s.Endpoint}} {
		if p.value != "" {
			b.WriteString(" " + p.name + "=" + quotePart(p.value))
		}
	}
	for name, value := range s.Labels.All {
		b.WriteString(" label." + quotePart(name) + "=" + quotePart(value))
	}
	return b.String()
}

// quotePart quotes a part that could be mistaken for the text around it.
func quotePart(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '/' || r == '=' || r > '~' }) {
		return fmt.Sprintf("%q", s)
	}
	return s
}

// Compare orders scopes by API, application, user, endpoint and labels.
func (s Scope) Compare(o Scope) int {
	return cmp.Or(cmp.Compare(s.API, o.API), cmp.Compare(s.App, o.App), cmp.Compare(s.User, o.User),
		cmp.Compare(s.Endpoint, o.Endpoint), cmp.Compare(s.Labels.text, o.Labels.text))
}

// Matches reports whether the scope has every part that the pattern names.
func (s Scope) Matches(pattern Scope) bool {
	return matchPart(s.API, pattern.API) && matchPart(s.App, pattern.App) &&
		matchPart(s.User, pattern.User) && matchPart(s.Endpoint, pattern.Endpoint) &&
		s.Labels.matches(pattern.Labels)
}

func matchPart(value, pattern string) bool { return pattern == "" || value == pattern }

// Only is the scope with the parts by which p counts, and no others: the key
// of a bucket.
func (s Scope) Only(p Parts) Scope {
	key := Scope{API: s.API, App: s.App}
	if p.User {
		key.User = s.User
	}
	if p.Endpoint {
		key.Endpoint = s.Endpoint
	}
	if p.labels != "" {
		key.Labels = s.Labels.only(p)
	}
	return key
}

// Labels are up to [MaxLabels] named parts of a scope, in the order of their
// names. The zero value has none. It is comparable.
type Labels struct {
	// text is name, unit separator, value, unit separator, …: neither can hold
	// the separator, because control characters are refused.
	text string
}

const labelSep = "\x1f"

// NewLabels makes labels of a map. Labels with an empty value are left out. It
// returns a *FieldError for too many labels, an empty name, or a name or value
// that [CheckPart] refuses.
func NewLabels(m map[string]string) (Labels, error) {
	if len(m) > MaxLabels {
		return Labels{}, &FieldError{"scope.labels", fmt.Sprint(len(m), " labels"), fmt.Sprintf("at most %d", MaxLabels)}
	}
	names := make([]string, 0, len(m))
	for name, value := range m {
		if name == "" {
			return Labels{}, &FieldError{"scope.labels", name, "a label needs a name"}
		}
		if err := CheckPart("scope.labels", name); err != nil {
			return Labels{}, err
		}
		if err := CheckPart("scope.labels."+name, value); err != nil {
			return Labels{}, err
		}
		if value != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name + labelSep + m[name] + labelSep)
	}
	return Labels{b.String()}, nil
}

// All yields each name and value, by name.
func (l Labels) All(yield func(name, value string) bool) {
	rest := l.text
	for rest != "" {
		var name, value string
		name, rest, _ = strings.Cut(rest, labelSep)
		value, rest, _ = strings.Cut(rest, labelSep)
		if !yield(name, value) {
			return
		}
	}
}

// Get is the value of the named label, "" when there is none.
func (l Labels) Get(name string) string {
	for n, v := range l.All {
		if n == name {
			return v
		}
	}
	return ""
}

// matches reports whether l has every label of the pattern, with its value.
func (l Labels) matches(pattern Labels) bool {
	for name, value := range pattern.All {
		if l.Get(name) != value {
			return false
		}
	}
	return true
}

// only is the labels that p counts by.
func (l Labels) only(p Parts) Labels {
	var b strings.Builder
	for name, value := range l.All {
		if p.hasLabel(name) {
			b.WriteString(name + labelSep + value + labelSep)
		}
	}
	return Labels{b.String()}
}
